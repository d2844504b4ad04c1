import Tensors

/// 256 weights in 4 bits each: 8 sub-blocks of 32 with a 6-bit scale and a 6-bit minimum, both in units of the
/// super-block.
///
///     byte  0    2      4                         16                  144
///           | d  | dmin | 8 x (scale, min) 6-bit  | 128 x (hi, lo)    |     d, dmin: F16
///
///     scales: see `ScalesAndMinima6x8`
///     code byte l of part n: code of element 64n + l in the low nibble, of 64n + l + 32 in the high one
///
/// Value: `x = d * scale * q - dmin * min`, q in 0...15. 144 bytes for 256 weights: 4.5 bits per weight.
public struct BlockQ4_K: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var dmin: PackedHalf
    public var scales: ScalesAndMinima6x8
    public var codes: InlineArray<4, InlineArray<32, UInt8>>
}

/// Eight 6-bit scales and eight 6-bit minima in 12 bytes.
///
///     bytes 0-3:   scales 0-3 in bits 0-5, the upper two bits of scales 4-7 in bits 6-7
///     bytes 4-7:   minima 0-3 in bits 0-5, the upper two bits of minima 4-7 in bits 6-7
///     bytes 8-11:  low nibbles of scales 4-7 (low) and of minima 4-7 (high)
///
/// Source: ggml `get_scale_min_k4`.
public struct ScalesAndMinima6x8: BitwiseCopyable, Sendable {
    public var bytes: InlineArray<12, UInt8>

    /// The scales and the minima of the eight sub-blocks, each 0...63.
    @inline(__always)
    public var values: (scales: InlineArray<8, Int16>, minima: InlineArray<8, Int16>) {
        var scales = InlineArray<8, Int16>(repeating: 0)
        var minima = InlineArray<8, Int16>(repeating: 0)
        for j in 0..<4 {
            let (first, second, third) = (bytes[j], bytes[j + 4], bytes[j + 8])
            scales[j] = Int16(first & 63)
            minima[j] = Int16(second & 63)
            scales[j + 4] = Int16(third & 15 | (first >> 6) << 4)
            minima[j + 4] = Int16(third >> 4 | (second >> 6) << 4)
        }
        return (scales, minima)
    }
}

/// Q4_K.
///
/// Product with Q8_K: per super-block `d_w * d_a * sum(scale * sum(q_w * q_a)) - dmin * d_a * sum(min * sums)`. Both
/// integers are exact; scales are added up in eight lanes (see `FloatLanes`), minima in four.
/// Source: ggml `dequantize_row_q4_K`, `ggml_vec_dot_q4_K_q8_K`.
public struct FormatQ4_K: BlockFormat {
    public typealias Block = BlockQ4_K
    public let type = TensorType.q4_K
    public let activationType = TensorType.q8_K

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let (d, dmin) = (blocks[i].d.float, blocks[i].dmin.float)
                let (scales, minima) = blocks[i].scales.values
                for sub in 0..<8 {
                    let scale = d * Float(scales[sub])
                    let minimum = dmin * Float(minima[sub])
                    let (part, shift) = (sub / 2, sub % 2 * 4)
                    for j in 0..<32 {
                        let code = blocks[i].codes[part][j] >> shift & 15
                        output[256 * i + 32 * sub + j] = scale * Float(code) - minimum
                    }
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_K.self, count: count) { weights, activations in
            var sum = FloatLanes()
            var minimumSum = SIMD4<Float>()
            for i in 0..<weights.count {
                let d = activations[i].d.float
                let (scales, minima) = weights[i].scales.values
                let minimum = minimumProducts(minima, activations[i].sums)
                minimumSum = fused(minimumSum, minimum, -d * weights[i].dmin.float)
                var products = IntegerLanes()
                for k in 0..<8 {
                    let (part, shift) = (k / 2, Int16(k % 2 * 4))
                    products.add(
                        Codes16(weights[i].codes[part].words(0), shift: shift, mask: 15),
                        Codes16(weights[i].codes[part].words(16), shift: shift, mask: 15),
                        activations[i].codes[k], scales: (scales[k], scales[k]))
                }
                sum.add(products, times: d * weights[i].d.float)
            }
            return sum.sum + treeSum(minimumSum)
        }
    }
}
