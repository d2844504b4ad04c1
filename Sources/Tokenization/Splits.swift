/// The splits that pre-tokenizers are made of.
///
/// Source: `llm_tokenizer_bpe` in llama.cpp, and what `unicode_regex_split` makes of its expressions: there `\p{Lu}` and its
/// like all mean `\p{L}`, some expressions stand for hand-written code, and white space beyond ASCII is matched by `\s` and
/// negated brackets only.
extension Split {
    // Parts of the expressions below.
    private static let contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    private static let word = #"[^\r\n\p{L}\p{N}]?\p{L}+"#
    private static let symbols = #" ?[^\s\p{L}\p{N}]+[\r\n]*"#
    private static let symbolsAndSlashes = #" ?[^\s\p{L}\p{N}]+[\r\n/]*"#
    private static let spaces = #"\s*[\r\n]+|\s+(?!\S)|\s+"#

    /// A word in which ASCII capitals, if any, come first: `Http`, `HTTP`, not `httpServer`.
    private static func casedWord(_ letters: String, then suffix: String = "") -> String {
        let (upper, lower) = ("[\(letters)&&[^a-z]]", "[\(letters)&&[^A-Z]]")
        let start = #"[^\r\n\p{L}\p{N}]?"#
        return "\(start)\(upper)*\(lower)+\(suffix)|\(start)\(upper)+\(lower)*\(suffix)"
    }

    static let eachNumber = Split(#"\p{N}"#)
    static let upToThreeNumbers = Split(#"\p{N}{1,3}"#)
    static let numbers = Split(#"\p{N}+"#)
    static let threeDigits = Split("[0-9][0-9][0-9]")
    static let afterThreesOfNumbers = Split.afterThrees(of: Expression(#"\p{N}"#))
    static let beforeThreesOfDigits = Split.beforeThrees(of: Expression(#"\d"#))
    static let lines = Split(#"[^\n]+|\n+"#)
    static let lineEnds = Split(#"[\r\n]"#)
    static let blanks = Split(#"[\t\n]|    |  "#)
    static let notSpaces = Split(#"\S+"#)

    /// GPT-2.
    static let words = Split(#"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#)
    static let punctuation = Split(#"[\p{P}$+<=>^~|]+"#)
    static let falconPunctuation = Split(#"[\p{P}$+<=>^~|`]+"#)
    static let eachPunctuation = Split(#"[\p{P}!-/:-@\[-`{-~]"#)

    /// Llama 3.
    static let wordsAndLines = Split(#"\#(contraction)|\#(word)|\p{N}{1,3}|\#(symbols)|\#(spaces)"#)
    /// Jais 2: of white space 512 at most, then the next lower power of two.
    static let wordsAndPowersOfSpace = Split(
        #"\#(contraction)|\#(word)|\p{N}{1,3}|\#(symbols)|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)"#
            + #"|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s"#)

    /// Qwen 2.
    static let qwen2 = Split(#"\#(contraction)|\#(word)|\p{N}|\#(symbols)|\#(spaces)"#)
    static let qwen35 = Split(
        #"\#(contraction)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\#(spaces)"#)
    static let seedCoder = Split(#"\#(contraction)|\#(word)|\p{N}| ?[^\s\p{L}\p{N}]+|\#(spaces)"#)
    /// Turkish suffixes stay with their apostrophe.
    static let ufakzeka = Split(#"\#(word)|\p{N}|\#(symbols)|\#(spaces)"#)
    /// Words with single spaces between them are one.
    static let exaoneMoE = Split(
        #"\#(contraction)|[^\r\n\p{L}\p{N}]?\p{L}(?:[\p{L}\p{M}]| \p{L})*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\#(spaces)"#)

    /// Mistral Nemo.
    static let tekken = Split(#"\#(casedWord(#"\p{L}"#))|\p{N}|\#(symbolsAndSlashes)|\#(spaces)"#)
    static let gpt4o = Split(
        #"\#(casedWord(#"\p{L}"#, then: "\(contraction)?"))|\p{N}{1,3}|\#(symbolsAndSlashes)|\#(spaces)"#)
    static let graniteEmbedding = Split(
        #"\#(casedWord(#"\p{L}\p{M}"#, then: "\(contraction)?"))|\p{N}{1,3}|\#(symbolsAndSlashes)|\#(spaces)"#)
    static let tinyAya = Split(
        #"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+\#(contraction)?|\p{N}{1,3}|\#(symbolsAndSlashes)|\#(spaces)"#)
    static let youtu = Split(#"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+\#(contraction)?|\p{N}|\#(symbolsAndSlashes)|\#(spaces)"#)
    static let youtuScripts = Split(
        #"[\u{ac00}-\u{d7a3}\u{3131}-\u{318e}]+"#
            + #"|[\u{2014}\u{2018}\u{2019}\u{201c}\u{201d}\u{2026}\u{3001}-\u{303f}\u{fe30}-\u{fe4f}\u{ff01}\u{ff0c}"#
            + #"\u{ff1a}\u{ff1b}]+|[\u{3105}-\u{312f}]+|[\u{4e00}-\u{9fa5}\u{3040}-\u{30ff}]+"#)
    static let kimiK2 = Split(
        #"\p{Han}+|[^\r\n\p{L}\p{N}]?[\p{L}&&[^\p{Han}]]+\#(contraction)?|\p{N}{1,3}|\#(symbols)|\#(spaces)"#)

    // DeepSeek.
    static let spacedLetters = Split(#"\s?\p{L}+"#)
    static let spacedPunctuation = Split(#"\s?\p{P}+"#)
    static let lastSpaces = Split(#"\s+$"#)
    static let ideographs = Split(#"[\u{800}-\u{9fa5}\u{ac00}-\u{d7ff}&&[^\s]]+"#)
    static let ideographsAndKana = Split(#"[\u{4e00}-\u{9fa5}\u{3040}-\u{30ff}]+"#)
    static let deepSeekV3 = Split(
        #"[!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\#(spaces)"#)
    static let spark = Split(
        #"[!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+"#)
    static let deepSeekPunctuation = Split(
        #"\s?[!-/:-~\u{ff01}-\u{ff0f}\u{ff1a}-\u{ff5e}\u{2018}-\u{201f}\u{3001}\u{3002}]+"#)
    static let deepSeekLetters = Split(
        #"""
        \s?[A-Za-z\#
        \u{b5}\u{c0}-\u{d6}\u{d8}-\u{f6}\u{f8}-\u{1ba}\u{1bc}-\u{1bf}\u{1c4}-\u{293}\u{295}-\u{2af}\#
        \u{370}-\u{373}\u{376}\u{377}\u{37b}-\u{37d}\u{37f}\u{386}\u{388}-\u{38a}\u{38c}\u{38e}-\u{3a1}\#
        \u{3a3}-\u{3f5}\u{3f7}-\u{481}\u{48a}-\u{52f}\u{531}-\u{556}\u{10a0}-\u{10c5}\u{13a0}-\u{13f5}\#
        \u{13f8}-\u{13fd}\u{1c90}-\u{1cba}\u{1cbd}-\u{1cbf}\u{1d00}-\u{1d2b}\u{1d6b}-\u{1d77}\u{1d79}-\u{1d9a}\#
        \u{1e00}-\u{1f15}\u{1f18}-\u{1f1d}\u{1f20}-\u{1f45}\u{1f48}-\u{1f4d}\u{1f50}-\u{1f57}\u{1f59}\u{1f5b}\#
        \u{1f5d}\u{1f5f}-\u{1f7d}\u{1f80}-\u{1fb4}\u{1fb6}-\u{1fbc}\u{1fbe}\u{1fc2}-\u{1fc4}\u{1fc6}-\u{1fcc}\#
        \u{1fd0}-\u{1fd3}\u{1fd6}-\u{1fdb}\u{1fe0}-\u{1fec}\u{1ff2}-\u{1ff4}\u{1ff6}-\u{1ffc}\u{2102}\u{2107}\#
        \u{210a}-\u{2113}\u{2115}\u{2119}-\u{211d}\u{2124}\u{2126}\u{2128}\u{212a}-\u{212d}\u{212f}-\u{2134}\#
        \u{2139}\u{213c}-\u{213f}\u{2145}-\u{2149}\u{214e}\u{2183}\u{2184}\u{2c00}-\u{2c7b}\u{2c7e}-\u{2ce4}\#
        \u{2ceb}-\u{2cee}\u{2cf2}\u{2cf3}\u{a640}-\u{a66d}\u{a680}-\u{a69b}\u{a722}-\u{a76f}\u{a771}-\u{a787}\#
        \u{a78b}-\u{a78e}\u{ab70}-\u{abbf}\u{fb00}-\u{fb06}\u{fb13}-\u{fb17}\u{ff21}-\u{ff3a}\u{ff41}-\u{ff5a}\#
        \u{10400}-\u{1044f}\u{104b0}-\u{104d3}\u{104d8}-\u{104fb}\u{10c80}-\u{10cb2}\u{10cc0}-\u{10cf2}\#
        \u{118a0}-\u{118df}\u{1e900}-\u{1e943}\#
        ]+
        """#)

    /// Arcee: scripts of East and South-East Asia.
    static let asianScripts = Split(
        #"[\u{e40}-\u{eff}\u{1000}-\u{109f}\u{1100}-\u{11ff}\u{1780}-\u{17ff}\u{2f00}-\u{2fdf}\u{3040}-\u{30ff}"#
            + #"\u{3400}-\u{4dbf}\u{4e00}-\u{faff}\u{ff65}-\u{ff9f}]+"#)

    /// Poro, Bloom, Viking: words end at white space and a few marks.
    static let bloom = Split(#" ?[^(\s|.,!?\u{2026}\u{3002}\u{ff0c}\u{3001}\u{964}\u{6d4}\u{60c})]+"#)

    // Chameleon.
    static let sentinels = Split("<sentinel:[0-9]+>")
    static let images = Split("IMGIMG[A-I]{1,4}Z")
}
