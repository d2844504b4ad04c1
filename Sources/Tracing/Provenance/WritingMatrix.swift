import ComputeGraph
import GGUF
import LlamaModel
import Operations
import Tensors

/// The matrix by which a part of a layer writes into the residual stream, and what it is multiplied with at the last position.
struct WritingMatrix {
    /// `[K, R]`; of an expert, its own plane.
    let matrix: Tensor
    /// In the file, where its rows begin at `firstRow`.
    let weight: TensorInfo
    let firstRow: Int
    /// K activations.
    let column: [Float]
    /// What one unit of each of the R values adds to the logit.
    let direction: [Double]
    /// Where activation k, and the value that row i makes, can be seen.
    let source: (Int) -> String
    let written: (Int) -> String

    /// What each activation adds to the logit.
    var projection: Projection {
        Projection(column, through: matrix, onto: direction.enumerated().map { ($0, $1) })
    }
}

extension LogitView {
    /// - Precondition: a head, a feed-forward network or an expert.
    func writing(_ part: Part) throws -> WritingMatrix {
        if part.kind == .expert { return try expert(part) }
        let result: NodeRole.Part =
            switch part.kind {
            case .head: .attentionWrite
            case .sharedExpert: .sharedOutput
            default: .feedForwardWrite
            }
        let back = try back(from: result, layer: part.layer!)
        let (matrix, source) = (back.origin.inputs[0], back.origin.inputs[1])
        let token = provenance.graph.layout(of: source).shape.ne1 - 1
        return WritingMatrix(
            matrix: provenance.tensor(of: matrix), weight: provenance.weight(matrix)!, firstRow: 0,
            column: provenance.lastColumn(of: source), direction: back.direction,
            source: { provenance.address(of: source, at: ElementIndex($0, token)) },
            written: { address(back.written, $0) })
    }

    /// The matrix of an expert, whose output the router's weight multiplies.
    private func expert(_ part: Part) throws -> WritingMatrix {
        let weighted = try provenance.node(.expertOutput, layer: part.layer!)
        let product = try expertProduct(of: part.layer!)
        let (expert, slot) = (part.expert!, part.slot!)
        let token = weighted.layout.shape.ne2 - 1
        let weights = provenance.tensor(of: weighted.inputs[1])
        let weight = Double(weights[ElementIndex(0, slot, weights.shape.ne2 - 1)])
        let (matrices, source) = (provenance.tensor(of: product.inputs[0]), product.inputs[1])
        var plane = matrices.layout
        plane.shape.ne2 = 1
        let activations = provenance.tensor(of: source)
        return WritingMatrix(
            matrix: matrices.view(plane, at: matrices.layout.rowOffset(0, expert)),
            weight: provenance.weight(product.inputs[0])!, firstRow: expert * matrices.shape.ne1,
            column: activations.row(slot, activations.shape.ne2 - 1, 0), direction: direction.map { $0 * weight },
            source: { provenance.address(of: source, at: ElementIndex($0, slot, token)) },
            written: { provenance.address(of: .node(product.index), at: ElementIndex($0, slot, token)) })
    }

    /// Every neuron of a part, and what rounding them adds.
    func neurons(of part: Part) throws -> (neurons: [LogitAttribution.Neuron], rounding: Double) {
        let matrix = try writing(part)
        let projection = matrix.projection
        return (
            matrix.column.indices.map { k in
                LogitAttribution.Neuron(
                    layer: part.layer!, expert: part.expert, isShared: part.kind == .sharedExpert, index: k,
                    address: matrix.source(k), activation: matrix.column[k], value: projection.value(of: k))
            }, projection.rounding
        )
    }
}

extension LogitAttribution {
    /// A hidden unit of a feed-forward network or of an expert: a column of its down projection.
    public struct Neuron: Sendable {
        public let layer: Int
        /// `nil` in a network that all tokens go through.
        public let expert: Int?
        /// Whether it is of the expert that all tokens share.
        public let isShared: Bool
        public let index: Int
        /// `ffn_swiglu-3[120,4]`
        public let address: String
        public let activation: Float
        /// What it adds to the logit.
        public let value: Double
    }

    /// What the neurons of a layer add together: of its feed-forward network or experts, without their biases.
    public struct NeuronLayer: Sendable {
        public let layer: Int
        public let count: Int
        public let sum: Double
        /// What rounding them before the down projection adds.
        public let rounding: Double
        /// Of the parts that they are of, what is left: biases of experts, and Floats that were added up in some order.
        public let rest: Double
    }

    /// The neurons that add most, of all layers, and what those of each layer add together.
    ///
    /// - Parameter limit: neurons to keep.
    func singleNeurons(_ limit: Int, in view: LogitView) throws -> (most: [Neuron], layers: [NeuronLayer]) {
        var (most, layers) = ([Neuron](), [NeuronLayer]())
        let networks = parts.filter { [.feedForward, .expert, .sharedExpert].contains($0.kind) }
        for (layer, parts) in Dictionary(grouping: networks, by: { $0.layer! }).sorted(by: { $0.key < $1.key }) {
            var (count, sum, rounding) = (0, 0.0, 0.0)
            for part in parts {
                let found = try view.neurons(of: part)
                count += found.neurons.count
                sum += found.neurons.reduce(0) { $0 + $1.value }
                rounding += found.rounding
                most = Array((most + found.neurons).sorted { abs($0.value).isWorse(than: abs($1.value)) }.prefix(limit))
            }
            layers.append(
                NeuronLayer(
                    layer: layer, count: count, sum: sum, rounding: rounding,
                    rest: parts.reduce(0) { $0 + $1.value } - sum - rounding))
        }
        return (most, layers)
    }
}
