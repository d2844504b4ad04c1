import ComputeGraph
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
        public let weight: WeightPlace
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
    /// - Parameter parts: to choose from; roundings and the output's bias, which no layer wrote, are no place to go on from.
    func chain(from parts: [Part]) throws -> LogitAttribution.Chain {
        let part = parts.filter { ![.attentionRounding, .outputRounding, .outputBias].contains($0.kind) }
            .max { abs($0.value) < abs($1.value) }!
        switch part.kind {
        case .head:
            let size = model.configuration.perLayer[part.layer!].mixSize
            return try chain(
                part, try back(from: .attentionWrite, layer: part.layer!),
                channels: part.head! * size..<(part.head! + 1) * size)
        case .feedForward:
            let back = try back(from: .feedForwardWrite, layer: part.layer!)
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
        let bias = biases.max { abs($0.value) < abs($1.value) }!
        return try chain(part, bias.written, bias.direction, bias.source, row: 0)
    }

    /// A row of weights that is added as it is.
    private func chain(
        _ part: Part, _ written: Node, _ direction: [Double], _ weight: Source, row: Int
    ) throws -> LogitAttribution.Chain {
        let values = zip(direction, provenance.tensor(of: weight).decodedRow(row)).map { $0 * Double($1) }
        let i = values.indices.max { abs(values[$0]) < abs(values[$1]) }!
        return LogitAttribution.Chain(
            part: part, channel: nil, dimension: i, written: address(written, i), direction: direction[i],
            weight: try WeightPlace(row: row, column: i, of: provenance.weight(weight)!, in: model.file),
            value: values[i])
    }

    /// By way of the matrix that writes into the stream.
    private func chain(_ part: Part, _ back: WrittenBack, channels: Range<Int>) throws -> LogitAttribution.Chain {
        let (matrix, source) = (back.origin.inputs[0], back.origin.inputs[1])
        let (weight, column) = (provenance.weight(matrix)!, provenance.lastColumn(of: source))
        let projection = Projection(
            column, through: provenance.tensor(of: matrix), onto: back.direction.enumerated().map { ($0, $1) })
        let k = channels.max { abs(projection.value(of: $0)) < abs(projection.value(of: $1)) }!
        let places = try back.direction.indices.map { i in
            try WeightPlace(row: i, column: k, of: weight, in: model.file)
        }
        let values = places.map { Double($0.element.value) * back.direction[$0.block.row] * Double(column[k]) }
        let i = values.indices.max { abs(values[$0]) < abs(values[$1]) }!
        return LogitAttribution.Chain(
            part: part,
            channel: .init(
                address: address(source, k), index: k, activation: column[k], value: projection.value(of: k)),
            dimension: i, written: address(back.written, i), direction: back.direction[i], weight: places[i],
            value: values[i])
    }

    private func address(_ node: Node, _ index: Int) -> String { address(.node(node.index), index) }

    private func address(_ source: Source, _ index: Int) -> String {
        provenance.address(of: source, at: ElementIndex(index, provenance.graph.layout(of: source).shape.ne1 - 1))
    }
}
