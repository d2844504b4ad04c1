/// SentencePiece as llama.cpp implements it (`llm_tokenizer_spm_session`): neighbours merge if the result is a token, the
/// highest score first; characters that are no token are spelled in bytes.
struct SentencePieceTokenizer: Sendable {
    private let texts: ByteStringTable
    private let scores: [Float]
    /// The token of each byte; `nil` if the vocabulary has none and no unknown token either.
    private let byteTokens: [Int?]

    /// How the vocabulary spells a space: "▁", U+2581.
    static let space: [UInt8] = [0xe2, 0x96, 0x81]

    init(_ vocabulary: Vocabulary) {
        texts = vocabulary.texts
        scores = vocabulary.scores
        // Where a byte has no token llama.cpp ends the process; here it counts as unknown text.
        byteTokens = (UInt8.min...UInt8.max).map { byte in
            vocabulary.id(of: Vocabulary.spelling(of: byte)) ?? vocabulary.texts.id(of: [byte].span)
                ?? vocabulary.unknown
        }
    }

    /// Appends the ids of a fragment.
    ///
    /// - Parameter prefixed: whether a space goes before it.
    func encode(
        _ fragment: ArraySlice<UInt8>, prefixed: Bool, _ ids: inout [Int], _ steps: inout [TokenizationStep]?
    ) {
        let word = (prefixed ? Self.space : []) + Self.escapingSpaces(fragment)
        let symbols = Symbol.characters(of: word, in: texts)
        var merges: [TokenizationStep.Merge] = []
        var loop = MergeLoop()
        if steps == nil {
            loop.run(symbols, of: word, by: self)
        } else {
            loop.run(symbols, of: word, by: self) { left, right, result, cost in
                merges.append(
                    TokenizationStep.Merge(
                        left: display(word[left.range]), right: display(word[right.range]),
                        result: display(word[result.range]), position: left.range.lowerBound,
                        reason: .score(Float(-cost))))
            }
        }
        let produced = loop.remaining.flatMap { symbol in
            symbol.id == Symbol.unknown ? word[symbol.range].compactMap { byteTokens[Int($0)] } : [Int(symbol.id)]
        }
        ids.append(contentsOf: produced)
        steps?.append(
            TokenizationStep(
                origin: .word, text: display(word[...]), symbols: symbols.map { display(word[$0.range]) },
                merges: merges, isTakenWhole: false, ids: produced))
    }

    /// The text as the vocabulary spells it.
    static func escapingSpaces(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        for byte in text {
            if byte == 0x20 { result.append(contentsOf: space) } else { result.append(byte) }
        }
        return result
    }
}

extension SentencePieceTokenizer: MergeRule {
    func merge(_ left: Symbol, _ right: Symbol, in word: [UInt8]) -> (id: Int32, cost: Double)? {
        guard let id = texts.id(of: word.span.extracting(Int(left.start)..<Int(right.end))) else { return nil }
        return (Int32(id), -Double(scores[id]))
    }
}
