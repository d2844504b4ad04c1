import ComputeGraph
import GGUF
import LlamaModel
import Operations
import Quantization
import Tensors

extension LogitAttribution {
    /// From the largest part down to one weight of the file: at each step the largest.
    public struct Chain: Sendable {
        public let part: Part
        /// The activation that writes most: a value of the head's output, or a neuron. `nil` for an embedding or bias.
        public let channel: Channel?
        /// The dimension of the stream by which it, or the embedding, adds most.
        public let dimension: Int
        /// The element that was written there.
        public let written: String
        /// What one unit there adds to the logit.
        public let direction: Double
        public let weight: StoredWeight
        /// `weight · activation · direction`: what this one weight adds to the logit.
        public let value: Double
    }

    public struct Channel: Sendable {
        public let address: String
        public let index: Int
        public let activation: Float
        /// What it adds to the logit through all dimensions.
        public let value: Double
    }
}

extension LogitView {
    /// - Parameter parts: to choose from; roundings and the output's bias, which no layer wrote, lead nowhere.
    func chain(from parts: [Part]) throws -> LogitAttribution.Chain {
        let part = parts.filter { ![.attentionRounding, .outputRounding, .outputBias].contains($0.kind) }
            .max { abs($1.value).isWorse(than: abs($0.value)) }!
        switch part.kind {
        case .head:
            let size = model.configuration.perLayer[part.layer!].mixSize
            return try chain(
                part, try back(from: .attentionWrite, layer: part.layer!),
                channels: part.head! * size..<(part.head! + 1) * size)
        case .feedForward:
            let back = try back(from: .feedForwardWrite, layer: part.layer!)
            return try chain(part, back, channels: 0..<provenance.graph.layout(of: back.origin.inputs[1]).shape.ne0)
        case .expert: return try expertChain(part)
        case .sharedExpert:
            let back = try back(from: .sharedOutput, layer: part.layer!)
            return try chain(part, back, channels: 0..<provenance.graph.layout(of: back.origin.inputs[1]).shape.ne0)
        case .embedding:
            let back = try WrittenBack(from: try provenance.node(.embedding), direction, in: provenance) {
                $0.operation is GetRows
            }
            return try chain(
                part, back.written, back.direction, back.origin.inputs[0], row: provenance.tokens.last!)
        case .attentionBias: return try chain(part, try back(from: .attentionWrite, layer: part.layer!).biases)
        case .feedForwardBias: return try chain(part, try back(from: .feedForwardWrite, layer: part.layer!).biases)
        case .attentionRounding, .outputRounding, .outputBias:
            preconditionFailure("\(part.kind): no part to go on from")
        }
    }

    private func chain(_ part: Part, _ biases: [WrittenBack.Bias]) throws -> LogitAttribution.Chain {
        let bias = biases.max { abs($1.value).isWorse(than: abs($0.value)) }!
        return try chain(part, bias.written, bias.direction, bias.source, row: 0)
    }

    /// A row of weights that is added as it is.
    private func chain(
        _ part: Part, _ written: Node, _ direction: [Double], _ weight: Source, row: Int
    ) throws -> LogitAttribution.Chain {
        let values = zip(direction, provenance.tensor(of: weight).decodedRow(row)).map { $0 * Double($1) }
        let i = values.indices.max { abs(values[$1]).isWorse(than: abs(values[$0])) }!
        return LogitAttribution.Chain(
            part: part, channel: nil, dimension: i, written: address(written, i), direction: direction[i],
            weight: try StoredWeight(row: row, column: i, of: provenance.weight(weight)!, in: model.file),
            value: values[i])
    }

    /// By way of the matrix that writes into the stream.
    private func chain(_ part: Part, _ back: WrittenBack, channels: Range<Int>) throws -> LogitAttribution.Chain {
        let (matrix, source) = (back.origin.inputs[0], back.origin.inputs[1])
        let token = provenance.graph.layout(of: source).shape.ne1 - 1
        return try chain(
            part, through: provenance.tensor(of: matrix), provenance.weight(matrix)!, firstRow: 0,
            column: provenance.lastColumn(of: source), onto: back.direction, channels: channels,
            source: { provenance.address(of: source, at: ElementIndex($0, token)) },
            written: { address(back.written, $0) })
    }

    /// By way of the matrix of an expert, whose output the router's weight multiplies.
    private func expertChain(_ part: Part) throws -> LogitAttribution.Chain {
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
        let column = activations.row(slot, activations.shape.ne2 - 1, 0)
        return try chain(
            part, through: matrices.view(plane, at: matrices.layout.rowOffset(0, expert)),
            provenance.weight(product.inputs[0])!, firstRow: expert * matrices.shape.ne1, column: column,
            onto: direction.map { $0 * weight }, channels: column.indices,
            source: { provenance.address(of: source, at: ElementIndex($0, slot, token)) },
            written: { provenance.address(of: .node(product.index), at: ElementIndex($0, slot, token)) })
    }

    /// - Parameters:
    ///   - matrix: `[K, R]`, the rows of the file's `weight` from `firstRow` on.
    ///   - column: K activations.
    ///   - direction: what one unit of each of the R values adds to the logit.
    private func chain(
        _ part: Part, through matrix: Tensor, _ weight: TensorInfo, firstRow: Int, column: [Float],
        onto direction: [Double], channels: Range<Int>, source: (Int) -> String, written: (Int) -> String
    ) throws -> LogitAttribution.Chain {
        let projection = Projection(column, through: matrix, onto: direction.enumerated().map { ($0, $1) })
        let k = channels.max {
            abs(projection.value(of: $1)).isWorse(than: abs(projection.value(of: $0)))
        }!
        let stored = try direction.indices.map { i in
            try StoredWeight(row: firstRow + i, column: k, of: weight, in: model.file)
        }
        let values = zip(stored, direction).map { Double($0.element.value) * $1 * Double(column[k]) }
        let i = values.indices.max { abs(values[$1]).isWorse(than: abs(values[$0])) }!
        return LogitAttribution.Chain(
            part: part,
            channel: .init(
                address: source(k), index: k, activation: column[k], value: projection.value(of: k)),
            dimension: i, written: written(i), direction: direction[i], weight: stored[i], value: values[i])
    }

    private func address(_ node: Node, _ index: Int) -> String {
        provenance.address(of: .node(node.index), at: ElementIndex(index, node.layout.shape.ne1 - 1))
    }
}
