import Operations
import Quantization
import Tensors

/// One element of a product with a quantised matrix, block by block, as the integer kernels see it.
public struct ProductBlock: Sendable {
    /// Weights that share a scale, meeting activations that share one: a sub-block, or the block.
    public struct Piece: Sendable {
        /// Columns of the row.
        public let columns: Range<Int>
        /// `Σ q_w · q_a`, exact. Of grids with a shift, in eighths.
        public let integerSum: Double
        /// `Σ q_a`, which a minimum meets.
        public let activationSum: Int
        /// What the weights' codes are multiplied by.
        public let scale: Float
        /// What is added to each weight; `nil` for formats without.
        public let minimum: Float?
        /// What the activations' codes are multiplied by.
        public let activationScale: Float
        /// `s`, the sum of the activations that Q8_1 keeps in F16; `nil` for other formats.
        public let storedSum: Float?

        /// `scale · activationScale · integerSum`
        public var codeTerm: Double { Double(scale) * Double(activationScale) * integerSum }
        /// `minimum · s`, or `minimum · activationScale · activationSum`; 0 for formats without.
        public var minimumTerm: Double {
            guard let minimum else { return 0 }
            return Double(minimum) * (storedSum.map(Double.init) ?? exactSum)
        }
        public var contribution: Double { codeTerm + minimumTerm }
        /// What the kernel would have added, had Q8_1 not rounded its sum to F16.
        var sumRounding: Double {
            guard let minimum, let storedSum else { return 0 }
            return Double(minimum) * (Double(storedSum) - exactSum)
        }
        private var exactSum: Double { Double(activationScale) * Double(activationSum) }
    }

    /// Index in the row.
    public let index: Int
    public let columns: Range<Int>
    /// Bytes from the start of the file; `nil` where the weights are no tensor of a file.
    public let fileOffset: Int?
    /// As stored: `d`, and `m` or `dmin`.
    public let scale: Float?
    public let minimum: Float?
    public let pieces: [Piece]

    public var contribution: Double { pieces.reduce(0) { $0 + $1.contribution } }
}

/// One row of a matrix in its stored bytes, one row of activations, and all that a product makes of them.
public struct ProductTerms: Sendable {
    public let weightType: TensorType
    /// What the activations are converted to beforehand.
    public let activationType: TensorType
    /// The weights, decoded.
    public let weights: [Float]
    /// The integers that stand for them; empty where they are plain numbers.
    public let codes: [Int]
    /// The activations, before and after the conversion.
    public let activations: [Float]
    public let rounded: [Float]
    /// Bytes from the start of the file to the row; `nil` where the weights are no tensor of a file.
    public let fileOffset: Int?
    /// What the format's own code makes of the two rows, in the order of the kernels: the element, to the bit.
    public let value: Float
    /// Empty where weights are plain numbers.
    public let blocks: [ProductBlock]

    /// `Σ w x`, weights decoded, activations as they were: what a program that dequantises first computes. Products of
    /// two Floats and, for practical purposes, their sum are exact in Double.
    public var dequantised: Double { Self.sum(weights, activations) }
    /// What the conversion of the activations adds.
    public var activationRounding: Double { Self.sum(weights, rounded) - dequantised }
    /// What Q8_1's sums, kept in F16, add to the minima's share; 0 for other types.
    public var sumRounding: Double { blocks.reduce(0) { $0 + $1.pieces.reduce(0) { $0 + $1.sumRounding } } }
    /// The product of the rounded factors without any further rounding.
    public var exact: Double {
        blocks.isEmpty ? Self.sum(weights, rounded) : blocks.reduce(0) { $0 + $1.contribution }
    }
    /// `Σ |w x|`: what rounding errors of a sum are measured against.
    public var magnitude: Double {
        weights.indices.reduce(0) { $0 + abs(Double(weights[$1]) * Double(rounded[$1])) }
    }

    /// - Parameters:
    ///   - weights: `[K, …]` of any format.
    ///   - row: of its rows, the dimensions 1 to 3.
    ///   - activations: K values.
    ///   - order: of the sum, where it matters.
    ///   - fileOffset: bytes from the start of the file to the row; `nil` if there is none.
    public init(
        weights: Tensor, row: (Int, Int, Int), activations: [Float], order: SummationOrder,
        fileOffset: Int? = nil
    ) {
        let format = BlockFormats.format(for: weights.type)!
        weightType = weights.type
        activationType = format.activationType
        self.activations = activations
        self.fileOffset = fileOffset
        let converted = RoundedActivations(activations, for: format)
        rounded = converted.values
        let start = weights.offset + weights.layout.rowOffset(row.0, row.1, row.2)
        let bytes = weights.source.withBytes(in: start..<start + weights.layout.rowBytes) { bytes in
            (0..<bytes.byteCount).map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
        }
        self.weights = bytes.decoded(weights.type)
        var value: [Float] = [0]
        var output = value.mutableSpan
        format.dotRows(
            bytes.span.bytes, stride: bytes.count, converted.bytes.span.bytes, count: activations.count, order: order,
            into: &output)
        self.value = value[0]
        guard weights.type.blockElements > 1 else {
            (codes, blocks) = ([], [])
            return
        }
        let described = bytes.described(weights.type)
        codes = described.flatMap { $0.elements.map(\.code) }
        blocks = Self.blocks(described, converted.blocks, fileOffset)
    }

    /// `Σ a b`, every product exact.
    static func sum(_ a: [Float], _ b: [Float]) -> Double {
        zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }

    private static func blocks(
        _ weights: [BlockDescription], _ activations: [BlockDescription], _ fileOffset: Int?
    ) -> [ProductBlock] {
        weights.enumerated().map { index, block in
            let length = block.elements.count
            let pieces = block.subBlocks.flatMap { sub in
                let step = min(sub.elements.count, activations[0].elements.count)
                return stride(from: sub.elements.lowerBound, to: sub.elements.upperBound, by: step).map { first in
                    piece(block, sub, first..<first + step, activations, firstColumn: index * length)
                }
            }
            return ProductBlock(
                index: index, columns: index * length..<(index + 1) * length,
                fileOffset: fileOffset.map { $0 + index * block.bytes.count }, scale: block.scales.scale,
                minimum: block.scales.minimum, pieces: pieces)
        }
    }

    private static func piece(
        _ block: BlockDescription, _ sub: BlockDescription.SubBlock, _ range: Range<Int>, _ right: [BlockDescription],
        firstColumn: Int
    ) -> ProductBlock.Piece {
        let columns = firstColumn + range.lowerBound..<firstColumn + range.upperBound
        let length = right[0].elements.count
        let activations = right[columns.lowerBound / length]
        var (products, codes) = (0.0, 0)
        for (i, column) in zip(range, columns) {
            let code = activations.elements[column % length].code
            products += Double(block.elements[i].factor!) * Double(code)
            codes += code
        }
        return ProductBlock.Piece(
            columns: columns, integerSum: products, activationSum: codes, scale: sub.scale!,
            minimum: sub.minimum.map { block.scales.use == .added ? $0 : -$0 },
            activationScale: activations.scales.scale!,
            storedSum: activations.storedSum)
    }
}

/// A row of activations in the type that a format is multiplied with.
struct RoundedActivations {
    /// What is left of them.
    let values: [Float]
    let bytes: [UInt8]
    let blocks: [BlockDescription]

    init(_ activations: [Float], for format: any BlockFormat) {
        let type = format.activationType
        let encoder = ActivationEncoder(BlockFormats.activationFormat(for: type)!, on: .best)
        var bytes = [UInt8](repeating: 0, count: type.rowBytes(activations.count)!)
        var elements = bytes.mutableSpan
        var span = elements.mutableBytes
        encoder.encode(activations.span, into: &span)
        self.bytes = bytes
        values = bytes.decoded(type)
        blocks = type.blockElements > 1 ? bytes.described(type) : []
    }

    /// How far the sums that Q8_1 stores are from those of the codes; empty for other types.
    var sumErrors: [Double] {
        blocks.compactMap { block in
            block.storedSum.map {
                Double($0) - Double(block.scales.scale!) * Double(block.elements.reduce(0) { $0 + $1.code })
            }
        }
    }
}

extension BlockDescription {
    /// `s` of a block of Q8_1; `nil` for other types.
    fileprivate var storedSum: Float? {
        guard type == .q8_1, let bytes = fields.first(where: { $0.name == "s" })?.bytes else { return nil }
        return Half.float(f16: UInt16(bytes[0]) | UInt16(bytes[1]) << 8)
    }
}

extension [UInt8] {
    fileprivate func decoded(_ type: TensorType) -> [Float] { BlockFormats.format(for: type)!.values(of: span.bytes) }

    fileprivate func described(_ type: TensorType) -> [BlockDescription] {
        let format = BlockFormats.describableFormat(for: type)!
        return stride(from: 0, to: count, by: type.blockBytes).map {
            format.describe(span.bytes.extracting($0..<$0 + type.blockBytes))
        }
    }
}
