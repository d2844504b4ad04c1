import LlamaModel
import Tokenization

/// The first thing in which the ids of two models differ in meaning.
public enum VocabularyDifference: Sendable, Equatable {
    /// Tokens, and thus logits.
    case count(base: Int, other: Int)
    /// What a token stands for, as shown in tables.
    case token(id: Int, base: String, other: String)

    /// - Returns: `nil` if the same ids mean the same tokens.
    public init?(_ base: Llama, _ other: Llama) {
        let counts = (base.configuration.vocabulary, other.configuration.vocabulary)
        guard counts.0 == counts.1 else {
            self = .count(base: counts.0, other: counts.1)
            return
        }
        guard let id = base.vocabulary.firstDifference(from: other.vocabulary) else { return nil }
        self = .token(
            id: id, base: base.vocabulary.displayPiece(id), other: other.vocabulary.displayPiece(id))
    }
}

extension VocabularyDifference: CustomStringConvertible {
    public var description: String {
        switch self {
        case .count(let base, let other): "\(base) tokens and \(other)"
        case .token(let id, let base, let other): "token \(id) is '\(base)' in one and '\(other)' in the other"
        }
    }
}
