import Tensors

/// 256 weights in 6 bits each: 16 sub-blocks of 16 with an 8-bit signed scale in units of the super-block. Zero is exact.
///
///     byte  0                 128             192             208  210
///           | 128 x low bits  | 64 x high     | 16 x scale    | d  |     d: F16, scale: Int8
///
///     low byte 64n + l:   bits 0-3 of element 128n + l in the low nibble, of 128n + l + 64 in the high one (l < 64)
///     high byte 32n + l:  bits 4-5 of elements 128n + l, + 32, + 64, + 96 in bits 0-1, 2-3, 4-5, 6-7 (l < 32)
///
/// Value: `x = d * scale * (q - 32)`, q in 0...63. 210 bytes for 256 weights: 6.5625 bits per weight.
public struct BlockQ6_K: BitwiseCopyable, Sendable {
    public var low: InlineArray<128, UInt8>
    public var high: InlineArray<64, UInt8>
    public var scales: InlineArray<16, Int8>
    public var d: PackedHalf
}

/// Q6_K.
///
/// Product with Q8_K: per super-block `d_w * d_a * (sum(scale * sum(q_w * q_a)) - 32 * sum(scale * sums))`: the offset of
/// 32 is taken off all at once, through the sums of the activations. The integer is exact; see `FloatLanes` for the order
/// of the outer sum. Source: ggml `dequantize_row_q6_K`, `ggml_vec_dot_q6_K_q8_K`.
public struct FormatQ6_K: BlockFormat {
    public typealias Block = BlockQ6_K
    public let type = TensorType.q6_K
    public let activationType = TensorType.q8_K

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        forEachBlock(in: bytes, count: output.count) { block, first in
            let d = block.d.float
            for sub in 0..<16 {
                let scale = d * Float(block.scales[sub])
                let (part, quarter, half) = (sub / 8, sub % 8 / 2, sub % 2)
                let (low, lowShift) = (64 * part + quarter % 2 * 32 + half * 16, quarter / 2 * 4)
                let (high, highShift) = (32 * part + half * 16, quarter * 2)
                for j in 0..<16 {
                    let code = block.low[low + j] >> lowShift & 15 | (block.high[high + j] >> highShift & 3) << 4
                    output[first + 16 * sub + j] = scale * Float(Int32(code) - 32)
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_K.self, count: count) { weights, activations in
            var sum = FloatLanes()
            for i in 0..<weights.count {
                var products = IntegerLanes()
                for k in 0..<8 {
                    let (part, quarter) = (k / 4, k % 4)
                    let (low, lowShift) = (64 * part + quarter % 2 * 32, Int16(quarter / 2 * 4))
                    let (high, highShift) = (32 * part, Int16(quarter * 2))
                    let first =
                        Codes16(weights[i].low.words(low), shift: lowShift, mask: 15)
                        | Codes16(weights[i].high.words(high), shift: highShift, mask: 3) &<< 4
                    let second =
                        Codes16(weights[i].low.words(low + 16), shift: lowShift, mask: 15)
                        | Codes16(weights[i].high.words(high + 16), shift: highShift, mask: 3) &<< 4
                    products.add(
                        first, second, activations[i].codes, at: 32 * k,
                        scales: (Int16(weights[i].scales[2 * k]), Int16(weights[i].scales[2 * k + 1])))
                }
                let scales = Codes16(signed: weights[i].scales.words(0))
                products.subtract(pairedProducts(scales, activations[i].sums), shift: 5)
                sum.add(products, times: activations[i].d.float * weights[i].d.float)
            }
            return sum.sum
        }
    }
}
