import Tensors

/// 256 weights, eight at a time one of 2048 points of a grid of -1, 0, 1 with a common shift of an eighth up or down, so
/// that there is no zero; a 3-bit scale for 16. The super-block's scale has no place of its own: its four nibbles are
/// the tops of the four words of scales.
///
///     byte  0             32               48          56
///           | 32 x index  | 16 x (hi, lo)  | 4 x word  |
///
///     index byte l: bits 0-7 of the point of elements 8l to 8l + 7
///     nibble l, the low one of each byte first: bits 8-10 of point l; bit 3 is set if its shift is downwards
///     word w: scales of sub-blocks 4w to 4w + 3 in bits 0-2, 3-5, 6-8, 9-11; nibble w of d, an F16, in bits 12-15
///
/// Value: `x = d * (2 scale + 1) * (g ± 1/8)`, g of a point in -1, 0, 1. 56 bytes for 256 weights: 1.75 bits per weight.
public struct BlockIQ1_M: BitwiseCopyable, Sendable {
    public var indices: InlineArray<32, UInt8>
    public var highIndices: InlineArray<16, UInt8>
    public var words: InlineArray<4, PackedInt16>
}

extension BlockIQ1_M: GridBlock {
    var scale: Float {
        var bits: UInt16 = 0
        for w in 0..<4 { bits |= (words[w].bits >> 12) << (4 * w) }
        return Half.float(f16: bits)
    }

    @inline(__always)
    func group(_ k: Int, _ grid: Grid) -> (values: InlineArray<32, Int8>, scales: (UInt8, UInt8)) {
        var values = InlineArray<32, Int8>(repeating: 0)
        for l in 0..<4 {
            let high = highIndices.nibble(4 * k + l)
            let shift = SIMD8<Int8>(repeating: high & 8 == 0 ? 1 : -1)
            values.set(l, grid.eight(Int(indices[4 * k + l]) | Int(high & 7) << 8) &+ shift)
        }
        let scales = words[k / 2].bits >> (k % 2 * 6)
        return (values, (UInt8(scales & 7), UInt8(scales >> 3 & 7)))
    }
}

/// IQ1_M.
///
/// Product with Q8_K: per super-block `d_w * d_a * sum((2 scale + 1) * sum((8g ± 1) * q_a)) / 8`. The integer is exact;
/// see `FloatLanes` for the order of the outer sum. Source: ggml `dequantize_row_iq1_m`, `ggml_vec_dot_iq1_m_q8_K`.
public struct FormatIQ1_M: GridFormat {
    public typealias Block = BlockIQ1_M
    public let type = TensorType.iq1_m

    static let grid = Grid.iq1
    static let unit: Float = 0.25

    public init() {}
}
