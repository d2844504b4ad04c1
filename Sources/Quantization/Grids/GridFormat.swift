import Tensors

// What the seven formats with a grid have in common: a super-block of 256 weights in groups of 32. Eight weights at a
// time (four in IQ3) are a point of a grid, stored as its index, and their signs; a 3- or 4-bit scale belongs to 16 or
// 32 of them.

/// A super-block whose groups are points of a grid.
protocol GridBlock: BitwiseCopyable {
    /// The scale of the super-block.
    var scale: Float { get }

    /// The 32 values of group k, signs included, and the scales of its first and second 16 as they are stored.
    func group(_ k: Int, _ grid: Grid) -> (values: InlineArray<32, Int8>, scales: (UInt8, UInt8))
}

/// A format with a grid.
protocol GridFormat: BlockFormat where Block: GridBlock {
    static var grid: Grid { get }

    /// Value: `x = scale * (0.5 + s) * unit * value`.
    static var unit: Float { get }
}

extension GridFormat {
    public var activationType: TensorType { .q8_K }

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        let grid = Self.grid
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let d = blocks[i].scale
                for k in 0..<8 {
                    let (values, scales) = blocks[i].group(k, grid)
                    let (first, second) = (
                        d * (0.5 + Float(scales.0)) * Self.unit, d * (0.5 + Float(scales.1)) * Self.unit
                    )
                    for j in 0..<16 {
                        output[256 * i + 32 * k + j] = first * Float(values[j])
                        output[256 * i + 32 * k + j + 16] = second * Float(values[j + 16])
                    }
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        let grid = Self.grid
        return withBlocks(weights, activations, of: BlockQ8_K.self, count: count) { weights, activations in
            var sum = FloatLanes()
            for i in 0..<weights.count {
                var products = IntegerLanes()
                for k in 0..<8 {
                    let (values, scales) = weights[i].group(k, grid)
                    products.add(
                        values, activations[i].codes[k], scales: (Int16(scales.0) * 2 + 1, Int16(scales.1) * 2 + 1))
                }
                sum.add(products, times: weights[i].scale * activations[i].d.float)
            }
            return sum.sum * (Self.unit / 2)
        }
    }
}

extension GridFormat where Self: DescribableFormat {
    /// What the values of a point are multiplied by.
    ///
    /// - Parameters:
    ///   - length: weights that share a scale, 16 or 32.
    ///   - values: what the grid counts in.
    func scales(_ block: RawSpan, length: Int, values: Float = 1) -> BlockScales {
        let block = load(block)
        let d = block.scale
        let all = (0..<8).flatMap { k -> [Float] in
            let (first, second) = block.group(k, Self.grid).scales
            return (length == 16 ? [first, second] : [first]).map { d * (0.5 + Float($0)) * (Self.unit / values) }
        }
        return BlockScales(d: d, scales: all)
    }
}

/// A grid: the points that groups of codes may be, and the values the codes stand for.
struct Grid: Sendable {
    /// The points by index, as codes: 2 bits each for points of eight, 3 bits for points of four.
    let codes: [UInt16]
    /// The points by index, as values; four of eight are zero where points have four.
    let values: [SIMD8<Int8>]

    /// - Parameter values: what each code stands for: three values for points of eight, eight for points of four.
    init(_ codes: [UInt16], values table: [Int8]) {
        self.codes = codes
        let (length, bits, mask): (Int, Int, UInt16) = table.count == 3 ? (8, 2, 3) : (4, 3, 7)
        values = codes.map { point in
            var values = SIMD8<Int8>()
            for i in 0..<length { values[i] = table[Int(point >> (bits * i) & mask)] }
            return values
        }
    }

    static let iq2xxs = Grid(GridPoints.iq2xxs, values: [8, 25, 43])
    static let iq2xs = Grid(GridPoints.iq2xs, values: [8, 25, 43])
    static let iq2s = Grid(GridPoints.iq2s, values: [8, 25, 43])
    static let iq3xxs = Grid(GridPoints.iq3xxs, values: [4, 12, 20, 28, 36, 44, 52, 62])
    static let iq3s = Grid(GridPoints.iq3s, values: [1, 3, 5, 7, 9, 11, 13, 15])
    /// In eighths, to which the shift of a group is added.
    static let iq1 = Grid(GridPoints.iq1, values: [-8, 0, 8])

    /// The point of eight at an index.
    @inline(__always)
    func eight(_ index: Int) -> SIMD8<Int8> { values[index] }

    /// Two points of four, one behind the other.
    @inline(__always)
    func eight(_ first: Int, _ second: Int) -> SIMD8<Int8> {
        SIMD8(lowHalf: values[first].lowHalf, highHalf: values[second].lowHalf)
    }
}

/// Seven signs in seven bits; the eighth makes the number of negative ones even. Source: ggml `ksigns_iq2xs`.
@inline(__always)
func evenSigns(_ bits: UInt32) -> UInt8 {
    let seven = UInt8(bits & 127)
    return seven | UInt8(seven.nonzeroBitCount & 1) << 7
}

extension InlineArray<32, Int8> {
    /// Sets elements 8k to 8k + 7: negative where a bit of `signs` is set.
    @inline(__always)
    mutating func set(_ k: Int, _ values: SIMD8<Int8>, signs: UInt8 = 0) {
        for j in 0..<8 { self[8 * k + j] = signs >> j & 1 == 1 ? -values[j] : values[j] }
    }
}

extension InlineArray where Element == UInt8 {
    /// Four bytes from `offset` on as a number, low byte first.
    @inline(__always)
    func word(_ offset: Int) -> UInt32 { UInt32(littleEndian: load(offset, as: UInt32.self)) }

    /// Nibble k, the low one of each byte first.
    @inline(__always)
    func nibble(_ k: Int) -> UInt8 { self[k / 2] >> (k % 2 * 4) & 15 }
}
