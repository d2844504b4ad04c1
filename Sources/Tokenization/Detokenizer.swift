/// Ids to text as they come, without ever cutting a character in two.
///
/// A token may end in the middle of a character. Its bytes are held back until the rest arrives; bytes that turn out to
/// be no text become U+FFFD. The texts returned, one after another, are the pieces' bytes decoded as a whole. Nothing is
/// dropped at the start and no spaces are cleaned, as what is generated continues a text (llama.cpp streams the same way).
public struct Detokenizer {
    private let vocabulary: Vocabulary
    private let special: Bool
    private var pending: [UInt8] = []

    /// - Parameter special: whether control and unknown tokens show their text.
    public init(_ vocabulary: Vocabulary, special: Bool = true) {
        self.vocabulary = vocabulary
        self.special = special
    }

    /// The text that is complete now.
    ///
    /// - Precondition: `id` is an id of the vocabulary.
    public mutating func append(_ id: Int) -> String {
        pending.append(contentsOf: vocabulary.piece(id, special: special))
        let complete = pending.count - incompleteSuffixLength
        defer { pending.removeFirst(complete) }
        return String(decoding: pending.prefix(complete), as: UTF8.self)
    }

    /// What was held back, when no more comes.
    public mutating func finish() -> String {
        defer { pending.removeAll() }
        return String(decoding: pending, as: UTF8.self)
    }

    /// How many bytes at the end may become a character with more bytes.
    private var incompleteSuffixLength: Int {
        for length in 1...3 where length <= pending.count {
            let suffix = pending.suffix(length)
            if suffix.first! & 0xc0 != 0x80 { return Self.isBeginning(suffix) ? length : 0 }
        }
        return 0
    }

    /// Whether some bytes added to these make one valid character (Unicode standard, table 3-7).
    private static func isBeginning(_ bytes: ArraySlice<UInt8>) -> Bool {
        let first = bytes.first!
        guard bytes.count < LenientText.length(startingWith: first), (0xc2...0xf4).contains(first) else { return false }
        guard let second = bytes.dropFirst().first else { return true }
        switch first {
        case 0xe0: return second >= 0xa0
        case 0xed: return second < 0xa0
        case 0xf0: return second >= 0x90
        case 0xf4: return second < 0x90
        default: return true
        }
    }
}
