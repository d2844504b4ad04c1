import ComputeGraph
import GGUF
import LlamaModel
import Operations
import Quantization
import Quantizing
import Recording
import Tensors
import TestSupport
import Testing
import Tracing

@Suite struct ElementProvenanceTests {
    private static let kindsOfLlama: Set<String> = [
        "GET_ROWS", "RMS_NORM", "MUL", "MUL_MAT", "ADD", "RESHAPE", "ROPE", "VIEW", "SET_ROWS", "PERMUTE", "SOFT_MAX",
        "CONT", "SWIGLU",
    ]

    /// Elements of every node of prompt and generation, drawn at random, held against the trace.
    @Test(arguments: TinyModel.allCases)
    func everyNodeIsReproduced(model: TinyModel) async throws {
        try check(try await Recorded(model, generate: 3, Capture(.all)), steps: [0, 2])
    }

    @Test(arguments: ArchitectureFixture.all)
    func everyArchitectureIsReproduced(fixture: ArchitectureFixture) async throws {
        try check(try await Recorded(fixture, generate: 2, Capture(.all)), steps: [0, 1], isLlama: false)
    }

    @Test(arguments: Sibling.mixes)
    func everyFormatIsReproduced(type: String) async throws {
        try check(try await Sibling.record(type), steps: [0])
    }

    @Test(.enabled(if: Places.runsSmolLM2, Comment(rawValue: Places.smolLM2Hint)))
    func theRealModelIsReproduced() async throws {
        let model = try Llama(file: try GGUFFile(path: Places.smolLM2))
        let recorded = try await Recorded(
            model, prompt: "The capital of France is", generate: 2, Capture(.all), in: TemporaryFolder())
        try check(recorded, steps: [0], each: 1)
    }

    private func check(_ recorded: Recorded, steps: [Int], each: Int = 3, isLlama: Bool = true) throws {
        var random = SeededGenerator(seed: 23)
        let run = try recorded.store.run()
        for step in steps {
            let provenance = try recorded.provenance(step: step)
            var kinds: Set<String> = []
            for (node, snapshot) in zip(provenance.graph.nodes, recorded.passes[step].nodes) {
                kinds.insert(node.kind)
                for _ in 0..<each {
                    let index = random.element(of: node.layout.shape)
                    let captured = try recorded.store.captured(node, at: index, in: run, step: step)
                    let element = try ElementProvenance(
                        node, at: index, in: provenance, step: step, recorded: captured)
                    #expect(element.isReproduced, "\(element.address): \(element.recorded), \(element.recomputed)")
                    // Cells of the cache that nothing was written to are in no trace.
                    if let captured {
                        let number = node.layout.shape.number(of: index)
                        #expect(captured.bitPattern == snapshot.values[number].bitPattern, "\(element.address)")
                    }
                    try check(element)
                }
            }
            #expect(kinds.isSuperset(of: isLlama ? Self.kindsOfLlama : ["MUL_MAT", "SOFT_MAX", "ROPE", "SET_ROWS"]))
        }
    }

    /// The parts of the residual are what they are said to be, and together what separates the two values.
    private func check(_ element: ElementProvenance) throws {
        #expect(element.recomputed.bitPattern == element.recorded.bitPattern, "\(element.address)")
        guard let product = element.product else {
            #expect(element.residual == nil)
            return
        }
        let residual = try #require(element.residual)
        let parts = residual.activations + (residual.blockSums ?? 0) + residual.order
        let difference = Double(element.recorded) - product.dequantised
        #expect(abs(parts - difference) <= 1e-12 * max(1, element.magnitude), "\(element.address)")
        let rounding = zip(product.weights, zip(product.rounded, product.activations)).reduce(0.0) {
            $0 + Double($1.0) * (Double($1.1.0) - Double($1.1.1))
        }
        #expect(abs(residual.activations - rounding) <= 1e-12 * max(1, element.magnitude))
        #expect(abs(residual.order) <= ElementProvenance.tolerance * element.magnitude, "\(element.address)")
        #expect(residual.weights == nil && residual.base == nil)
        for piece in product.blocks.flatMap(\.pieces) {
            // Sums of products of integers; of grids with a shift, in eighths.
            #expect(piece.integerSum * 8 == (piece.integerSum * 8).rounded())
            #expect(product.codes.count == product.weights.count)
        }
        // Block by block: what decoded weights and rounded activations give. Q8_1 keeps a sum in F16.
        for block in product.blocks {
            let expected = block.columns.reduce(0.0) { $0 + Double(product.weights[$1]) * Double(product.rounded[$1]) }
            let size = block.columns.reduce(0.0) { $0 + abs(Double(product.weights[$1]) * Double(product.rounded[$1])) }
            let minima = block.pieces.reduce(0.0) { sum, piece in
                sum + abs(Double(piece.minimum ?? 0)) * Double(piece.storedSum?.magnitude ?? 0) * 0x1p-10
                    + (piece.storedSum == nil ? 0 : abs(Double(piece.minimum ?? 0) * Double(piece.activationScale)) * 4)
            }
            #expect(abs(block.contribution - expected) <= 1e-6 * size + minima, "\(element.address) \(block.index)")
        }
    }

    /// Integer sums of a Q4_1 row, from the bytes of file and activations as Q8_1 is defined, without Quipu's formats.
    @Test func integerSumsAreThoseOfTheBytes() async throws {
        let recorded = try await Recorded(.gqa, generate: 1, Capture(.all))
        let provenance = try recorded.provenance(step: 0)
        let node = try provenance.node(TensorAddress("ffn_out-0"))
        let info = try #require(provenance.weight(node.inputs[0]))
        #expect(info.type == .q4_1)
        let (row, token) = (5, 2)
        let product = try #require(provenance.product(of: node, at: ElementIndex(row, token)))
        let x = Array(
            provenance.tensor(of: node.inputs[1]).floats()[token * info.shape.ne0..<(token + 1) * info.shape.ne0])
        let bytesPerRow = info.shape.ne0 / 32 * 20
        let file = recorded.model.file.values(of: info)
        for (index, block) in product.blocks.enumerated() {
            #expect(block.fileOffset == info.fileOffset + row * bytesPerRow + index * 20)
            let start = file.offset + row * bytesPerRow + index * 20
            let bytes = file.source.withBytes(in: start..<start + 20) { bytes in
                (0..<20).map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
            }
            let codes = bytes[4...].map { Int($0 & 15) } + bytes[4...].map { Int($0 >> 4) }
            let values = x[32 * index..<32 * index + 32]
            let largest = values.map(\.magnitude).max()!
            let rounded = values.map { Int(($0 * (127 / largest)).rounded(.toNearestOrEven)) }
            #expect(block.pieces[0].integerSum == Double(zip(codes, rounded).reduce(0) { $0 + $1.0 * $1.1 }))
            #expect(block.pieces[0].activationSum == rounded.reduce(0, +))
            let sum = Float(rounded.reduce(0, +)) * (largest / 127)
            #expect(block.pieces[0].storedSum == Half.float(f16: Half.f16(sum)))
            #expect(Array(product.codes[32 * index..<32 * index + 32]) == codes)
        }
    }

    /// With the file that was quantised, what rounding the weights did closes the gap to it.
    @Test(arguments: ["Q4_0", "Q4_K_M"])
    func aBaseTellsWhatRoundingTheWeightsDid(type: String) async throws {
        let recorded = try await Sibling.record(type)
        let provenance = try recorded.provenance(step: 0)
        let base = try GGUFFile(path: Sibling.original)
        let node = try provenance.node(TensorAddress("ffn_out-2"))
        let info = try #require(base.tensor(named: "blk.2.ffn_down.weight"))
        let (row, token) = (100, 3)
        let element = try ElementProvenance(
            node, at: ElementIndex(row, token), in: provenance, step: 0, recorded: nil, base: base)
        let width = info.shape.ne0
        let original = base.values(of: info).floats()[row * width..<(row + 1) * width]
        let x = provenance.tensor(of: node.inputs[1]).floats()[token * width..<(token + 1) * width]
        let expected = zip(original, x).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
        let residual = try #require(element.residual)
        let weights = try #require(residual.weights)
        #expect(!element.isCaptured)
        #expect(abs(try #require(residual.base) - expected) <= 1e-12 * element.magnitude)
        #expect(weights != 0)
        let sum = expected + weights + residual.activations + residual.order
        #expect(abs(sum - Double(element.recorded)) <= 1e-12 * element.magnitude)
    }

    @Test func aBaseOfAnotherModelIsRefused() async throws {
        let recorded = try await Recorded(.gqa, generate: 1, Capture(.all))
        let provenance = try recorded.provenance(step: 0)
        let node = try provenance.node(TensorAddress("ffn_out-0"))
        #expect(throws: BlockProblem.self) {
            _ = try ElementProvenance(
                node, at: ElementIndex(0, 0), in: provenance, step: 0, recorded: nil,
                base: try TinyModel.stories.file())
        }
    }

    /// A value in the trace that the graph does not give is no explanation's fault, and is said.
    @Test func anotherValueIsNotReproduced() async throws {
        let recorded = try await Recorded(.gqa, generate: 1, Capture(.all))
        let provenance = try recorded.provenance(step: 0)
        let node = try provenance.node(TensorAddress("ffn_out-0"))
        let index = ElementIndex(3, 1)
        let value = provenance.tensor(of: .node(node.index))[index]
        for (recorded, isReproduced) in [(value, true), (value.nextUp, false), (value + 1, false)] {
            let element = try ElementProvenance(node, at: index, in: provenance, step: 0, recorded: recorded)
            #expect(element.isReproduced == isReproduced)
        }
    }
}
