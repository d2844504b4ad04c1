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
        /// What a field holds.
        public enum Content: Sendable {
            /// A number that every weight of the block needs.
            case number
            /// Integers of single weights, points or sub-blocks.
            case integers
            /// What products need and values do not.
            case sums
        }

        /// ggml's name, such as `qs`.
        public let name: String
        /// What the field holds.
        public let content: Content
        /// Counted from the start of the block.
        public let range: Range<Int>
        /// The bytes of `range`.
        public let bytes: [UInt8]
        /// What the bytes stand for, with the number where it is one.
        public let meaning: String
    }

    /// Weights that have scale and minimum in common: a sub-block, or the whole block of a format without.
    public struct SubBlock: Sendable {
        /// Indices of its weights in the block.
        public let elements: Range<Int>
        /// What the codes are multiplied by; `nil` for plain numbers.
        public let scale: Float?
        /// As in the formula; `nil` for formats without.
        public let minimum: Float?
        /// The integers in units of the super-block; `nil` where the block's own scale and minimum hold.
        public let scaleCode: StoredInteger?
        /// As `scaleCode`, of the minimum.
        public let minimumCode: StoredInteger?
        /// What the formula makes of the scale's integer, such as `(40 - 32)`.
        let scaleTerm: String?
    }

    /// One weight.
    public struct Element: Sendable {
        /// The integer that stands for the weight: `q` of the formula, or `g` with its sign.
        public let code: Int
        /// What the scale of the sub-block is multiplied by; `nil` for plain numbers.
        public let factor: Float?
        /// Where the code is; of a grid, the index of the point.
        public let stored: StoredInteger
        /// Index of its sub-block.
        public let sub: Int
        /// The weight, as `decode` gives it.
        public let value: Float
    }

    /// The block's format.
    public let type: TensorType
    /// All bytes of the block.
    public let bytes: [UInt8]
    /// In the order of the bytes; together they are the block.
    public let fields: [Field]
    /// How a value is made of them, such as `x = (q - 8) * d`.
    public let formula: String
    /// The letters of the formula that are neither fields nor `q`; `nil` if there are none.
    public let legend: String?
    /// What the weights share, as numbers.
    public let scales: BlockScales
    /// The bits of `d` where it has no field of its own.
    public let scaleBits: StoredInteger?
    /// In the order of the weights; one of all weights where the format has no sub-blocks.
    public let subBlocks: [SubBlock]
    /// What the codes stand for.
    public let book: CodeBook
    /// The weights, in order.
    public let elements: [Element]
    /// Eight weights each, in order; empty for formats without a grid.
    public let points: [GridPoint]

    /// Whether the weights have codes that are multiplied by a scale; otherwise each is a number of its own.
    public var isQuantised: Bool { !scales.subScales.isEmpty }

    /// Different codes in use.
    public var codesUsed: Int { Set(elements.map(\.code)).count }

    /// Weights whose code stands for the lowest or the highest value there is.
    public var saturated: [Int] {
        guard isQuantised else { return [] }
        return elements.indices.filter { [book.ends.lowest, book.ends.highest].contains(elements[$0].code) }
    }

    /// Whether zero is among the values that each sub-block can stand for.
    public var zeroExact: [Bool] { subBlocks.indices.map { scales.isZeroExact(sub: $0, book: book) } }
}
