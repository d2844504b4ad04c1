import ComputeGraph
import LlamaModel
import Measuring
import RealModule
import Recording
import Tensors

/// How alike the heads of a run are: query heads of one group, of different groups, and the KV heads themselves.
public struct GroupedAttention: Sendable {
    public struct Layer: Sendable {
        public let layer: Int
        /// `[head][head]`: cosine of what two query heads look at, their attention over all queries and positions taken as
        /// one vector. Never below 0, for attention is not.
        public let patterns: [[Double]]
        /// `[KV head][KV head]`: cosine of their keys at a position, rotated as they are, the mean over positions.
        public let keys: [[Double]]
        /// The same of their values.
        public let values: [[Double]]
        let groupSize: Int

        /// Mean over pairs of query heads that share a KV head; `nil` where no two do.
        public func within(kvHead: Int) -> Double? {
            let heads = kvHead * groupSize..<(kvHead + 1) * groupSize
            return mean(of: patterns) { heads.contains($0) && heads.contains($1) }
        }

        public var within: Double? { mean(of: patterns) { $0 / groupSize == $1 / groupSize } }
        /// Mean over pairs of query heads of different KV heads.
        public var between: Double? { mean(of: patterns) { $0 / groupSize != $1 / groupSize } }
        public var betweenKeys: Double? { mean(of: keys) { _, _ in true } }
        public var betweenValues: Double? { mean(of: values) { _, _ in true } }

        /// Over pairs of different heads, each once.
        private func mean(of matrix: [[Double]], where isMeant: (Int, Int) -> Bool) -> Double? {
            var (sum, count) = (0.0, 0)
            for i in matrix.indices {
                for j in 0..<i where isMeant(i, j) { (sum, count) = (sum + matrix[i][j], count + 1) }
            }
            return count > 0 ? sum / Double(count) : nil
        }
    }

    public let layers: [Layer]
    /// Positions compared.
    public let positions: Int

    /// What a map of heads needs of a network: keys and values by heads, and what the query heads make of them.
    public static let analysis = Analysis("gqa map", needs: [.result(.key), .result(.pattern)])

    /// - Parameters:
    ///   - step: the pass; the prompt's has the most to compare.
    ///   - skipsFirst: leaves attention to position 0 out. Many heads park theirs there, which makes them alike.
    /// - Throws: `AnalysisProblem` if a layer has no heads; `TraceError` if the run has no such step, or did not capture
    ///   attention, keys and values in full.
    public init(
        _ run: RecordedRun, in store: TraceStore, step: Int, skipsFirst: Bool, model: Llama
    ) throws {
        try Self.analysis.check(model)
        let c = model.configuration
        func values(
            _ part: NodeRole.Part, _ layer: Int, headsAt dimension: Int, _ heads: Int
        ) throws -> (shape: Shape, [Float]) {
            let operation = try store.operation(part, layer: layer, run: run, step: step)
            let shape = operation.shape
            guard shape[dimension] == heads, shape.ne3 == 1 else {
                throw TraceError.damaged(
                    TraceDamage(
                        operation, in: store.path, "ne\(dimension)", found: "\(shape)",
                        expected: "\(heads) heads along dimension \(dimension)"))
            }
            let recorded = try store.values(of: operation, in: run)
            guard recorded.isComplete else { throw TraceError.notCaptured(name: operation.name, capture: run.capture) }
            return (recorded.shape, recorded.all.map { $0! })
        }
        var positions = 0
        layers = try (0..<c.layers).map { layer in
            let (shape, attention) = try values(.pattern, layer, headsAt: 2, c.heads)
            positions = shape.ne0
            let plane = shape.ne0 * shape.ne1
            let heads = (0..<shape.ne2).map { head in
                let whole = attention[head * plane..<(head + 1) * plane]
                return skipsFirst ? whole.indices.filter { $0 % shape.ne0 > 0 }.map { whole[$0] }[...] : whole
            }
            return Layer(
                layer: layer, patterns: heads.map { a in heads.map { cosine(a, $0) } },
                keys: Self.perPosition(try values(.key, layer, headsAt: 1, c.kvHeads)),
                // Of latent vectors, there is one for all heads: nothing to compare.
                values: c.perLayer[layer].latent == nil
                    ? Self.perPosition(try values(.value, layer, headsAt: 1, c.kvHeads)) : [[1]],
                groupSize: c.groupSize)
        }
        self.positions = positions
    }

    /// Of `[D, K, T]`.
    private static func perPosition(_ tensor: (shape: Shape, values: [Float])) -> [[Double]] {
        let (d, heads, tokens) = (tensor.shape.ne0, tensor.shape.ne1, tensor.shape.ne2)
        func head(_ number: Int, at token: Int) -> ArraySlice<Float> {
            let start = (token * heads + number) * d
            return tensor.values[start..<start + d]
        }
        return (0..<heads).map { i in
            (0..<heads).map { j in
                (0..<tokens).reduce(0) { $0 + cosine(head(i, at: $1), head(j, at: $1)) } / Double(tokens)
            }
        }
    }
}

/// Of the angle between two vectors; 1 if both are 0, 0 if one is.
private func cosine(_ a: ArraySlice<Float>, _ b: ArraySlice<Float>) -> Double {
    var (product, squaresA, squaresB) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
        product += Double(x) * Double(y)
        squaresA += Double(x) * Double(x)
        squaresB += Double(y) * Double(y)
    }
    if squaresA == 0 || squaresB == 0 { return squaresA == squaresB ? 1 : 0 }
    return product / (squaresA * squaresB).squareRoot()
}
