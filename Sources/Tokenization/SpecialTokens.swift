/// Finds the tokens that are cut out of a text before it is tokenized.
///
/// Each is looked for in turn, the longest text first, in what the ones before left. Of equally long ones the lower id
/// goes first (llama.cpp leaves their order to its sorting algorithm). Source: `tokenizer_st_partition` in llama.cpp.
struct SpecialTokens: Sendable {
    /// A part of a text.
    enum Fragment: Equatable {
        case text(Range<Int>)
        case token(Int)
    }

    private struct Entry: Sendable {
        let id: Int
        let text: [UInt8]
        /// Found only when special tokens are asked for.
        let isOptional: Bool
        /// White space before or after it goes away with it.
        var stripsLeft = false
        var stripsRight = false
    }

    private let entries: [Entry]
    /// The entries that begin with each byte.
    private let entriesByFirstByte: [[Int]]

    init(_ vocabulary: Vocabulary, modelName: String?) {
        let stripping = Stripping(vocabulary, modelName: modelName)
        var entries: [Entry] = []
        for id in 0..<vocabulary.count {
            let kind = vocabulary.kind(id)
            guard kind == .control || kind == .userDefined || kind == .unknown else { continue }
            let text = Array(vocabulary.texts[id])
            var entry = Entry(id: id, text: text, isOptional: kind != .userDefined)
            entry.stripsLeft = stripping.left.contains(id)
            entry.stripsRight = stripping.isRight(id)
            entries.append(entry)
        }
        entries.sort { ($1.text.count, $0.id) < ($0.text.count, $1.id) }
        self.entries = entries

        var byFirstByte: [[Int]] = Array(repeating: [], count: 256)
        for (index, entry) in entries.enumerated() { byFirstByte[Int(entry.text[0])].append(index) }
        entriesByFirstByte = byFirstByte
    }

    /// Cuts `text` into special tokens and what is between them.
    ///
    /// - Parameter parsing: whether control and unknown tokens are found too, not only user-defined ones.
    func partition(_ text: [UInt8], parsing: Bool) -> [Fragment] {
        guard !text.isEmpty else { return [] }
        var fragments = [Fragment.text(0..<text.count)]
        for index in entriesPresent(in: text) where parsing || !entries[index].isOptional {
            fragments = fragments.flatMap { fragment -> [Fragment] in
                guard case .text(let range) = fragment else { return [fragment] }
                return split(text, range, at: entries[index])
            }
        }
        return fragments
    }

    /// The entries that occur anywhere in the text, in order: one pass here saves one for each of hundreds of entries.
    private func entriesPresent(in text: [UInt8]) -> [Int] {
        var present: Set<Int> = []
        for (position, byte) in text.enumerated() {
            for index in entriesByFirstByte[Int(byte)]
            where matches(entries[index].text, text, at: position, limit: text.count) {
                present.insert(index)
            }
        }
        return present.sorted()
    }

    private func split(_ text: [UInt8], _ range: Range<Int>, at entry: Entry) -> [Fragment] {
        var fragments: [Fragment] = []
        var start = range.lowerBound
        var position = start
        while position < range.upperBound {
            guard matches(entry.text, text, at: position, limit: range.upperBound) else {
                position += 1
                continue
            }
            var end = position
            if entry.stripsLeft { while end > start, Self.isSpace(text[end - 1]) { end -= 1 } }
            if start < end { fragments.append(.text(start..<end)) }
            fragments.append(.token(entry.id))
            position += entry.text.count
            if entry.stripsRight {
                while position < range.upperBound, Self.isSpace(text[position]) { position += 1 }
            }
            start = position
        }
        if start < range.upperBound { fragments.append(.text(start..<range.upperBound)) }
        return fragments
    }

    private func matches(_ pattern: [UInt8], _ text: [UInt8], at position: Int, limit: Int) -> Bool {
        guard position + pattern.count <= limit else { return false }
        for index in pattern.indices where text[position + index] != pattern[index] { return false }
        return true
    }

    /// White space as C's `isspace` knows it.
    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }
}

/// Which special tokens swallow white space. GGUF files do not say; llama.cpp goes by the model's name.
private struct Stripping {
    var left: Set<Int> = []
    private var stripsRight = false
    private var notRight: Set<Int> = []

    init(_ vocabulary: Vocabulary, modelName: String?) {
        let preTokenizer = vocabulary.preTokenizerName ?? ""
        // Only ASCII letters occur in the names that are looked for.
        let name = (modelName ?? "").lowercased()
        if ["jina-v2-de", "jina-v2-es", "jina-v2-code"].contains(preTokenizer) {
            left.formUnion([vocabulary.id(of: "<mask>")].compactMap { $0 })
        } else if name.contains("phi-3") || name.contains("phi3") {
            stripsRight = true
            notRight.formUnion(["<unk>", "<s>", "<|endoftext|>"].compactMap { vocabulary.id(of: $0) })
        } else if name.contains("modern-bert") {
            left.formUnion([vocabulary.id(of: "[MASK]")].compactMap { $0 })
        }
    }

    func isRight(_ id: Int) -> Bool { stripsRight && !notRight.contains(id) }
}
