import LlamaModel
import Quantizing
import RealModule
import Tensors

/// How well a model predicts a text: e to the mean surprise of the scored tokens.
///
/// A model that always chose among n tokens, each as likely as the others, would have perplexity n.
/// Source: llama.cpp `perplexity` in `tools/perplexity/perplexity.cpp`.
public struct Perplexity: Sendable {
    /// The surprise of each scored token, chunk after chunk: minus the natural logarithm of its probability.
    public let surprises: [Double]
    /// Scored tokens of a chunk.
    public let tokensPerChunk: Int

    /// - Parameter progress: called often with the tokens evaluated, also in part, and those to evaluate; what it throws
    ///   ends the work.
    /// - Throws: `ScoringProblem` if the model gives anything but numbers.
    public init(
        _ logits: ChunkLogits, progress: @escaping (_ done: Double, _ total: Int) throws -> Void = { _, _ in }
    ) throws {
        let text = logits.text
        let surprises = try text.chunks.indices.flatMap { chunk in
            try logits.surprises(of: chunk) {
                try progress((Double(chunk) + $0) * Double(text.chunkSize), text.chunks.count * text.chunkSize)
            }
        }
        self.init(surprises: surprises, tokensPerChunk: text.scored.count)
    }

    public init(surprises: [Double], tokensPerChunk: Int) {
        self.surprises = surprises
        self.tokensPerChunk = tokensPerChunk
    }

    /// The mean surprise in natural units, with its standard error.
    public var meanSurprise: Estimate { Estimate(meanOf: surprises) }
    public var estimate: Estimate { meanSurprise.exponential }

    /// Each chunk on its own.
    public var chunks: [Estimate] {
        stride(from: 0, to: surprises.count, by: tokensPerChunk).map {
            Estimate(meanOf: Array(surprises[$0..<$0 + tokensPerChunk])).exponential
        }
    }

    /// After each chunk, over it and those before it.
    public var running: [Double] {
        var sum = 0.0
        return stride(from: 0, to: surprises.count, by: tokensPerChunk).map { start in
            sum += surprises[start..<start + tokensPerChunk].reduce(0, +)
            return Double.exp(sum / Double(start + tokensPerChunk))
        }
    }
}

extension ChunkLogits {
    /// The surprise of each of a chunk's scored tokens.
    ///
    /// - Throws: `ScoringProblem` if the model gives anything but numbers.
    public func surprises(
        of chunk: Int, progress: @escaping (_ share: Double) throws -> Void = { _ in }
    ) throws -> [Double] {
        let rows = try self(chunk, progress: progress)
        return try scores(of: chunk) { row, target in rows.withRow(of: Float.self, row) { $0.surprise(at: target) } }
    }
}

extension Span<Float> {
    /// Minus the natural logarithm of a logit's share; `nil` if it is not finite.
    func surprise(at index: Int) -> Double? {
        let largest = Double(maximum.value)
        var sum = 0.0
        for i in indices { sum += Double.exp(Double(self[i]) - largest) }
        let surprise = Double.log(sum) + largest - Double(self[index])
        return surprise.isFinite ? surprise : nil
    }

    /// The largest number, and the first index that has it.
    var maximum: (index: Int, value: Float) {
        var (index, value) = (0, self[0])
        for i in indices where self[i] > value { (index, value) = (i, self[i]) }
        return (index, value)
    }
}
