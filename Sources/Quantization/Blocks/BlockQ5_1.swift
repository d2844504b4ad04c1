import Tensors

/// 32 weights in 5 bits each with one scale and one minimum; zero is exact only if it falls on a code.
///
///     byte  0    2    4          8                24
///           | d  | m  | 32 bits  | 16 x (hi, lo)  |     d: F16 scale, m: F16 minimum
///                                                       bits: bit 4 of code j is bit j, the lowest first
///                                                       byte j: bits 0-3 of code j (low) and j + 16 (high nibble)
///
/// Value: `x = q * d + m`, q in 0...31. 24 bytes for 32 weights: 6 bits per weight.
public struct BlockQ5_1: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var m: PackedHalf
    public var high: InlineArray<2, PackedUInt16>
    public var codes: InlineArray<16, UInt8>
}

/// Q5_1.
///
/// Product with Q8_1: `sum over blocks of d_w * d_a * sum(q_w * q_a) + m * s`. The inner sum is exact; see `FloatLanes`
/// for the order of the outer one, the minima are added up on their own.
/// Source: ggml `dequantize_row_q5_1`, `ggml_vec_dot_q5_1_q8_1`.
public struct FormatQ5_1: BlockFormat {
    public typealias Block = BlockQ5_1
    public let type = TensorType.q5_1
    public let activationType = TensorType.q8_1

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        forEachBlock(in: bytes, count: output.count) { block, first in
            let (d, m) = (block.d.float, block.m.float)
            for j in 0..<16 {
                let code = Int32(block.codes[j])
                let (low, high) = (Int32(block.high[0].value >> j) & 1, Int32(block.high[1].value >> j) & 1)
                output[first + j] = Float(code & 15 | low << 4) * d + m
                output[first + j + 16] = Float(code >> 4 | high << 4) * d + m
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_1.self, count: count) { weights, activations in
            var sum = FloatLanes()
            var minima: Float = 0
            for i in 0..<weights.count {
                let codes = weights[i].codes.words(0)
                let low = Codes16(codes, mask: 15) | Codes16(bits: weights[i].high[0].value, value: 16)
                let high = Codes16(codes, shift: 4, mask: 15) | Codes16(bits: weights[i].high[1].value, value: 16)
                let products = IntegerLanes(low, high, activations[i].codes)
                sum.add(products, times: weights[i].d.float * activations[i].d.float)
                minima += weights[i].m.float * activations[i].s.float
            }
            return sum.sum + minima
        }
    }
}
