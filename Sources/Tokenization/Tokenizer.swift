import GGUF

/// Text to token ids and back, exactly as llama.cpp does it.
public struct Tokenizer: Sendable {
    private enum Algorithm: Sendable {
        case sentencePiece(SentencePieceTokenizer)
        case bytePair(BytePairTokenizer)
    }

    public let vocabulary: Vocabulary
    private let algorithm: Algorithm
    private let specialTokens: SpecialTokens

    /// - Throws: `TokenizationError`, see `Vocabulary.init` and, for byte-pair vocabularies, also if the list of merges is
    ///   missing or malformed.
    public init(metadata: Metadata) throws(TokenizationError) {
        let keys = TokenizerKeys(metadata)
        vocabulary = try Vocabulary(metadata: metadata)
        if let preTokenizer = vocabulary.preTokenizer {
            algorithm = .bytePair(try BytePairTokenizer(vocabulary, preTokenizer, keys))
        } else {
            algorithm = .sentencePiece(SentencePieceTokenizer(vocabulary))
        }
        specialTokens = SpecialTokens(vocabulary, modelName: try keys.string(.modelName))
    }

    /// The ids of a text.
    ///
    /// - Parameters:
    ///   - addSpecial: whether the vocabulary's beginning and end tokens are added, if it wants them.
    ///   - parseSpecial: whether the texts of control tokens stand for these tokens. With `false` a text cannot pretend to
    ///     be anything but text; user-defined tokens are found in any case.
    public func encode(_ text: String, addSpecial: Bool = true, parseSpecial: Bool = true) -> [Int] {
        encode(bytes: Array(text.utf8), addSpecial: addSpecial, parseSpecial: parseSpecial)
    }

    /// The ids of a text that may be no valid UTF-8.
    ///
    /// SentencePiece spells invalid bytes byte for byte; byte-pair vocabularies get U+FFFD for each.
    public func encode(bytes: [UInt8], addSpecial: Bool = true, parseSpecial: Bool = true) -> [Int] {
        var steps: [TokenizationStep]?
        return encode(bytes, addSpecial, parseSpecial, &steps)
    }

    /// The ids of a text, and how each came about.
    public func encodeWithSteps(
        _ text: String, addSpecial: Bool = true, parseSpecial: Bool = true
    ) -> (ids: [Int], steps: [TokenizationStep]) {
        encodeWithSteps(bytes: Array(text.utf8), addSpecial: addSpecial, parseSpecial: parseSpecial)
    }

    /// The ids of a text that may be no valid UTF-8, and how each came about.
    public func encodeWithSteps(
        bytes: [UInt8], addSpecial: Bool = true, parseSpecial: Bool = true
    ) -> (ids: [Int], steps: [TokenizationStep]) {
        var steps: [TokenizationStep]? = []
        let ids = encode(bytes, addSpecial, parseSpecial, &steps)
        return (ids, steps ?? [])
    }

    private func encode(
        _ text: [UInt8], _ addSpecial: Bool, _ parseSpecial: Bool, _ steps: inout [TokenizationStep]?
    ) -> [Int] {
        var ids: [Int] = []
        func add(_ id: Int?) {
            guard let id else { return }
            ids.append(id)
            steps?.append(.added(id, in: vocabulary))
        }
        if addSpecial, vocabulary.addsBOS { add(vocabulary.bos) }
        var followsSpecial = true
        for fragment in specialTokens.partition(text, parsing: parseSpecial) {
            switch fragment {
            case .token(let id):
                ids.append(id)
                steps?.append(.special(id, in: vocabulary))
                followsSpecial = true
            case .text(let range):
                switch algorithm {
                case .sentencePiece(let tokenizer):
                    let prefixed = vocabulary.addsSpacePrefix && followsSpecial
                    tokenizer.encode(text[range], prefixed: prefixed, &ids, &steps)
                case .bytePair(let tokenizer):
                    tokenizer.encode(text[range], &ids, &steps)
                }
                followsSpecial = false
            }
        }
        if addSpecial, vocabulary.addsEOS { add(vocabulary.eos) }
        return ids
    }
}
