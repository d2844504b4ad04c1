import ComputeGraph
import GGUF
import LlamaModel
import Quantization
import Recording
import Tensors
import TestSupport
import Testing
import Tracing

@Suite struct LogitAttributionTests {
    @Test(arguments: TinyModel.allCases)
    func partsAreTheLogit(model: TinyModel) async throws {
        let recorded = try await Recorded(model, generate: 2, Capture(.stats))
        for step in 0..<2 { try check(recorded, step: step, tokens: [0, 7, 100]) }
    }

    /// Norms of what is written, scales of embeddings, writes and logits, biases: the parts still add up.
    @Test(arguments: ArchitectureFixture.all)
    func partsAreTheLogitInEveryArchitecture(fixture: ArchitectureFixture) async throws {
        let recorded = try await Recorded(fixture, generate: 2, Capture(.stats))
        for step in 0..<2 { try check(recorded, step: step, tokens: [0, 7, 100]) }
    }

    @Test(arguments: Sibling.mixes)
    func partsAreTheLogitInEveryFormat(type: String) async throws {
        try check(try await Sibling.record(type, Capture(.stats)), step: 0, tokens: [3, 500])
    }

    @Test(.enabled(if: Places.runsSmolLM2, Comment(rawValue: Places.smolLM2Hint)))
    func partsAreTheLogitOfTheRealModel() async throws {
        let model = try Llama(file: try GGUFFile(path: Places.smolLM2))
        let recorded = try await Recorded(
            model, prompt: "The capital of France is", generate: 1, Capture(.stats), in: TemporaryFolder())
        try check(recorded, step: 0, tokens: [7042, 260])
    }

    private func check(_ recorded: Recorded, step: Int, tokens: [Int]) throws {
        let provenance = try recorded.provenance(step: step)
        let c = recorded.model.configuration
        for token in tokens {
            let found = try LogitAttribution(of: token, neurons: .max, in: provenance)
            try checkNeurons(found, provenance)
            #expect(found.logit == recorded.passes[step].prediction.logits[token])
            #expect(abs(found.residual) <= 1e-3, "\(found.residual)")
            #expect(found.parts.count { $0.kind == .head } == c.layers * c.heads)
            #expect(found.layers.count == c.layers)
            for layer in found.layers {
                let own = found.parts.filter { $0.layer == layer.layer }
                let heads = own.filter { [.head, .attentionRounding, .attentionBias].contains($0.kind) }
                // Of the parts' magnitudes, which the rounding of a sum is relative to, not of a sum that may cancel.
                let size = heads.reduce(0.0) { $0 + abs($1.value) }
                #expect(abs(layer.attentionResidual) <= 1e-4 * size, "\(layer)")
                #expect(abs(heads.reduce(0) { $0 + $1.value } - layer.attention) <= 1e-4 * size)
            }
            for group in found.groups {
                let members = found.parts.filter { $0.layer == group.layer && $0.kvHead == group.kvHead }
                #expect(members.map { $0.head! } == group.heads && group.heads.count == c.groupSize)
                #expect(group.value == members.reduce(0) { $0 + $1.value })
            }
            try check(found.chain, found, provenance)
        }
    }

    /// Single neurons, their rounding and experts' biases are what networks and experts add.
    private func checkNeurons(_ found: LogitAttribution, _ provenance: Provenance) throws {
        #expect(found.neuronLayers.map(\.layer) == Array(0..<provenance.model.configuration.layers))
        let hasBiases = provenance.graph.nodes.contains { $0.kind == "ADD_ID" }
        for layer in found.neuronLayers {
            let neurons = found.neurons.filter { $0.layer == layer.layer }
            #expect(neurons.count == layer.count)
            #expect(abs(neurons.reduce(0) { $0 + $1.value } - layer.sum) <= 1e-9 * Double(layer.count))
            let size = neurons.reduce(0.0) { $0 + abs($1.value) }
            if !hasBiases { #expect(abs(layer.rest) <= 1e-4 * size, "\(layer)") }
        }
        for neuron in found.neurons.prefix(3) {
            let address = try TensorAddress(neuron.address)
            let node = try provenance.node(address)
            let element = try address.element(in: node.layout.shape)
            #expect(
                provenance.tensor(of: .node(node.index))[element] == neuron.activation && element.i0 == neuron.index)
        }
        let sizes = found.neurons.map { abs($0.value) }
        #expect(sizes == sizes.sorted(by: >))
    }

    /// What a neuron adds is what the network writes less without it, in the logit's direction.
    @Test func aNeuronIsWhatItsSilenceTakesAway() async throws {
        let recorded = try await Recorded(.biases, prompt: InterventionTests.prompt, generate: 3, Capture(.all))
        let (model, c) = (recorded.model, recorded.model.configuration)
        let (token, width) = (42, recorded.model.configuration.embedding)
        let found = try LogitAttribution(of: token, neurons: 3, in: recorded.provenance(step: 0))
        let gains = model.weights.outputNorm.tensor.floats()
        let output = model.weights.output.tensor.floats()[token * width..<(token + 1) * width]
        let direction = zip(gains, output).map { Double($0) * Double($1) * found.scale }
        #expect(found.neurons.count == 3 && c.layers == found.neuronLayers.count)
        for neuron in found.neurons {
            let (silent, _) = try await InterventionTests.record(.biases, [InterventionTests.set(neuron.address)])
            func written(_ recorded: Recorded) throws -> ArraySlice<Float> {
                let name = "ffn_out-\(neuron.layer)"
                return try #require(recorded.passes[0].nodes.last { $0.node.name == name }).values.suffix(width)
            }
            let lost = zip(try written(recorded), try written(silent)).map { Double($0) - Double($1) }
            let value = zip(lost, direction).reduce(0) { $0 + $1.0 * $1.1 }
            // Activations are rounded to F16 before the product.
            #expect(abs(value - neuron.value) <= 0x1p-10 * abs(neuron.value) + 1e-5, "\(value) \(neuron)")
        }
    }

    /// The chain's numbers are those of the file and of the graph, and each step is a part of the one before.
    private func check(
        _ chain: LogitAttribution.Chain, _ found: LogitAttribution, _ provenance: Provenance
    ) throws {
        let largest = found.parts.filter { ![.attentionRounding, .outputRounding].contains($0.kind) }
            .map { abs($0.value) }.max()
        #expect(abs(chain.part.value) == largest)
        let weight = Double(chain.weight.element.value)
        #expect(abs(chain.value - weight * Double(chain.channel?.activation ?? 1) * chain.direction) <= 1e-12)
        if let channel = chain.channel {
            // Rows are counted through all experts.
            let row = chain.weight.block.row % provenance.model.configuration.embedding
            #expect(chain.weight.column == channel.index && row == chain.dimension)
            let address = try TensorAddress(channel.address)
            let node = try provenance.node(address)
            let element = try address.element(in: node.layout.shape)
            #expect(provenance.tensor(of: .node(node.index))[element] == channel.activation)
        } else {
            #expect(chain.weight.column == chain.dimension)
        }
    }

    /// Heads, computed here from the decoded matrix one after the other, are the attention's output, dimension by
    /// dimension, up to the rounding of activations to F16.
    @Test func headsAreTheAttentionsOutput() async throws {
        let recorded = try await Recorded(.biases, generate: 1, Capture(.all))
        let provenance = try recorded.provenance(step: 0)
        let (model, c) = (recorded.model, recorded.model.configuration)
        func column(_ name: String) throws -> [Float] {
            let node = try provenance.node(TensorAddress(name))
            return Array(provenance.tensor(of: .node(node.index)).floats().suffix(node.layout.shape.ne0))
        }
        let token = 42
        let found = try LogitAttribution(of: token, in: provenance)
        let x = try column("l_out-\(c.layers - 1)").map(Double.init)
        let scale = 1 / (x.reduce(0) { $0 + $1 * $1 } / Double(x.count) + Double(c.normEpsilon)).squareRoot()
        #expect(abs(scale - found.scale) <= 1e-12)
        let gains = model.weights.outputNorm.tensor.floats()
        let output = model.weights.output.tensor.floats()[token * c.embedding..<(token + 1) * c.embedding]
        let direction = zip(gains, output).map { Double($0) * Double($1) * scale }
        for index in 0..<c.layers {
            let linear = model.weights.layers[index].attentionOutput
            let (mixed, written) = (try column("kqv_out-\(index)"), try column("attn_out-\(index)"))
            let matrix = linear.weight.tensor.floats()
            let width = c.heads * c.headSize
            var sums = (linear.bias?.tensor.floats() ?? [Float](repeating: 0, count: c.embedding)).map(Double.init)
            var size = 0.0
            for head in 0..<c.heads {
                var value = 0.0
                for i in 0..<c.embedding {
                    let own = (head * c.headSize..<(head + 1) * c.headSize).reduce(0.0) {
                        $0 + Double(matrix[i * width + $1]) * Double(mixed[$1])
                    }
                    sums[i] += own
                    size = max(size, abs(own))
                    value += own * direction[i]
                }
                let part = try #require(found.parts.first { $0.layer == index && $0.head == head })
                #expect(abs(part.value - value) <= 1e-9 * max(1, abs(value)))
            }
            for (sum, value) in zip(sums, written) {
                #expect(abs(sum - Double(value)) <= 0x1p-10 * Double(c.heads) * size)
            }
        }
    }

    @Test func aDifferenceIsTheDifference() async throws {
        let recorded = try await Recorded(.gqa, generate: 1, Capture(.stats))
        let provenance = try recorded.provenance(step: 0)
        let (one, other) = (
            try LogitAttribution(of: 5, in: provenance), try LogitAttribution(of: 9, in: provenance)
        )
        let both = try LogitAttribution(of: 5, against: 9, in: provenance)
        #expect(abs(both.residual) <= 1e-3 && both.logit == one.logit - other.logit)
        for (part, (a, b)) in zip(both.parts, zip(one.parts, other.parts)) {
            #expect(abs(part.value - (a.value - b.value)) <= 1e-9)
        }
    }
}
