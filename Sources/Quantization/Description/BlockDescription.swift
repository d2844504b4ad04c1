import Tensors

/// A format whose blocks can be taken apart for people: every field, code and step of the arithmetic.
public protocol DescribableFormat: BlockFormat {
    /// The numbers that the weights of a block share. Cheap: for scans of whole models.
    ///
    /// - Precondition: exactly one block.
    func scales(_ block: RawSpan) -> BlockScales

    /// One block, taken apart. Its values are those of `decode` to the bit.
    ///
    /// - Precondition: exactly one block.
    func describe(_ block: RawSpan) -> BlockDescription
}

extension BlockFormats {
    /// Those whose blocks can be taken apart.
    public static var describable: [any DescribableFormat] { all.compactMap { $0 as? any DescribableFormat } }

    /// `nil` if blocks of this type cannot be taken apart.
    public static func describableFormat(for type: TensorType) -> (any DescribableFormat)? {
        format(for: type) as? any DescribableFormat
    }
}

/// One block of weights, taken apart.
public struct BlockDescription: Sendable {
    /// Bytes of a block that ggml gives a name.
    public struct Field: Sendable {
        /// ggml's name, such as `qs`.
        public let name: String
        /// Counted from the start of the block.
        public let range: Range<Int>
        public let bytes: [UInt8]
        /// What the bytes stand for, with the number where it is one.
        public let meaning: String
    }

    /// Weights that have scale and minimum in common: a sub-block, or the whole block of a format without.
    public struct SubBlock: Sendable {
        public let elements: Range<Int>
        /// What the codes are multiplied by; `nil` for plain numbers.
        public let scale: Float?
        /// As in the formula; `nil` for formats without.
        public let minimum: Float?
        /// The integers in units of the super-block; `nil` where the block's own scale and minimum hold.
        public let scaleCode: StoredInteger?
        public let minimumCode: StoredInteger?
    }

    public struct Element: Sendable {
        public let code: StoredInteger
        /// Index of its sub-block.
        public let sub: Int
        public let value: Float
    }

    public let type: TensorType
    public let bytes: [UInt8]
    /// In the order of the bytes; together they are the block.
    public let fields: [Field]
    /// How a value is made of them, such as `x = (q - 8) * d`.
    public let formula: String
    public let scales: BlockScales
    public let subBlocks: [SubBlock]
    /// The codes that the format can store.
    public let codes: ClosedRange<Int>
    public let elements: [Element]

    /// Whether the weights have codes that are multiplied by a scale; otherwise each is a number of its own.
    public var isQuantised: Bool { scales.scale != nil }

    /// Different codes in use.
    public var codesUsed: Int { Set(elements.map(\.code.code)).count }

    /// Weights whose code is the lowest or the highest there is.
    public var saturated: [Int] {
        guard isQuantised else { return [] }
        return elements.indices.filter { [codes.lowerBound, codes.upperBound].contains(elements[$0].code.code) }
    }

    /// Whether zero is among the values that each sub-block can stand for.
    public var zeroExact: [Bool] { subBlocks.indices.map { scales.isZeroExact(sub: $0, factors: factors) } }

    /// The codes as they are multiplied by the scale.
    public var factors: ClosedRange<Int> {
        let offset = elements.first?.code.subtracted ?? 0
        return codes.lowerBound - offset...codes.upperBound - offset
    }
}

/// The scales and minima of a block as its weights meet them, all in Float as ggml computes them.
public struct BlockScales: Sendable {
    public enum Minimum: Sendable {
        /// `q * d + m`.
        case added
        /// `q * scale - min`.
        case subtracted
    }

    /// `d` as stored; `nil` for plain numbers.
    public let scale: Float?
    /// `m` or `dmin` as stored; `nil` for formats without.
    public let minimum: Float?
    public let use: Minimum
    /// The effective scale of each sub-block; of the block where there is only one.
    public let subScales: [Float]
    /// The effective minimum of each sub-block; empty for formats without.
    public let subMinima: [Float]

    /// A block with one scale, and with one minimum that is added.
    init(d: Float, m: Float? = nil) {
        (scale, minimum, use, subScales, subMinima) = (d, m, .added, [d], m.map { [$0] } ?? [])
    }

    /// A super-block; minima are subtracted.
    init(d: Float, scales: [Float], dmin: Float? = nil, minima: [Float] = []) {
        (scale, minimum, use, subScales, subMinima) = (d, dmin, .subtracted, scales, minima)
    }

    private init() { (scale, minimum, use, subScales, subMinima) = (nil, nil, .added, [], []) }

    /// Of numbers that stand for themselves.
    static let none = BlockScales()

    /// The value of a code in a sub-block, with the roundings of `decode`.
    ///
    /// - Parameter factor: what the scale is multiplied by: the code, less what the formula takes off.
    func value(_ factor: Int, sub: Int) -> Float {
        let product = subScales[sub] * Float(factor)
        guard !subMinima.isEmpty else { return product }
        return use == .added ? product + subMinima[sub] : product - subMinima[sub]
    }

    /// Whether some code of a sub-block stands for exactly zero.
    public func isZeroExact(sub: Int, factors: ClosedRange<Int>) -> Bool {
        guard sub < subScales.count else { return true }
        guard !subMinima.isEmpty else { return subScales[sub].isFinite && factors.contains(0) }
        let zero = (use == .added ? -subMinima[sub] : subMinima[sub]) / subScales[sub]
        // A scale of 0 makes every code the minimum.
        guard subScales[sub] != 0, zero.isFinite else { return value(factors.lowerBound, sub: sub) == 0 }
        let nearest = zero.rounded()
        guard nearest >= Float(factors.lowerBound), nearest <= Float(factors.upperBound) else { return false }
        return value(Int(nearest), sub: sub) == 0
    }
}

/// Bits of one byte of a block, and the place they take in an integer.
public struct BitField: Sendable, Hashable {
    /// Counted from the start of the block.
    public let byte: Int
    /// Lowest bit in the byte.
    public let shift: Int
    /// Number of bits.
    public let width: Int
    /// Lowest bit in the integer.
    public let place: Int

    init(_ byte: Int, shift: Int = 0, width: Int = 8, place: Int = 0) {
        (self.byte, self.shift, self.width, self.place) = (byte, shift, width, place)
    }
}

/// An integer that is put together from bits of a block.
public struct StoredInteger: Sendable {
    public let parts: [BitField]
    /// As it is stored: 0...15, or with its sign.
    public let code: Int
    /// What the formula takes off before it multiplies; 0 if nothing.
    public let subtracted: Int
    /// Whether the highest bit is a sign (two's complement).
    public let isSigned: Bool

    /// `code - subtracted`.
    public var factor: Int { code - subtracted }

    init(_ parts: [BitField], of block: RawSpan, subtracted: Int = 0, isSigned: Bool = false) {
        var (code, width) = (0, 0)
        for part in parts {
            let byte = block.unsafeLoad(fromByteOffset: part.byte, as: UInt8.self)
            code |= (Int(byte) >> part.shift & (1 << part.width - 1)) << part.place
            width = max(width, part.place + part.width)
        }
        if isSigned, code >> (width - 1) == 1 { code -= 1 << width }
        (self.parts, self.code, self.subtracted, self.isSigned) = (parts, code, subtracted, isSigned)
    }
}
