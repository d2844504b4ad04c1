import Tensors

/// 256 weights in groups of 32: eight at a time are one of 2048 points of a grid of -1, 0, 1; a 3-bit scale and a common
/// shift of an eighth up or down for the group, so that there is no zero.
///
///     byte  0    2             34          50
///           | d  | 32 x index  | 8 x word  |     d: F16
///
///     index byte l: bits 0-7 of the point of elements 8l to 8l + 7
///     word k: bits 8-10 of the four points of the group in bits 0-2, 3-5, 6-8, 9-11; its scale in bits 12-14; bit 15 is
///     set if the shift is downwards
///
/// Value: `x = d * (2 scale + 1) * (g ± 1/8)`, g of a point in -1, 0, 1. 50 bytes for 256 weights: 1.5625 bits per
/// weight.
public struct BlockIQ1_S: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var indices: InlineArray<32, UInt8>
    public var words: InlineArray<8, PackedInt16>
}

extension BlockIQ1_S: GridBlock {
    var scale: Float { d.float }

    @inline(__always)
    func group(_ k: Int, _ grid: Grid) -> (values: InlineArray<32, Int8>, scales: (UInt8, UInt8)) {
        let word = words[k].bits
        let shift = SIMD8<Int8>(repeating: word & 0x8000 == 0 ? 1 : -1)
        var values = InlineArray<32, Int8>(repeating: 0)
        for l in 0..<4 {
            values.set(l, grid.eight(Int(indices[4 * k + l]) | Int(word >> (3 * l) & 7) << 8) &+ shift)
        }
        let scale = UInt8(word >> 12 & 7)
        return (values, (scale, scale))
    }
}

/// IQ1_S.
///
/// Product with Q8_K: per super-block `d_w * d_a * sum((2 scale + 1) * sum((8g ± 1) * q_a)) / 8`. The integer is exact;
/// see `FloatLanes` for the order of the outer sum. (ggml adds up the shifts on their own, with the stored sums of the
/// activations.) Source: ggml `dequantize_row_iq1_s`, `ggml_vec_dot_iq1_s_q8_K`.
public struct FormatIQ1_S: GridFormat {
    public typealias Block = BlockIQ1_S
    public let type = TensorType.iq1_s

    static let grid = Grid.iq1
    static let unit: Float = 0.25

    public init() {}
}
