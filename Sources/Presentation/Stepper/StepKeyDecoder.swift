/// Bytes from a terminal as keys. What is cut off in the middle waits for its rest.
public struct StepKeyDecoder: Sendable {
    private var bytes: [UInt8] = []

    public init() {}

    /// Whether the bytes so far may be the beginning of a longer key: an escape alone, or half a character.
    public var isWaiting: Bool { !bytes.isEmpty }

    /// - Returns: the keys that are complete now.
    public mutating func add(_ more: some Sequence<UInt8>) -> [StepKey] {
        bytes += more
        var keys: [StepKey] = []
        while let (key, length) = first() {
            bytes.removeFirst(length)
            keys.append(key)
        }
        return keys
    }

    /// Call when nothing followed for a moment.
    ///
    /// - Returns: the keys that the rest stands for: an escape is the key then.
    public mutating func flush() -> [StepKey] {
        defer { bytes = [] }
        return bytes.isEmpty ? [] : [bytes[0] == 0x1B ? .escape : .other]
    }

    private func first() -> (StepKey, Int)? {
        guard let byte = bytes.first else { return nil }
        switch byte {
        case 0x1B: return escape()
        case 0x0A, 0x0D: return (.enter, 1)
        case 0x7F, 0x08: return (.backspace, 1)
        case 0x09: return (.tab, 1)
        case 0x03: return (.interrupt, 1)
        case 0x04: return (.endOfInput, 1)
        case 0x15: return (.clear, 1)
        case 0..<0x20: return (.other, 1)
        default: return character(byte)
        }
    }

    private func character(_ byte: UInt8) -> (StepKey, Int)? {
        // What cannot begin a character is no reason to wait for the rest of one.
        let length = byte < 0xC2 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : byte < 0xF5 ? 4 : 1
        guard bytes[1...].prefix(length - 1).allSatisfy({ $0 & 0xC0 == 0x80 }) else { return (.other, 1) }
        guard bytes.count >= length else { return nil }
        guard let text = String(validating: bytes[..<length], as: UTF8.self), let character = text.first else {
            return (.other, 1)
        }
        return (.character(character), length)
    }

    /// `ESC [ … letter`, `ESC O letter`; an escape before anything else is the key.
    private func escape() -> (StepKey, Int)? {
        guard bytes.count > 1 else { return nil }
        guard bytes[1] == UInt8(ascii: "[") || bytes[1] == UInt8(ascii: "O") else { return (.escape, 1) }
        guard let end = bytes[2...].firstIndex(where: { (0x40...0x7E).contains($0) }) else { return nil }
        let key: StepKey =
            switch (bytes[end], bytes[2..<end].first) {
            case (UInt8(ascii: "A"), _): .up
            case (UInt8(ascii: "B"), _): .down
            case (UInt8(ascii: "C"), _): .right
            case (UInt8(ascii: "D"), _): .left
            case (UInt8(ascii: "H"), _), (UInt8(ascii: "~"), UInt8(ascii: "1")), (UInt8(ascii: "~"), UInt8(ascii: "7")):
                .home
            case (UInt8(ascii: "F"), _), (UInt8(ascii: "~"), UInt8(ascii: "4")), (UInt8(ascii: "~"), UInt8(ascii: "8")):
                .end
            case (UInt8(ascii: "~"), UInt8(ascii: "5")): .pageUp
            case (UInt8(ascii: "~"), UInt8(ascii: "6")): .pageDown
            default: .other
            }
        return (key, end + 1)
    }
}
