import Tensors

/// 32 weights in 5 bits each with one scale; zero is always exact.
///
///     byte  0    2          6                22
///           | d  | 32 bits  | 16 x (hi, lo)  |     d: F16 scale
///                                                  bits: bit 4 of code j is bit j, the lowest first
///                                                  byte j: bits 0-3 of code j (low nibble) and j + 16 (high nibble)
///
/// Value: `x = (q - 16) * d`, q in 0...31. 22 bytes for 32 weights: 5.5 bits per weight.
public struct BlockQ5_0: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var high: InlineArray<2, PackedUInt16>
    public var codes: InlineArray<16, UInt8>
}

/// Q5_0.
///
/// Product with Q8_0: `sum over blocks of d_w * d_a * sum((q_w - 16) * q_a)`. The inner sum is exact; see `FloatLanes`
/// for the order of the outer one. Source: ggml `dequantize_row_q5_0`, `ggml_vec_dot_q5_0_q8_0`.
public struct FormatQ5_0: BlockFormat {
    public typealias Block = BlockQ5_0
    public let type = TensorType.q5_0
    public let activationType = TensorType.q8_0

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        forEachBlock(in: bytes, count: output.count) { block, first in
            let d = block.d.float
            for j in 0..<16 {
                let code = Int32(block.codes[j])
                let (low, high) = (Int32(block.high[0].value >> j) & 1, Int32(block.high[1].value >> j) & 1)
                output[first + j] = Float((code & 15 | low << 4) - 16) * d
                output[first + j + 16] = Float((code >> 4 | high << 4) - 16) * d
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_0.self, count: count) { weights, activations in
            var sum = FloatLanes()
            for i in 0..<weights.count {
                let codes = weights[i].codes.words(0)
                let low = Codes16(codes, mask: 15) | Codes16(bits: weights[i].high[0].value, value: 16)
                let high = Codes16(codes, shift: 4, mask: 15) | Codes16(bits: weights[i].high[1].value, value: 16)
                let products = IntegerLanes(low &- 16, high &- 16, activations[i].codes)
                sum.add(products, times: weights[i].d.float * activations[i].d.float)
            }
            return sum.sum
        }
    }
}
