import Tensors

/// 256 weights in 3 bits each: 16 sub-blocks of 16 with a 6-bit signed scale in units of the super-block; zero is
/// always exact.
///
///     byte  0              32              96                108  110
///           | high bits 32 | 64 x 4 codes  | 16 x 6-bit scale | d  |     d: F16
///
///     high byte l: bit k is bit 2 of the code of element 32k + l
///     code byte l of part n: low bits of elements 128n + l, + 32, + 64, + 96 in bits 0-1, 2-3, 4-5, 6-7
///     scales: see `Scales6x16`
///
/// Value: `x = d * (scale - 32) * (q - 4)`, q in 0...7. 110 bytes for 256 weights: 3.4375 bits per weight.
public struct BlockQ3_K: BitwiseCopyable, Sendable {
    public var high: InlineArray<32, UInt8>
    public var codes: InlineArray<2, InlineArray<32, UInt8>>
    public var scales: Scales6x16
    public var d: PackedHalf
}

/// Sixteen 6-bit scales in 12 bytes: the low nibbles of scales 0-7 are low nibbles of bytes 0-7, those of scales 8-15
/// the high nibbles; bits 4-5 of scale s are bits 2(s / 4) and up of byte 8 + s % 4.
public struct Scales6x16: BitwiseCopyable, Sendable {
    public var bytes: InlineArray<12, UInt8>

    /// The scales of the 16 sub-blocks, each -32...31.
    @inline(__always)
    public var values: InlineArray<16, Int16> {
        var values = InlineArray<16, Int16>(repeating: -32)
        for j in 0..<4 {
            let high = bytes[8 + j]
            values[j] += Int16(bytes[j] & 15 | (high & 3) << 4)
            values[j + 4] += Int16(bytes[j + 4] & 15 | (high >> 2 & 3) << 4)
            values[j + 8] += Int16(bytes[j] >> 4 | (high >> 4 & 3) << 4)
            values[j + 12] += Int16(bytes[j + 4] >> 4 | (high >> 6) << 4)
        }
        return values
    }
}

/// Q3_K.
///
/// Product with Q8_K: per super-block `d_w * d_a * sum((scale - 32) * sum((q_w - 4) * q_a))`. The integer is exact; see
/// `FloatLanes` for the order of the outer sum. Source: ggml `dequantize_row_q3_K`, `ggml_vec_dot_q3_K_q8_K`.
public struct FormatQ3_K: BlockFormat {
    public typealias Block = BlockQ3_K
    public let type = TensorType.q3_K
    public let activationType = TensorType.q8_K

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let (d, scales) = (blocks[i].d.float, blocks[i].scales.values)
                for sub in 0..<16 {
                    let scale = d * Float(scales[sub])
                    let (part, first, shift) = (sub / 8, sub % 2 * 16, sub % 8 / 2 * 2)
                    for j in 0..<16 {
                        let high = blocks[i].high[first + j] >> (sub / 2) & 1
                        let code = blocks[i].codes[part][first + j] >> shift & 3 | high << 2
                        output[256 * i + 16 * sub + j] = scale * Float(Int32(code) - 4)
                    }
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_K.self, count: count) { weights, activations in
            var sum = FloatLanes()
            for i in 0..<weights.count {
                let scales = weights[i].scales.values
                let bits = (weights[i].high.words(0), weights[i].high.words(16))
                var products = IntegerLanes()
                for k in 0..<8 {
                    let (part, bit, shift) = (k / 4, Int16(k), Int16(k % 4 * 2))
                    let low =
                        Codes16(weights[i].codes[part].words(0), shift: shift, mask: 3)
                        | Codes16(bits.0, shift: bit, mask: 1) &<< 2
                    let high =
                        Codes16(weights[i].codes[part].words(16), shift: shift, mask: 3)
                        | Codes16(bits.1, shift: bit, mask: 1) &<< 2
                    products.add(
                        low &- 4, high &- 4, activations[i].codes[k], scales: (scales[2 * k], scales[2 * k + 1]))
                }
                sum.add(products, times: activations[i].d.float * weights[i].d.float)
            }
            return sum.sum
        }
    }
}
