/// What happened to one fragment of a text on its way to ids, for teaching.
///
/// Texts are spelled as the vocabulary spells them ("Ġworld", "▁Once"); bytes that are no text read `<0xE2>`.
public struct TokenizationStep: Sendable, Hashable {
    public enum Origin: Sendable, Hashable {
        /// Not in the text: the vocabulary begins or ends sequences with this token.
        case added
        /// A special token found in the text.
        case special
        /// A stretch of ordinary text; merges never leave it.
        case word
    }

    public let origin: Origin
    public let text: String
    /// What the word was cut into before any merge; empty for `added` and `special`.
    public let symbols: [String]
    /// The merges in the order they were made.
    public let merges: [Merge]
    /// The word is a token and the pre-tokenizer says to look no further (`ignore_merges`).
    public let isTakenWhole: Bool
    /// The ids that came out.
    public let ids: [Int]

    /// Two neighbours that became one.
    public struct Merge: Sendable, Hashable {
        public let left: String
        public let right: String
        public let result: String
        /// Where the left part starts, in bytes from the start of the word.
        public let position: Int
        public let reason: Reason
    }

    /// Why this pair went before all others that were possible.
    public enum Reason: Sendable, Hashable {
        /// The rank of the pair in the list of merges; the lowest goes first.
        case rank(Int)
        /// The score of the token that results; the highest goes first.
        case score(Float)
    }

    static func added(_ id: Int, in vocabulary: Vocabulary) -> TokenizationStep { token(id, .added, vocabulary) }

    static func special(_ id: Int, in vocabulary: Vocabulary) -> TokenizationStep { token(id, .special, vocabulary) }

    private static func token(_ id: Int, _ origin: Origin, _ vocabulary: Vocabulary) -> TokenizationStep {
        TokenizationStep(
            origin: origin, text: vocabulary.text(id), symbols: [], merges: [], isTakenWhole: false, ids: [id])
    }
}
