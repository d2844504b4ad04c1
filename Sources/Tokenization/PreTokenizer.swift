/// How a byte-pair vocabulary wants text cut into words before any merge, and what else comes with its name.
///
/// A merge never crosses a word boundary, so the cut decides the ids as much as the merges do. Models are trained with
/// one cut and give nonsense with another; that is why an unknown name is refused. The names, expressions and defaults
/// are llama.cpp's (`llama_vocab::impl::load` and `llm_tokenizer_bpe`).
struct PreTokenizer: Sendable {
    /// What the symbols are that merges start from.
    enum Spelling: Sendable {
        /// Bytes, in GPT-2's alphabet.
        case bytes
        /// Characters as they are; such without a token become `<0xE2>` tokens.
        case characters
        /// The same with "▁" for a space, as in SentencePiece.
        case charactersWithoutSpaces
    }

    /// The splits, each applied to the pieces that the one before left.
    let splits: [Split]
    var spelling = Spelling.bytes
    /// A word that is a token is taken whole, without looking at its merges.
    var ignoresMerges = false
    /// Of such words only line feeds are taken whole.
    var ignoresMergesOfLineFeeds = false
    /// The vocabulary may come without a list of merges.
    var needsNoMerges = false
    /// What to do when `tokenizer.ggml.add_bos_token` is missing.
    var addsBOS = false
    /// Texts begin with the beginning-of-sequence token whatever that key says.
    var alwaysAddsBOS = false
    /// Detokenized text loses the space before `?`, `!`, `.`, `,`, `'s`, `'m`, `'re` and `'ve`.
    var cleansSpaces = false
    /// There is no beginning-of-sequence token unless the metadata names one.
    var hasNoDefaultBOS = false

    /// The pre-tokenizer llama.cpp falls back to when the metadata names none.
    static let defaultName = "default"

    /// Every name that is known, sorted.
    static var knownNames: [String] { families.flatMap(\.names).sorted() }

    static func named(_ name: String) -> PreTokenizer? { families.first { $0.names.contains(name) }?.preTokenizer }

    /// Cuts a text into words, which follow each other without gaps.
    ///
    /// - Returns: ranges of `text.scalars`.
    func words(of text: LenientText) -> [Range<Int>] { WordSplitter(text.scalars).words(splits) }
}
