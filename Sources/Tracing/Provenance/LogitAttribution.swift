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
/// without one of them: s would change, and so would all that read it. Source: Elhage et al. 2021; Nostalgebraist 2020.
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
            /// The logits are a product of rounded activations too.
            case outputRounding
        }

        public let kind: Kind
        public let layer: Int?
        public let head: Int?
        public let kvHead: Int?
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

    public var sum: Double { parts.reduce(0) { $0 + $1.value } }
    public var residual: Double { Double(logit) - sum }

    /// The heads that share a KV head, and what they add together; layer by layer.
    public var groups: [(layer: Int, kvHead: Int, heads: [Int], value: Double)] {
        let heads = parts.filter { $0.kind == .head }
        return Dictionary(grouping: heads) { [$0.layer!, $0.kvHead!] }.map { key, heads in
            (key[0], key[1], heads.map { $0.head! }, heads.reduce(0) { $0 + $1.value })
        }.sorted { ($0.0, $0.1) < ($1.0, $1.1) }
    }

    /// - Precondition: ids of the vocabulary.
    public init(of token: Int, against: Int? = nil, in provenance: Provenance) throws {
        let stream = LogitView(of: token, against: against, in: provenance)
        (self.token, self.against) = (token, against)
        (logit, scale) = (stream.logit, stream.scale)
        var (parts, layers) = ([stream.part(.embedding, stream.written(by: "embd"))], [Layer]())
        for index in 0..<provenance.model.configuration.layers {
            let (found, layer) = stream.layer(index)
            parts += found
            layers.append(layer)
        }
        (self.parts, self.layers) = (parts + [stream.outputRounding], layers)
        chain = try stream.chain(from: parts)
    }
}

/// The residual stream at the last position of a pass, seen from a logit.
struct LogitView {
    typealias Part = LogitAttribution.Part

    let provenance: Provenance
    private let rows: [(row: Int, weight: Double)]
    let token: Int
    let logit: Float
    let scale: Double
    /// What one unit in dimension i of the stream adds to the logit.
    let direction: [Double]
    private let normed: [Float]

    var model: Llama { provenance.model }

    init(of token: Int, against: Int?, in provenance: Provenance) {
        (self.provenance, self.token) = (provenance, token)
        rows = [(token, 1.0)] + (against.map { [($0, -1.0)] } ?? [])
        let (model, nodes) = (provenance.model, provenance.graph.nodes)
        let logits = provenance.tensor(of: .node(nodes.count - 1)).floats()
        logit = logits[token] - (against.map { logits[$0] } ?? 0)
        normed = provenance.lastColumn(of: provenance.node(named: "result_norm")!)
        let norm = nodes.last { $0.operation is RMSNorm }!
        let x = provenance.lastColumn(of: norm.inputs[0])
        let meanSquare = x.reduce(0) { $0 + Double($1) * Double($1) } / Double(x.count)
        let scale = 1 / (meanSquare + Double(model.configuration.normEpsilon)).squareRoot()
        self.scale = scale
        let gains = model.weights.outputNorm.tensor.floats()
        var direction = [Double](repeating: 0, count: x.count)
        for (row, weight) in rows {
            for (i, w) in model.weights.output.tensor.decodedRow(row).enumerated() {
                direction[i] += weight * Double(w) * Double(gains[i]) * scale
            }
        }
        self.direction = direction
    }

    func part(_ kind: Part.Kind, layer: Int? = nil, head: Int? = nil, _ value: Double) -> Part {
        Part(
            kind: kind, layer: layer, head: head,
            kvHead: head.map(model.configuration.kvHead(ofQueryHead:)), value: value)
    }

    /// What a column added to the stream adds to the logit.
    func value(of column: [Float]) -> Double { zip(direction, column).reduce(0) { $0 + $1.0 * Double($1.1) } }

    func written(by name: String) -> Double {
        value(of: provenance.lastColumn(of: provenance.node(named: name)!))
    }

    /// The parts of a layer.
    func layer(_ index: Int) -> ([Part], LogitAttribution.Layer) {
        let weights = model.weights.layers[index]
        let mixed = provenance.lastColumn(of: provenance.node(named: "kqv_out-\(index)")!)
        let attention = written(by: "attn_out-\(index)")
        let projection = Projection(
            mixed, through: weights.attentionOutput.weight.tensor, onto: direction.enumerated().map { ($0, $1) })
        let size = model.configuration.headSize
        var parts = (0..<model.configuration.heads).map { head in
            part(.head, layer: index, head: head, projection.value(of: head * size..<(head + 1) * size))
        }
        parts.append(part(.attentionRounding, layer: index, projection.rounding))
        if let bias = weights.attentionOutput.bias {
            parts.append(part(.attentionBias, layer: index, value(of: bias.tensor.floats())))
        }
        let attentionSum = parts.reduce(0) { $0 + $1.value }
        let bias = weights.down.bias.map { value(of: $0.tensor.floats()) }
        let feedForward = written(by: "ffn_out-\(index)")
        parts.append(part(.feedForward, layer: index, feedForward - (bias ?? 0)))
        if let bias { parts.append(part(.feedForwardBias, layer: index, bias)) }
        let layer = LogitAttribution.Layer(
            layer: index, attention: attention, attentionResidual: attention - attentionSum, feedForward: feedForward)
        return (parts, layer)
    }

    var outputRounding: Part {
        part(.outputRounding, Projection(normed, through: model.weights.output.tensor, onto: rows).rounding)
    }
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
        return stride(from: start, to: start + layout.rowBytes, by: type.blockBytes).map { place in
            source.withBytes(in: place..<place + type.blockBytes) { format.scales($0).minimum! }
        }
    }
}
