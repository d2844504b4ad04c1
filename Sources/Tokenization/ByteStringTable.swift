/// Byte strings numbered in the order of their first insertion: from text to number in one look-up, and back.
///
/// Swift's `String` is no key for a vocabulary: its `==` calls "é" and "e" + U+0301 equal, and they are two tokens. Here
/// strings are equal when their bytes are, and a slice of a longer text is looked up without copying it.
struct ByteStringTable: Sendable {
    private var bytes: [UInt8] = []
    /// Where string `i` ends in `bytes`; it starts where string `i - 1` ends.
    private var ends: [Int] = []
    /// Open addressing, at most half full: number + 1, or 0 for a free slot. The count is a power of two.
    private var slots: [UInt32] = Array(repeating: 0, count: 16)

    var count: Int { ends.count }

    init(minimumCapacity: Int = 0) {
        ends.reserveCapacity(minimumCapacity)
        while slots.count < 2 * minimumCapacity { slots.append(contentsOf: slots) }
    }

    /// The bytes of string `id`.
    subscript(id: Int) -> ArraySlice<UInt8> { bytes[start(id)..<ends[id]] }

    /// The number of the string equal to `text`, byte for byte.
    func id(of text: Span<UInt8>) -> Int? {
        let found = slots[slot(for: text)]
        return found == 0 ? nil : Int(found) - 1
    }

    /// The number of `text`, which is added if it is not there yet.
    mutating func insert(_ text: Span<UInt8>) -> (id: Int, isNew: Bool) {
        let slot = slot(for: text)
        if slots[slot] != 0 { return (Int(slots[slot]) - 1, false) }
        for index in text.indices { bytes.append(text[index]) }
        ends.append(bytes.count)
        slots[slot] = UInt32(ends.count)
        if 2 * ends.count > slots.count { grow() }
        return (ends.count - 1, true)
    }

    private func start(_ id: Int) -> Int { id == 0 ? 0 : ends[id - 1] }

    /// The slot that holds `text`, or the free one where it belongs.
    ///
    /// `Hasher` is seeded anew in every process: a file cannot be made to collide on purpose.
    private func slot(for text: Span<UInt8>) -> Int {
        var hasher = Hasher()
        text.withUnsafeBytes { hasher.combine(bytes: $0) }
        var slot = hasher.finalize() & (slots.count - 1)
        while slots[slot] != 0, !isEqual(Int(slots[slot]) - 1, text) { slot = (slot + 1) & (slots.count - 1) }
        return slot
    }

    private func isEqual(_ id: Int, _ text: Span<UInt8>) -> Bool {
        let start = start(id)
        guard ends[id] - start == text.count else { return false }
        for index in text.indices where bytes[start + index] != text[index] { return false }
        return true
    }

    private mutating func grow() {
        slots = Array(repeating: 0, count: 2 * slots.count)
        for id in ends.indices {
            let free = slot(for: bytes.span.extracting(start(id)..<ends[id]))
            slots[free] = UInt32(id + 1)
        }
    }
}
