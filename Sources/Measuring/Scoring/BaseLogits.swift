import LlamaModel
import Tensors

/// A model's logits for all of a text, kept so that many versions of it can be measured against them.
///
/// They take 4 bytes for each scored token and entry of the vocabulary.
public struct BaseLogits {
    public let model: Llama
    public let text: ScoredText
    private let rows: [Tensor]

    /// A version of the model, measured.
    public struct Measurement: Sendable {
        public let divergence: Divergence
        /// Tokens evaluated per second, a chunk at a time; without the time of scoring.
        public let tokensPerSecond: Double
    }

    /// - Parameter progress: called often with the tokens evaluated, also in part; what it throws ends the work.
    /// - Throws: `LlamaError` if a token is not in the model's vocabulary.
    public init(_ logits: ChunkLogits, progress: @escaping (_ done: Double) throws -> Void = { _ in }) throws {
        (model, text) = (logits.model, logits.text)
        let size = Double(logits.text.chunkSize)
        rows = try logits.text.chunks.indices.map { chunk in
            try logits(chunk) { try progress((Double(chunk) + $0) * size) }
        }
    }

    /// Another version of the model on the same text.
    ///
    /// - Parameter progress: as in `init`.
    /// - Throws: `ScoringProblem` if a model gives anything but numbers.
    /// - Precondition: `other` is on the same text.
    public func measure(
        _ other: ChunkLogits, progress: @escaping (_ done: Double) throws -> Void = { _ in }
    ) throws -> Measurement {
        precondition(text == other.text, "models on different texts")
        var divergence = Divergence(on: text)
        var elapsed = Duration.zero
        for chunk in text.chunks.indices {
            let start = ContinuousClock.now
            let found = try other(chunk) { try progress((Double(chunk) + $0) * Double(text.chunkSize)) }
            elapsed += start.duration(to: .now)
            try divergence.add(chunk, of: other, found, from: rows[chunk])
        }
        let tokens = Double(text.chunks.count * text.chunkSize)
        return Measurement(divergence: divergence, tokensPerSecond: tokens / (elapsed / .seconds(1)))
    }
}
