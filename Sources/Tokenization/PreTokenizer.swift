/// How a byte-pair vocabulary wants text cut into words before any merge, and what else comes with its name.
///
/// A merge never crosses a word boundary, so the cut decides the ids as much as the merges do. Models are trained with
/// one cut and give nonsense with another; that is why an unknown name is refused. The names, expressions and defaults
/// are llama.cpp's (`llama_vocab::impl::load` and `llm_tokenizer_bpe`).
struct PreTokenizer: Sendable {
    /// The expressions, each applied to the pieces that the one before left.
    let splits: [Split]
    /// A word that is a token is taken whole, without looking at its merges.
    var ignoresMerges = false
    /// What to do when `tokenizer.ggml.add_bos_token` is missing.
    var addsBOS = false
    /// Detokenized text loses the space before `?`, `!`, `.`, `,`, `'s`, `'m`, `'re` and `'ve`.
    var cleansSpaces = true
    /// There is no beginning-of-sequence token unless the metadata names one.
    var hasNoDefaultBOS = false

    /// The pre-tokenizer llama.cpp falls back to when the metadata names none.
    static let defaultName = "default"

    /// Every name that is known, sorted.
    static var knownNames: [String] { families.flatMap(\.names).sorted() }

    static func named(_ name: String) -> PreTokenizer? { families.first { $0.names.contains(name) }?.preTokenizer }

    private static let families: [(names: [String], preTokenizer: PreTokenizer)] = [
        ([defaultName], PreTokenizer(splits: [.punctuation, .words, .numbers, .threeDigits])),
        (
            [
                "gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum",
                "modern-bert", "jina-v1-en", "jina-v2-code", "roberta-bpe", "mpt", "olmo", "jais", "exaone4",
            ], PreTokenizer(splits: [.words])
        ),
        (["trillion", "granite-docling"], PreTokenizer(splits: [.words], cleansSpaces: false)),
        (
            ["starcoder", "refact", "codeshell", "exaone", "minerva-7b", "mellum2"],
            PreTokenizer(splits: [.eachNumber, .words])
        ),
        (["smollm", "command-r"], PreTokenizer(splits: [.eachNumber, .words], cleansSpaces: false)),
        (
            [
                "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
                "jina-v5-nano",
            ], PreTokenizer(splits: [.wordsAndLines], ignoresMerges: true, addsBOS: true)
        ),
        (["dbrx", "smaug-bpe"], PreTokenizer(splits: [.wordsAndLines])),
        (["chatglm-bpe"], PreTokenizer(splits: [.wordsAndLines], hasNoDefaultBOS: true)),
        (["glm4", "glm5"], PreTokenizer(splits: [.wordsAndLines], ignoresMerges: true, hasNoDefaultBOS: true)),
    ]

    /// Cuts a text into words, which follow each other without gaps.
    ///
    /// - Returns: ranges of `text.scalars`.
    func words(of text: LenientText) -> [Range<Int>] {
        let splitter = WordSplitter(text.scalars)
        var words = [0..<text.scalars.count]
        for split in splits {
            var finer: [Range<Int>] = []
            finer.reserveCapacity(words.count)
            for word in words { splitter.apply(split, to: word, &finer) }
            words = finer
        }
        return words
    }
}

/// One expression that cuts text. What it does not match stays as pieces of its own.
enum Split: Sendable {
    /// `[\p{P}\$\+<=>\^~\|]+`
    case punctuation
    /// `\p{N}`
    case eachNumber
    /// `\p{N}+`
    case numbers
    /// `[0-9][0-9][0-9]`
    case threeDigits
    /// GPT-2: `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    case words
    /// Llama 3: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
    case wordsAndLines
}
