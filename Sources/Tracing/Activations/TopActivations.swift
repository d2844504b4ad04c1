import LlamaModel
import Measuring

/// Where in a text a neuron, or a direction, is largest.
public struct TopActivations: Sendable {
    /// One token, with what was before and after it.
    public struct Hit: Sendable {
        public let value: Double
        public let chunk: Int
        public let position: Int
        /// Tokens before, the token, and tokens after.
        public let context: [Int]
        /// Which of them it is.
        public let index: Int
    }

    public let name: String
    /// The largest first.
    public let hits: [Hit]
    /// Over all tokens that were looked at.
    public let count: Int
    public let mean: Double
    /// Share of them that are above zero.
    public let positive: Double

    /// Tokens shown before one, and after it.
    static let context = (before: 12, after: 4)

    /// - Parameters:
    ///   - stream: one column.
    ///   - direction: what a row is multiplied with; of a neuron, 1 at its place.
    ///   - limit: hits to keep, the largest.
    /// - Throws: `ActivationProblem` if the direction has another length than a row.
    public init(
        _ stream: ActivationStream, along direction: [Float], called name: String, limit: Int,
        progress: @escaping (_ done: Double, _ total: Int) throws -> Void
    ) throws {
        let column = stream.columns[0]
        guard direction.count == column.width else {
            throw ActivationProblem.width(
                name: column.name, width: column.width, found: direction.count, what: "the direction's length")
        }
        let only = direction.indices.filter { direction[$0] != 0 }
        var (hits, sum, count, positive) = ([Hit](), 0.0, 0, 0)
        let (size, total) = (stream.text.chunkSize, stream.text.chunks.count * stream.text.chunkSize)
        for chunk in stream.text.chunks.indices {
            let rows = try stream.rows(of: chunk) { try progress((Double(chunk) + $0) * Double(size), total) }
            for (row, position) in rows.positions.enumerated() {
                let start = row * column.width
                let value = only.reduce(0.0) { $0 + Double(direction[$1]) * Double(rows.values[0][start + $1]) }
                sum += value
                count += 1
                if value > 0 { positive += 1 }
                guard hits.count < limit || value > hits.last!.value else { continue }
                let tokens = stream.text.chunks[chunk]
                let range =
                    max(0, position - Self.context.before)..<min(tokens.count, position + Self.context.after + 1)
                let hit = Hit(
                    value: value, chunk: chunk, position: position, context: Array(tokens[range]),
                    index: position - range.lowerBound)
                hits.insert(hit, at: hits.firstIndex { $0.value < value } ?? hits.endIndex)
                if hits.count > limit { hits.removeLast() }
            }
        }
        (self.name, self.hits, self.count) = (name, hits, count)
        mean = sum / Double(max(1, count))
        self.positive = Double(positive) / Double(max(1, count))
    }
}
