import GGUF

/// Byte-level byte-pair encoding as llama.cpp implements it (`llm_tokenizer_bpe_session`): text is cut into words, words
/// into bytes, and neighbours merge in the order of the vocabulary's list of merges.
struct BytePairTokenizer: Sendable {
    private struct Pair: Hashable, Sendable {
        let left: Int32
        let right: Int32
    }

    private let preTokenizer: PreTokenizer
    /// The texts of the tokens under their ids, and after them whatever else merges speak of.
    private let texts: ByteStringTable
    private let tokenCount: Int
    private var merges: [Pair: (rank: Int32, result: Int32)] = [:]
    /// The number of each byte's text.
    private let byteSymbols: [Int32]

    /// - Throws: `TokenizationError` if the list of merges is missing or malformed.
    init(_ vocabulary: Vocabulary, _ preTokenizer: PreTokenizer, _ keys: TokenizerKeys) throws(TokenizationError) {
        self.preTokenizer = preTokenizer
        tokenCount = vocabulary.count
        var texts = vocabulary.texts
        byteSymbols = ByteAlphabet.utf8.map { Int32(texts.insert($0.span).id) }

        let list = try keys.strings(.merges)
        merges.reserveCapacity(list.count)
        var text: [UInt8] = []
        for (rank, merge) in list.enumerated() {
            text.removeAll(keepingCapacity: true)
            text.append(contentsOf: merge.utf8)
            // The first character may itself be a space.
            guard let space = text.dropFirst().firstIndex(of: 0x20), space + 1 < text.count else {
                throw .malformedMerge(index: rank, text: merge)
            }
            let left = texts.insert(text.span.extracting(..<space)).id
            let right = texts.insert(text.span.extracting((space + 1)...)).id
            text.remove(at: space)
            let result = texts.insert(text.span).id
            let pair = Pair(left: Int32(left), right: Int32(right))
            if merges[pair] == nil { merges[pair] = (Int32(rank), Int32(result)) }
        }
        self.texts = texts
    }

    /// Appends the ids of a fragment.
    func encode(_ fragment: ArraySlice<UInt8>, _ ids: inout [Int], _ steps: inout [TokenizationStep]?) {
        let text = LenientText(fragment)
        var loop = MergeLoop()
        for word in preTokenizer.words(of: text) {
            let bytes = text.bytes[text.offsets[word.lowerBound]..<text.offsets[word.upperBound]]
            encode(word: Array(bytes), &loop, &ids, &steps)
        }
    }

    private func encode(
        word: [UInt8], _ loop: inout MergeLoop, _ ids: inout [Int], _ steps: inout [TokenizationStep]?
    ) {
        if preTokenizer.ignoresMerges, let id = texts.id(of: ByteAlphabet.spell(word[...]).span), id < tokenCount {
            ids.append(id)
            steps?.append(step(word, [], [], isTakenWhole: true, [id]))
            return
        }
        let symbols = word.indices.map {
            Symbol(id: byteSymbols[Int(word[$0])], start: Int32($0), end: Int32($0 + 1))
        }
        var merges: [TokenizationStep.Merge] = []
        if steps == nil {
            loop.run(symbols, of: word, by: self)
        } else {
            loop.run(symbols, of: word, by: self) { left, right, result, cost in
                merges.append(
                    TokenizationStep.Merge(
                        left: spelling(left), right: spelling(right), result: spelling(result),
                        position: left.range.lowerBound, reason: .rank(Int(cost))))
            }
        }
        let produced = loop.remaining.flatMap(tokens)
        ids.append(contentsOf: produced)
        steps?.append(step(word, symbols, merges, isTakenWhole: false, produced))
    }

    /// The token of a symbol, or, where there is none, the tokens of those of its bytes that have one as single characters.
    private func tokens(of symbol: Symbol) -> [Int] {
        if symbol.id < tokenCount { return [Int(symbol.id)] }
        return texts[Int(symbol.id)].compactMap { byte in
            texts.id(of: [byte].span).flatMap { $0 < tokenCount ? $0 : nil }
        }
    }

    private func spelling(_ symbol: Symbol) -> String { String(decoding: texts[Int(symbol.id)], as: UTF8.self) }

    private func step(
        _ word: [UInt8], _ symbols: [Symbol], _ merges: [TokenizationStep.Merge], isTakenWhole: Bool, _ ids: [Int]
    ) -> TokenizationStep {
        let text = String(decoding: ByteAlphabet.spell(word[...]), as: UTF8.self)
        return TokenizationStep(
            origin: .word, text: text, symbols: isTakenWhole ? [text] : symbols.map(spelling), merges: merges,
            isTakenWhole: isTakenWhole, ids: ids)
    }
}

extension BytePairTokenizer: MergeRule {
    func merge(_ left: Symbol, _ right: Symbol, in word: [UInt8]) -> (id: Int32, cost: Double)? {
        merges[Pair(left: left.id, right: right.id)].map { ($0.result, Double($0.rank)) }
    }
}
