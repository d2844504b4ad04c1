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
            return try chain(part, try writing(part), channels: part.head! * size..<(part.head! + 1) * size)
        case .feedForward, .expert, .sharedExpert:
            let matrix = try writing(part)
            return try chain(part, matrix, channels: matrix.column.indices)
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
    private func chain(
        _ part: Part, _ matrix: WritingMatrix, channels: Range<Int>
    ) throws -> LogitAttribution.Chain {
        let (column, direction, projection) = (matrix.column, matrix.direction, matrix.projection)
        let k = channels.max {
            abs(projection.value(of: $1)).isWorse(than: abs(projection.value(of: $0)))
        }!
        let stored = try direction.indices.map { i in
            try StoredWeight(row: matrix.firstRow + i, column: k, of: matrix.weight, in: model.file)
        }
        let values = zip(stored, direction).map { Double($0.element.value) * $1 * Double(column[k]) }
        let i = values.indices.max { abs(values[$1]).isWorse(than: abs(values[$0])) }!
        return LogitAttribution.Chain(
            part: part,
            channel: .init(
                address: matrix.source(k), index: k, activation: column[k], value: projection.value(of: k)),
            dimension: i, written: matrix.written(i), direction: direction[i], weight: stored[i], value: values[i])
    }

    func address(_ node: Node, _ index: Int) -> String {
        provenance.address(of: .node(node.index), at: ElementIndex(index, node.layout.shape.ne1 - 1))
    }
}
