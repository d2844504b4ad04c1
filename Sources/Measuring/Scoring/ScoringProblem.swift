import LlamaModel
import Tensors

/// A text that a model cannot be scored on, or models that cannot be compared.
public enum ScoringProblem: InputProblem, Sendable, Equatable {
    case tooShort(text: String, tokens: Int, chunk: Int)
    case nothingLeft(text: String, chunks: Int, skipped: Int)
    case chunkTooLong(file: String, chunk: Int, trained: Int)
    case otherVocabulary(base: String, other: String, difference: VocabularyDifference)
    case notFinite(file: String, text: String, chunk: Int)
    case noTokenizer(LlamaError)
}

extension ScoringProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .tooShort(let text, let tokens, let chunk):
            "\(text): found \(tokens) \(tokens == 1 ? "token" : "tokens"), expected at least the \(chunk) of one chunk. "
                + "Give a longer text with --file"
                + (tokens >= ScoredText.shortestChunk ? ", or make chunks shorter with --chunk \(tokens)." : ".")
        case .nothingLeft(let text, let chunks, let skipped):
            "\(text): found \(chunks) whole \(chunks == 1 ? "chunk" : "chunks"), expected more than the \(skipped) to leave "
                + "out. Leave fewer out, give a longer text, or make chunks shorter with --chunk."
        case .chunkTooLong(let file, let chunk, let trained):
            "\(file): the model was trained for \(trained) positions, a chunk of \(chunk) tokens needs more. "
                + "Make chunks shorter with --chunk."
        case .otherVocabulary(let base, let other, let difference):
            "\(base) and \(other) have different vocabularies: \(difference). "
                + "Probabilities of different tokens cannot be compared; name two versions of one model."
        case .notFinite(let file, let text, let chunk):
            "\(file): the logits for chunk \(chunk + 1) of \(text) are not finite, so there is nothing to score. "
                + "Its weights may be damaged: `quipu quant blocks --audit` looks."
        case .noTokenizer(let error):
            error.description
        }
    }
}
