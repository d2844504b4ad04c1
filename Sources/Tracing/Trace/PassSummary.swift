import ComputeGraph
import LlamaModel
import Recording
import Tensors

/// What a beginner wants to see of a pass: a line a layer, gathered while it runs.
public final class PassSummary: ExecutionObserver {
    public struct Layer: Sendable {
        public let index: Int
        /// Wall time of its operations.
        public internal(set) var nanoseconds = 0
        /// Root mean square of the residual stream at the last token, after the layer.
        public internal(set) var residualRMS = 0.0
        /// The name of its softmaxed scores.
        public internal(set) var pattern: String?
        /// How each head looks from the last token.
        public internal(set) var heads: [AttentionSummary] = []
    }

    public private(set) var layers: [Layer]
    /// Root mean square of the last token's embedding: the residual stream before the first layer.
    public private(set) var embeddingRMS = 0.0
    public private(set) var nanoseconds = 0
    public private(set) var operations = 0

    public var takesParts: Bool { true }
    /// Of the last token alone, which it has computed.
    public var looksAtScores: Bool { false }

    public init(layers: Int) {
        self.layers = (0..<layers).map { Layer(index: $0) }
    }

    public func didEvaluate(_ evaluation: Evaluation) {
        let node = evaluation.node
        if evaluation.isLast { operations += evaluation.fused?.nodes.count ?? 1 }
        nanoseconds += evaluation.nanoseconds
        if node.role.result == .embedding { embeddingRMS = lastColumnRMS(evaluation.output) }
        guard let layer = node.layer else { return }
        layers[layer].nanoseconds += evaluation.nanoseconds
        if let fused = evaluation.fused { look(into: fused, node.layout.shape, layer) }
        if node.role.result == .pattern {
            layers[layer].pattern = node.name
            guard evaluation.part.map({ $0.rows.upperBound == node.layout.shape.ne1 }) ?? true else { return }
            // Of a part, the head that it is of.
            if evaluation.part?.plane ?? 0 == 0 { layers[layer].heads = [] }
            let shape = evaluation.output.shape
            layers[layer].heads += (0..<shape.ne2).map { head in
                evaluation.output.withRow(of: Float.self, shape.ne1 - 1, head) { AttentionSummary($0) }
            }
        } else if node.role.result == .layerOutput {
            layers[layer].residualRMS = lastColumnRMS(evaluation.output)
        }
    }

    /// - Parameter shape: of the mix. [D,T,H]
    private func look(into fused: FusedEvaluation, _ shape: Shape, _ layer: Int) {
        let (heads, tokens) = (shape.ne2, shape.ne1)
        layers[layer].heads = (0..<heads).map { head in
            let (node, rows) = fused.valueBeforeLast(
                OutputPart(plane: head, rows: tokens - 2..<tokens, isLast: head == heads - 1))
            layers[layer].pattern = node.name
            return rows.withRow(of: Float.self, 1) { AttentionSummary($0) }
        }
    }

    private func lastColumnRMS(_ tensor: Tensor) -> Double {
        tensor.withRow(of: Float.self, tensor.shape.ne1 - 1) { row in
            Statistics((0..<row.count).map { row[$0] }).rms ?? 0
        }
    }
}
