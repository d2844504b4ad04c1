import ComputeGraph
import LlamaModel
import Measuring
import Operations
import Quantization
import Tensors

/// A logit as a sum of what each part of the network wrote into the residual stream: direct logit attribution.
///
/// `logit = Σ_i W_out[i, token] · w[i] · s · x[i]`, x the residual stream at the last position, w the final norm's
/// weight, `s = 1 / sqrt(mean(x²) + ε)`. With s frozen at its value in this pass the logit is linear in x, and x is the
/// sum of what was written: embedding, heads, feed-forward networks, biases. The parts do not say what would happen
/// without one of them: s would change, and so would all that read it. Where an architecture normalises what a layer writes,
/// that norm's root is frozen too; where it scales writes or logits, the parts are scaled. Source: Elhage et al. 2021; Nostalgebraist 2020.
///
/// A product rounds its activations first; what that did to the logit is a part of its own, so that the sum closes.
public struct LogitAttribution: Sendable {
    public struct Part: Sendable {
        public enum Kind: String, Sendable {
            case embedding, head
            /// The attention's output is a product of rounded activations; what rounding them did.
            case attentionRounding
            case attentionBias
            case feedForward
            case feedForwardBias
            /// One that the router chose, times its weight.
            case expert
            /// The one that all tokens go through.
            case sharedExpert
            /// The logits are a product of rounded activations too.
            case outputRounding
            case outputBias
        }

        public let kind: Kind
        public let layer: Int?
        public let head: Int?
        public let kvHead: Int?
        /// Of an expert: its number, and in which slot it was chosen.
        public var expert: Int?
        public var slot: Int?
        public let value: Double
    }

    /// What the attention of a layer adds, and how well its parts add up to it.
    public struct Layer: Sendable {
        public let layer: Int
        /// Of the attention's output as it was computed, bias included.
        public let attention: Double
        /// `attention` less its heads, rounding and bias: Floats that were added up in some order.
        public let attentionResidual: Double
        public let feedForward: Double
    }

    public let token: Int
    /// The token that it is held against; `nil` if none: then the parts are of the logit, else of a difference.
    public let against: Int?
    /// As the graph computed it; of a difference, the difference.
    public let logit: Float
    /// s.
    public let scale: Double
    /// Disjoint; together the logit.
    public let parts: [Part]
    public let layers: [Layer]
    public let chain: Chain
    /// Those that add most, and what all of each layer add together; empty unless they were asked for.
    public private(set) var neurons: [Neuron] = []
    public private(set) var neuronLayers: [NeuronLayer] = []
    /// Whether what a layer writes is normalised before, by a root that is frozen as s is.
    public let freezesWrites: Bool
    /// What the architecture multiplies logits by, or leaves of this one below its cap; part of all that is said here.
    public let logitScale: Double
    /// Whether the architecture bends logits below a cap.
    public let isCapped: Bool
    /// Whether the final norm subtracts the mean of the stream.
    public let isCentred: Bool

    public var sum: Double { parts.reduce(0) { $0 + $1.value } }
    public var residual: Double { Double(logit) - sum }

    /// The heads that share a KV head, and what they add together; layer by layer.
    public var groups: [(layer: Int, kvHead: Int, heads: [Int], value: Double)] {
        let heads = parts.filter { $0.kind == .head }
        return Dictionary(grouping: heads) { [$0.layer!, $0.kvHead!] }.map { key, heads in
            (key[0], key[1], heads.map { $0.head! }, heads.reduce(0) { $0 + $1.value })
        }.sorted { ($0.0, $0.1) < ($1.0, $1.1) }
    }

    /// What an attribution needs of a network.
    public static let analysis = Analysis(
        "explain logit", needs: [.sum, .result(.mix), .readout])

    /// - Parameter limit: single neurons that are wanted, those that add most.
    /// - Precondition: ids of the vocabulary.
    /// - Throws: `AnalysisProblem` if the network is no sum of what its parts write.
    public init(
        of token: Int, against: Int? = nil, neurons limit: Int = 0, in provenance: Provenance
    ) throws {
        try Self.analysis.check(provenance.graph, of: provenance.model.configuration.sizes.architecture)
        let view = try LogitView(of: token, against: against, in: provenance)
        (self.token, self.against) = (token, against)
        (logit, scale) = (view.logit, view.scale)
        var (parts, layers) = ([view.part(.embedding, try view.written(by: .embedding))], [Layer]())
        for index in 0..<provenance.model.configuration.layers {
            let (found, layer) = try view.layer(index)
            parts += found
            layers.append(layer)
        }
        if let bias = view.outputBias { parts.append(bias) }
        (self.parts, self.layers) = (parts + [view.outputRounding], layers)
        (freezesWrites, logitScale) = (try view.freezesWrites, view.logitScale)
        isCapped = provenance.graph.nodes.contains { $0.role.part == .logits && $0.operation is Tanh }
        isCentred = provenance.graph.nodes.contains { $0.role.part == .finalNorm && $0.operation is LayerNorm }
        chain = try view.chain(from: parts)
        if limit > 0 { (neurons, neuronLayers) = try singleNeurons(limit, in: view) }
    }
}

/// The residual stream at the last position of a pass, seen from a logit.
struct LogitView {
    typealias Part = LogitAttribution.Part

    let provenance: Provenance
    /// Rows of the output matrix, and how often what they make counts in the logit.
    private let rows: [(row: Int, weight: Double)]
    let token: Int
    let logit: Float
    let scale: Double
    /// What logits are multiplied by after their product.
    let logitScale: Double
    let outputBias: Part?
    /// What one unit in dimension i of the stream adds to the logit.
    let direction: [Double]
    private let normed: [Float]
    private let output: Tensor

    var model: Llama { provenance.model }

    init(of token: Int, against: Int?, in provenance: Provenance) throws(AnalysisProblem) {
        (self.provenance, self.token) = (provenance, token)
        let end = try provenance.node(.logits)
        let logits = provenance.lastColumn(of: end)
        logit = logits[token] - (against.map { logits[$0] } ?? 0)
        var wanted = [Double](repeating: 0, count: logits.count)
        wanted[token] += 1
        if let against { wanted[against] -= 1 }
        let back = try WrittenBack(from: end, wanted, in: provenance)
        let rows = ([token] + (against.map { [$0] } ?? [])).map { (row: $0, weight: back.direction[$0]) }
        self.rows = rows
        logitScale = abs(rows[0].weight)
        let output = provenance.tensor(of: back.origin.inputs[0])
        self.output = output
        let normNode = try provenance.node(.finalNorm)
        normed = provenance.lastColumn(of: normNode)
        var direction = [Double](repeating: 0, count: normed.count)
        for (row, weight) in rows {
            for (i, w) in output.decodedRow(row).enumerated() { direction[i] += weight * Double(w) }
        }
        let stream = try WrittenBack(from: normNode, direction, in: provenance) { $0.role.result?.isResidual ?? false }
        (self.direction, scale) = (stream.direction, stream.frozen[0])
        let biases = back.biases + stream.biases
        outputBias =
            biases.isEmpty
            ? nil
            : Part(kind: .outputBias, layer: nil, head: nil, kvHead: nil, value: biases.reduce(0) { $0 + $1.value })
    }

    func part(_ kind: Part.Kind, layer: Int? = nil, head: Int? = nil, _ value: Double) -> Part {
        Part(
            kind: kind, layer: layer, head: head,
            kvHead: head.map(model.configuration.kvHead(ofQueryHead:)), value: value)
    }

    /// What a column added to the stream adds to the logit.
    func value(of column: [Float]) -> Double { zip(direction, column).reduce(0) { $0 + $1.0 * Double($1.1) } }

    func written(by part: NodeRole.Part, layer: Int? = nil) throws(AnalysisProblem) -> Double {
        value(of: provenance.lastColumn(of: try provenance.node(part, layer: layer)))
    }

    /// From what a part writes into the stream back to its matrix.
    func back(from part: NodeRole.Part, layer: Int) throws(AnalysisProblem) -> WrittenBack {
        try WrittenBack(from: try provenance.node(part, layer: layer), direction, in: provenance)
    }

    /// Whether norms of what layers write are frozen besides the final one.
    var freezesWrites: Bool {
        get throws(AnalysisProblem) {
            guard model.configuration.layers > 0 else { return false }
            let writes =
                try [back(from: .attentionWrite, layer: 0)]
                + (hasExperts(0) ? [] : [back(from: .feedForwardWrite, layer: 0)])
            return writes.contains { !$0.frozen.isEmpty }
        }
    }

    /// The parts of a layer.
    func layer(_ index: Int) throws(AnalysisProblem) -> ([Part], LogitAttribution.Layer) {
        let back = try back(from: .attentionWrite, layer: index)
        let projection = Projection(
            provenance.lastColumn(of: back.origin.inputs[1]), through: provenance.tensor(of: back.origin.inputs[0]),
            onto: back.direction.enumerated().map { ($0, $1) })
        let attention = try written(by: .attentionWrite, layer: index)
        let sizes = model.configuration.perLayer[index]
        var parts = (0..<sizes.heads).map { head in
            let channels = head * sizes.mixSize..<(head + 1) * sizes.mixSize
            return part(.head, layer: index, head: head, projection.value(of: channels))
        }
        parts.append(part(.attentionRounding, layer: index, projection.rounding))
        if !back.biases.isEmpty { parts.append(part(.attentionBias, layer: index, back.bias)) }
        let attentionSum = parts.reduce(0) { $0 + $1.value }
        let feedForward = try written(by: .feedForwardWrite, layer: index)
        if hasExperts(index) {
            parts += try experts(of: index)
        } else {
            let down = try self.back(from: .feedForwardWrite, layer: index)
            parts.append(part(.feedForward, layer: index, feedForward - down.bias))
            if !down.biases.isEmpty { parts.append(part(.feedForwardBias, layer: index, down.bias)) }
        }
        let layer = LogitAttribution.Layer(
            layer: index, attention: attention, attentionResidual: attention - attentionSum, feedForward: feedForward)
        return (parts, layer)
    }

    private func hasExperts(_ layer: Int) -> Bool {
        provenance.graph.nodes.contains { $0.layer == layer && $0.role.result == .expertOutput }
    }

    /// What each expert that the last token went through wrote, and the one that all tokens share.
    private func experts(of layer: Int) throws(AnalysisProblem) -> [Part] {
        let weighted = provenance.tensor(of: .node(try provenance.node(.expertOutput, layer: layer).index))
        let (slots, token) = (weighted.shape.ne1, weighted.shape.ne2 - 1)
        let product = try expertProduct(of: layer)
        let ids = provenance.tensor(of: product.inputs[2])
        var parts = (0..<slots).map { slot in
            var part = part(.expert, layer: layer, value(of: weighted.row(slot, token, 0)))
            (part.expert, part.slot) = (Int(ids[ElementIndex(slot, token)]), slot)
            return part
        }
        if provenance.graph.nodes.contains(where: { $0.layer == layer && $0.role.result == .sharedOutput }) {
            parts.append(part(.sharedExpert, layer: layer, try written(by: .sharedOutput, layer: layer)))
        }
        return parts
    }

    /// The product with the matrices that write into the stream, before the experts' biases if they have some.
    func expertProduct(of layer: Int) throws(AnalysisProblem) -> Node {
        let weighted = try provenance.node(.expertOutput, layer: layer)
        var node = weighted
        while !(node.operation is MatMulID) {
            guard node === weighted || node.operation is AddID, case .node(let index) = node.inputs[0] else {
                throw .noWayBack(weighted, architecture: provenance.model.configuration.sizes.architecture)
            }
            node = provenance.graph.nodes[index]
        }
        return node
    }

    var outputRounding: Part { part(.outputRounding, Projection(normed, through: output, onto: rows).rounding) }
}

/// A matrix between activations and a logit: what each activation adds to the logit by way of all rows that count.
struct Projection {
    private let activations: [Float]
    /// What one unit of activation k adds.
    let weights: [Double]
    /// What rounding the activations, and Q8_1's sums of them, adds.
    let rounding: Double

    /// - Parameters:
    ///   - matrix: `[K, R]`
    ///   - rows: those that count, and how much.
    init(_ activations: [Float], through matrix: Tensor, onto rows: [(row: Int, weight: Double)]) {
        self.activations = activations
        let rounded = RoundedActivations(activations, for: BlockFormats.format(for: matrix.type)!)
        var (weights, sums) = ([Double](repeating: 0, count: activations.count), 0.0)
        for (row, weight) in rows {
            for (k, w) in matrix.decodedRow(row).enumerated() { weights[k] += weight * Double(w) }
            if !rounded.sumErrors.isEmpty {
                sums += weight * zip(matrix.minima(row: row), rounded.sumErrors).reduce(0) { $0 + Double($1.0) * $1.1 }
            }
        }
        self.weights = weights
        rounding = activations.indices.reduce(sums) {
            $0 + weights[$1] * (Double(rounded.values[$1]) - Double(activations[$1]))
        }
    }

    func value(of range: Range<Int>) -> Double { range.reduce(0) { $0 + value(of: $1) } }
    func value(of k: Int) -> Double { weights[k] * Double(activations[k]) }
}

extension Provenance {
    /// The last token's column of a tensor `[N, T]`.
    func lastColumn(of source: Source) -> [Float] {
        let tensor = tensor(of: source)
        return tensor.row(tensor.shape.ne1 - 1, 0, 0)
    }

    func lastColumn(of node: Node) -> [Float] { lastColumn(of: .node(node.index)) }
}

extension Tensor {
    /// What is added to the weights of each block of a row, in formats with one minimum a block.
    fileprivate func minima(row: Int) -> [Float] {
        let format = BlockFormats.describableFormat(for: type)!
        let start = offset + row * layout.rowBytes
        return stride(from: start, to: start + layout.rowBytes, by: type.blockBytes).map { offset in
            source.withBytes(in: offset..<offset + type.blockBytes) { format.scales($0).minimum! }
        }
    }
}
