import ComputeGraph
import LlamaModel
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
    /// - Parameter parts: to choose from; roundings are no place to go on from.
    func chain(from parts: [Part]) throws -> LogitAttribution.Chain {
        let part = parts.filter { $0.kind != .attentionRounding && $0.kind != .outputRounding }
            .max { abs($0.value) < abs($1.value) }!
        let size = model.configuration.headSize
        switch part.kind {
        case .head:
            return try chain(
                part, from: "kqv_out-\(part.layer!)", to: "attn_out-\(part.layer!)",
                through: model.weights.layers[part.layer!].attentionOutput.weight,
                channels: part.head! * size..<(part.head! + 1) * size)
        case .feedForward:
            return try chain(
                part, from: "ffn_swiglu-\(part.layer!)", to: "ffn_out-\(part.layer!)",
                through: model.weights.layers[part.layer!].down.weight, channels: 0..<model.configuration.feedForward)
        case .embedding:
            return try chain(part, "embd", model.weights.tokenEmbedding, row: provenance.tokens.last!)
        case .attentionBias, .attentionRounding, .outputRounding:
            return try chain(part, "attn_out-\(part.layer!)", model.weights.layers[part.layer!].attentionOutput.bias!)
        case .feedForwardBias:
            return try chain(part, "ffn_out-\(part.layer!)", model.weights.layers[part.layer!].down.bias!)
        }
    }

    /// A row of weights that is added as it is.
    private func chain(
        _ part: Part, _ name: String, _ weight: LlamaWeights.Weight, row: Int = 0
    ) throws -> LogitAttribution.Chain {
        var values = [Float](repeating: 0, count: direction.count)
        var span = values.mutableSpan
        weight.tensor.decodeRow(row, by: BlockFormats.format(for: weight.info.type)!, into: &span)
        let i = values.indices.max {
            abs(direction[$0] * Double(values[$0])) < abs(direction[$1] * Double(values[$1]))
        }!
        return LogitAttribution.Chain(
            part: part, channel: nil, dimension: i, written: address(name, i), direction: direction[i],
            weight: try WeightPlace(row: row, column: i, of: weight.info, in: model.file),
            value: direction[i] * Double(values[i]))
    }

    /// By way of the matrix that writes into the stream.
    private func chain(
        _ part: Part, from source: String, to target: String, through weight: LlamaWeights.Weight,
        channels: Range<Int>
    ) throws -> LogitAttribution.Chain {
        let column = provenance.lastColumn(of: provenance.node(named: source)!)
        let projection = Projection(column, through: weight.tensor, onto: direction.enumerated().map { ($0, $1) })
        let k = channels.max { abs(projection.value(of: $0)) < abs(projection.value(of: $1)) }!
        let places = try direction.indices.map { i in
            try WeightPlace(row: i, column: k, of: weight.info, in: model.file)
        }
        let values = places.map { Double($0.element.value) * direction[$0.block.row] * Double(column[k]) }
        let i = values.indices.max { abs(values[$0]) < abs(values[$1]) }!
        return LogitAttribution.Chain(
            part: part,
            channel: .init(
                address: address(source, k), index: k, activation: column[k], value: projection.value(of: k)),
            dimension: i, written: address(target, i), direction: direction[i], weight: places[i], value: values[i])
    }

    private func address(_ name: String, _ index: Int) -> String {
        let node = provenance.node(named: name)!
        return provenance.address(of: .node(node.index), at: ElementIndex(index, node.layout.shape.ne1 - 1))
    }
}
