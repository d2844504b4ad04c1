/// Text decoded as llama.cpp decodes it, whatever the bytes.
///
/// Every byte that starts no character becomes U+FFFD, one for one. Surrogates and overlong spellings are taken as they
/// come. Where llama.cpp ends the process (spellings beyond U+10FFFF) the bytes count as invalid. Source:
/// `unicode_cpts_from_utf8` in llama.cpp.
struct LenientText {
    private(set) var scalars: [UInt32] = []
    /// The text again in UTF-8: `bytes[offsets[i]..<offsets[i + 1]]` is scalar `i`.
    private(set) var bytes: [UInt8] = []
    private(set) var offsets: [Int] = [0]

    init(_ text: ArraySlice<UInt8>) {
        scalars.reserveCapacity(text.count)
        bytes.reserveCapacity(text.count)
        offsets.reserveCapacity(text.count + 1)
        var rest = text
        while let first = rest.first {
            if first < 0x80 {
                append(UInt32(first))
                rest.removeFirst()
            } else if let (scalar, length) = Self.decode(rest) {
                append(scalar)
                rest.removeFirst(length)
            } else {
                append(0xfffd)
                rest.removeFirst()
            }
        }
    }

    /// The number of bytes a character that starts with `byte` claims to have; 1 for a byte that starts none.
    static func length(startingWith byte: UInt8) -> Int {
        switch byte >> 4 {
        case 0xc, 0xd: 2
        case 0xe: 3
        case 0xf: 4
        default: 1
        }
    }

    private static func decode(_ text: ArraySlice<UInt8>) -> (scalar: UInt32, length: Int)? {
        let first = text[text.startIndex]
        let length = length(startingWith: first)
        guard length > 1, first < 0xf8, text.count >= length else { return nil }
        var scalar = UInt32(first & (0x7f >> UInt8(length)))
        for byte in text.dropFirst().prefix(length - 1) {
            guard byte & 0xc0 == 0x80 else { return nil }
            scalar = scalar << 6 | UInt32(byte & 0x3f)
        }
        return scalar > 0x10ffff ? nil : (scalar, length)
    }

    /// Written by hand because `Unicode.Scalar` has no surrogates.
    private mutating func append(_ scalar: UInt32) {
        func continuation(_ shift: UInt32) -> UInt8 { 0x80 | UInt8(scalar >> shift & 0x3f) }
        switch scalar {
        case ..<0x80:
            bytes.append(UInt8(scalar))
        case ..<0x800:
            bytes.append(0xc0 | UInt8(scalar >> 6))
            bytes.append(continuation(0))
        case ..<0x10000:
            bytes.append(0xe0 | UInt8(scalar >> 12))
            bytes.append(continuation(6))
            bytes.append(continuation(0))
        default:
            bytes.append(0xf0 | UInt8(scalar >> 18))
            bytes.append(continuation(12))
            bytes.append(continuation(6))
            bytes.append(continuation(0))
        }
        scalars.append(scalar)
        offsets.append(bytes.count)
    }
}
