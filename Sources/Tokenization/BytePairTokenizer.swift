import GGUF

/// Byte-pair encoding as llama.cpp implements it (`llm_tokenizer_bpe_session`): text is cut into words, words into bytes
/// or, if the pre-tokenizer says so, characters, and neighbours merge in the order of the vocabulary's list of merges.
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
    /// The number of each byte's text in the byte alphabet.
    private let byteSymbols: [Int32]
    /// The token of each byte for text without one; `nil` where there is none.
    private let byteTokens: [Int?]

    /// - Throws: `TokenizationError` if the list of merges is missing or malformed.
    init(_ vocabulary: Vocabulary, _ preTokenizer: PreTokenizer, _ keys: TokenizerKeys) throws(TokenizationError) {
        self.preTokenizer = preTokenizer
        tokenCount = vocabulary.count
        byteTokens = (UInt8.min...UInt8.max).map { byte in
            switch preTokenizer.spelling {
            case .bytes: vocabulary.texts.id(of: [byte].span)
            case .characters, .charactersWithoutSpaces: vocabulary.id(of: Vocabulary.spelling(of: byte))
            }
        }
        var texts = vocabulary.texts
        byteSymbols = ByteAlphabet.utf8.map { Int32(texts.insert($0.span).id) }

        let list = preTokenizer.needsNoMerges && !keys.has(.merges) ? [] : try keys.strings(.merges)
        merges.reserveCapacity(list.count)
        var text: [UInt8] = []
        for (rank, merge) in list.enumerated() {
            text.removeAll(keepingCapacity: true)
            text.append(contentsOf: merge.storedBytes)
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
        let isSpaceless = preTokenizer.spelling == .charactersWithoutSpaces
        let text = LenientText(isSpaceless ? SentencePieceTokenizer.escapingSpaces(fragment)[...] : fragment)
        var loop = MergeLoop()
        for word in preTokenizer.words(of: text) {
            let bytes = Array(text.bytes[text.offsets[word.lowerBound]..<text.offsets[word.upperBound]])
            if let id = wholeToken(bytes) {
                ids.append(id)
                steps?.append(step(bytes, [], [], isTakenWhole: true, [id]))
            } else {
                encode(bytes, symbols(of: bytes), &loop, &ids, &steps)
            }
        }
    }

    /// The token of a word whose merges need not be looked at.
    private func wholeToken(_ word: [UInt8]) -> Int? {
        let isLineFeeds = preTokenizer.ignoresMergesOfLineFeeds && word.allSatisfy { $0 == 0x0a }
        guard preTokenizer.ignoresMerges || isLineFeeds else { return nil }
        return texts.id(of: spelling(of: word).span).flatMap { $0 < tokenCount ? $0 : nil }
    }

    /// The bytes of a word as tokens spell them.
    private func spelling(of word: [UInt8]) -> [UInt8] {
        preTokenizer.spelling == .bytes ? ByteAlphabet.spell(word[...]) : word
    }

    /// What a word consists of before any merge.
    private func symbols(of word: [UInt8]) -> [Symbol] {
        switch preTokenizer.spelling {
        case .bytes:
            word.indices.map { Symbol(id: byteSymbols[Int(word[$0])], start: Int32($0), end: Int32($0 + 1)) }
        case .characters, .charactersWithoutSpaces:
            Symbol.characters(of: word, in: texts)
        }
    }

    private func encode(
        _ word: [UInt8], _ symbols: [Symbol], _ loop: inout MergeLoop, _ ids: inout [Int],
        _ steps: inout [TokenizationStep]?
    ) {
        var merges: [TokenizationStep.Merge] = []
        if steps == nil {
            loop.run(symbols, of: word, by: self)
        } else {
            loop.run(symbols, of: word, by: self) { left, right, result, cost in
                merges.append(
                    TokenizationStep.Merge(
                        left: spelling(left, in: word), right: spelling(right, in: word),
                        result: spelling(result, in: word), position: left.range.lowerBound, reason: .rank(Int(cost))))
            }
        }
        let produced = loop.remaining.flatMap { tokens(of: $0, in: word) }
        ids.append(contentsOf: produced)
        steps?.append(step(word, symbols, merges, isTakenWhole: false, produced))
    }

    /// The token of a symbol, or, where there is none, the tokens of those of its spelling's bytes that have one.
    private func tokens(of symbol: Symbol, in word: [UInt8]) -> [Int] {
        let id = Int(symbol.id)
        if 0 <= id, id < tokenCount { return [id] }
        return spelling(of: Array(word[symbol.range])).compactMap { byteTokens[Int($0)] }
    }

    private func spelling(_ symbol: Symbol, in word: [UInt8]) -> String {
        String(decoding: spelling(of: Array(word[symbol.range])), as: UTF8.self)
    }

    private func step(
        _ word: [UInt8], _ symbols: [Symbol], _ merges: [TokenizationStep.Merge], isTakenWhole: Bool, _ ids: [Int]
    ) -> TokenizationStep {
        let text = String(decoding: spelling(of: word), as: UTF8.self)
        return TokenizationStep(
            origin: .word, text: text, symbols: isTakenWhole ? [text] : symbols.map { spelling($0, in: word) },
            merges: merges, isTakenWhole: isTakenWhole, ids: ids)
    }
}

extension BytePairTokenizer: MergeRule {
    func merge(_ left: Symbol, _ right: Symbol, in word: [UInt8]) -> (id: Int32, cost: Double)? {
        merges[Pair(left: left.id, right: right.id)].map { ($0.result, Double($0.rank)) }
    }
}
