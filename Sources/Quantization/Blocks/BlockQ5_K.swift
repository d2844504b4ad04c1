import Tensors

/// 256 weights in 5 bits each: 8 sub-blocks of 32 with a 6-bit scale and a 6-bit minimum, both in units of the
/// super-block.
///
///     byte  0    2      4                         16              48                  176
///           | d  | dmin | 8 x (scale, min) 6-bit  | high bits 32  | 128 x (hi, lo)    |     d, dmin: F16
///
///     scales: see `ScalesAndMinima6x8`
///     high byte l: bit k is bit 4 of the code of element 32k + l
///     code byte 32n + l: bits 0-3 of element 64n + l in the low nibble, of 64n + l + 32 in the high one
///
/// Value: `x = d * scale * q - dmin * min`, q in 0...31. 176 bytes for 256 weights: 5.5 bits per weight.
public struct BlockQ5_K: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var dmin: PackedHalf
    public var scales: ScalesAndMinima6x8
    public var high: InlineArray<32, UInt8>
    public var codes: InlineArray<128, UInt8>
}

/// Q5_K.
///
/// Product with Q8_K: per super-block `d_w * d_a * sum(scale * sum(q_w * q_a)) - dmin * d_a * sum(min * sums)`. Both
/// integers are exact; scales are added up in eight lanes (see `FloatLanes`), minima in one.
/// Source: ggml `dequantize_row_q5_K`, `ggml_vec_dot_q5_K_q8_K`.
public struct FormatQ5_K: BlockFormat {
    public typealias Block = BlockQ5_K
    public let type = TensorType.q5_K
    public let activationType = TensorType.q8_K

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        forEachBlock(in: bytes, count: output.count) { block, first in
            let (d, dmin) = (block.d.float, block.dmin.float)
            for sub in 0..<8 {
                let scale = d * Float(block.scales.scale(sub))
                let minimum = dmin * Float(block.scales.minimum(sub))
                let (start, shift) = (sub / 2 * 32, sub % 2 * 4)
                for j in 0..<32 {
                    let code = block.codes[start + j] >> shift & 15 | (block.high[j] >> sub & 1) << 4
                    output[first + 32 * sub + j] = scale * Float(code) - minimum
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_K.self, count: count) { weights, activations in
            var sum = FloatLanes()
            var minima: Float = 0
            for i in 0..<weights.count {
                let d = activations[i].d.float
                let minimum = minimumProducts(weights[i].scales, activations[i].sums).wrappedSum()
                minima = fused(minima, minimum, -d * weights[i].dmin.float)
                let bits = (weights[i].high.words(0), weights[i].high.words(16))
                var products = IntegerLanes()
                for k in 0..<8 {
                    let (first, shift, bit) = (k / 2 * 32, Int16(k % 2 * 4), Int16(k))
                    let low =
                        Codes16(weights[i].codes.words(first), shift: shift, mask: 15)
                        | Codes16(bits.0, shift: bit, mask: 1) &<< 4
                    let high =
                        Codes16(weights[i].codes.words(first + 16), shift: shift, mask: 15)
                        | Codes16(bits.1, shift: bit, mask: 1) &<< 4
                    let scale = weights[i].scales.scale(k)
                    products.add(low, high, activations[i].codes, at: 32 * k, scales: (scale, scale))
                }
                sum.add(products, times: d * weights[i].d.float)
            }
            return sum.sum + minima
        }
    }
}
