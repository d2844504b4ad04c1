extension Vocabulary {
    /// The bytes a token stands for; they may be a part of a character.
    ///
    /// - Parameter special: whether control and unknown tokens show their text; otherwise they stand for nothing.
    /// - Precondition: `id` is an id of the vocabulary.
    public func piece(_ id: Int, special: Bool = true) -> [UInt8] {
        let text = texts[id]
        switch kind(id) {
        case .control, .unknown: return special ? Array(text) : []
        case .userDefined: return Array(text)
        case .byte: return Self.byte(spelled: text).map { [$0] } ?? []
        case .unused, .undefined: return []
        case .normal:
            switch spelling {
            case .charactersWithoutSpaces: return Self.unescapingSpaces(text)
            case .bytes, .characters: return Self.bytes(spelled: text)
            }
        }
    }

    /// The text of a sequence. Bytes that are no text become U+FFFD.
    ///
    /// - Parameters:
    ///   - special: whether control and unknown tokens show their text.
    ///   - removeSpecial: whether the beginning and end tokens that `Tokenizer.encode` adds are left out.
    /// - Precondition: every id is an id of the vocabulary.
    public func decode(_ ids: [Int], special: Bool = true, removeSpecial: Bool = false) -> String {
        String(decoding: decodeBytes(ids, special: special, removeSpecial: removeSpecial), as: UTF8.self)
    }

    /// The bytes of a sequence's text (`llama_detokenize`): the pieces one after another, without the space that `encode`
    /// put before the text, and without spaces before punctuation if the vocabulary says so.
    ///
    /// - Precondition: every id is an id of the vocabulary.
    public func decodeBytes(_ ids: [Int], special: Bool = true, removeSpecial: Bool = false) -> [UInt8] {
        var ids = ids[...]
        var dropsSpace = addsSpacePrefix
        if removeSpecial, addsBOS, let first = ids.first, first == bos {
            // As in llama.cpp, the space after a removed beginning stays.
            dropsSpace = false
            ids.removeFirst()
        }
        if removeSpecial, addsEOS, let last = ids.last, last == eos { ids.removeLast() }

        var text: [UInt8] = []
        for (index, id) in ids.enumerated() {
            let piece = piece(id, special: special)
            text.append(contentsOf: index == 0 && dropsSpace && piece.first == 0x20 ? piece.dropFirst() : piece[...])
        }
        return cleansSpaces ? Self.cleaningSpaces(text) : text
    }

    /// A token for tables: its text with control characters escaped, its bytes as `<0xE2>` where they are no text.
    ///
    /// - Precondition: `id` is an id of the vocabulary.
    public func displayPiece(_ id: Int) -> String { display(piece(id)[...]) }

    private static func unescapingSpaces(_ text: ArraySlice<UInt8>) -> [UInt8] {
        let space = SentencePieceTokenizer.space
        var result: [UInt8] = []
        var rest = text
        while let byte = rest.first {
            let isSpace = rest.starts(with: space)
            result.append(isSpace ? 0x20 : byte)
            rest.removeFirst(isSpace ? space.count : 1)
        }
        return result
    }

    /// The bytes that `text` spells in the byte alphabet.
    ///
    /// A character outside of it shows that the vocabulary is not byte-level; llama.cpp's marker says which.
    private static func bytes(spelled text: ArraySlice<UInt8>) -> [UInt8] {
        let string = String(decoding: text, as: UTF8.self)
        var result: [UInt8] = []
        for scalar in string.unicodeScalars {
            if let byte = ByteAlphabet.byte(of: scalar) {
                result.append(byte)
            } else {
                let hex = String(scalar).utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                result.append(contentsOf: "[UNK_BYTE_0x\(hex)\(string)]".utf8)
            }
        }
        return result
    }

    /// Three passes, each over what the one before left: no space before `?`, `!`, `.`, `,`; none around a single `'`;
    /// none before `'s`, `'m`, `'re`, `'ve`.
    private static func cleaningSpaces(_ text: [UInt8]) -> [UInt8] {
        func at(_ text: [UInt8], _ index: Int) -> Unicode.Scalar? {
            text.indices.contains(index) ? Unicode.Scalar(text[index]) : nil
        }
        let first = droppingSpaces(text) { text, index in
            switch at(text, index + 1) {
            case "?", "!", ".", ",": .drop
            default: .keep
            }
        }
        let second = droppingSpaces(first) { text, index in
            at(text, index + 1) == "'" && at(text, index + 2) == " " ? .dropAlsoNext : .keep
        }
        return droppingSpaces(second) { text, index in
            guard at(text, index + 1) == "'" else { return .keep }
            switch (at(text, index + 2), at(text, index + 3)) {
            case ("s", _), ("m", _), ("r", "e"), ("v", "e"): return .drop
            default: return .keep
            }
        }
    }

    private enum SpaceFate {
        case keep
        case drop
        /// The space goes, what follows stays, and the space after that goes too.
        case dropAlsoNext
    }

    private static func droppingSpaces(_ text: [UInt8], _ fate: ([UInt8], Int) -> SpaceFate) -> [UInt8] {
        var result: [UInt8] = []
        var index = 0
        while index < text.count {
            switch text[index] == 0x20 ? fate(text, index) : .keep {
            case .keep:
                result.append(text[index])
                index += 1
            case .drop:
                index += 1
            case .dropAlsoNext:
                result.append(text[index + 1])
                index += 3
            }
        }
        return result
    }
}

/// Bytes for people: text as it is, control characters escaped, other bytes as `<0xE2>`.
func display(_ bytes: ArraySlice<UInt8>) -> String {
    var result = ""
    var rest = bytes
    while let first = rest.first {
        let length = LenientText.length(startingWith: first)
        if let character = String(validating: rest.prefix(length), as: UTF8.self) {
            result += character.unicodeScalars.first!.escapedForDisplay
            rest.removeFirst(length)
        } else {
            result += Vocabulary.spelling(of: first)
            rest.removeFirst()
        }
    }
    return result
}

extension Unicode.Scalar {
    fileprivate var escapedForDisplay: String {
        switch (self, properties.generalCategory) {
        case ("\n", _): "\\n"
        case ("\r", _): "\\r"
        case ("\t", _): "\\t"
        case (_, .control), (_, .lineSeparator), (_, .paragraphSeparator), (_, .format):
            "\\u{\(String(value, radix: 16))}"
        default: String(self)
        }
    }
}
