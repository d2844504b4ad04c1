import Tensors

/// Bits of one byte of a block, and where they go in an integer.
public struct BitField: Sendable, Hashable {
    /// Counted from the start of the block.
    public let byte: Int
    /// Lowest bit in the byte.
    public let shift: Int
    /// Number of bits.
    public let width: Int
    /// Lowest bit in the integer.
    public let offset: Int

    init(_ byte: Int, shift: Int = 0, width: Int = 8, offset: Int = 0) {
        (self.byte, self.shift, self.width, self.offset) = (byte, shift, width, offset)
    }
}

extension [BitField] {
    /// `width` bits from bit `first` on of a little-endian number that begins at a byte.
    static func bits(_ first: Int, _ width: Int, ofNumberAt byte: Int, offset: Int = 0) -> [BitField] {
        var (parts, bit) = ([BitField](), first)
        while bit < first + width {
            let count = Swift.min(8 - bit % 8, first + width - bit)
            parts.append(BitField(byte + bit / 8, shift: bit % 8, width: count, offset: offset + bit - first))
            bit += count
        }
        return parts
    }
}

/// An integer that is put together from bits of a block.
public struct StoredInteger: Sendable {
    /// The bits it is made of, each with its offset in the integer.
    public let parts: [BitField]
    /// As it is stored: 0...15, or with its sign.
    public let code: Int
    /// What the formula takes off before it multiplies; 0 if nothing.
    public let subtracted: Int
    /// Whether the highest bit is a sign (two's complement).
    public let isSigned: Bool
    /// Which digit to base 3 of the byte the code is; `nil` if it is the bits themselves.
    public let digit: Int?

    /// `code - subtracted`.
    public var factor: Int { code - subtracted }

    init(
        _ parts: [BitField], of block: RawSpan, subtracted: Int = 0, isSigned: Bool = false, digit: Int? = nil
    ) {
        var (code, width) = (0, 0)
        for part in parts {
            let byte = block.unsafeLoad(fromByteOffset: part.byte, as: UInt8.self)
            code |= (Int(byte) >> part.shift & (1 << part.width - 1)) << part.offset
            width = max(width, part.offset + part.width)
        }
        if isSigned, code >> (width - 1) == 1 { code -= 1 << width }
        // A fraction of 256: each multiplication by 3 brings the next digit before the point.
        if let digit { code = ((code * Self.power(digit) & 255) * 3) >> 8 }
        (self.parts, self.code, self.subtracted, self.isSigned) = (parts, code, subtracted, isSigned)
        self.digit = digit
    }

    /// 3 to the power of a digit.
    static func power(_ digit: Int) -> Int { (0..<digit).reduce(1) { power, _ in 3 * power } }
}
