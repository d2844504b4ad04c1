import Tensors

/// 256 weights in 4 bits each: 8 sub-blocks of 32 with a 6-bit scale and a 6-bit minimum, both in units of the
/// super-block.
///
///     byte  0    2      4                         16                  144
///           | d  | dmin | 8 x (scale, min) 6-bit  | 128 x (hi, lo)    |     d, dmin: F16
///
///     scales: see `ScalesAndMinima6x8`
///     code byte 32n + l: code of element 64n + l in the low nibble, of 64n + l + 32 in the high one
///
/// Value: `x = d * scale * q - dmin * min`, q in 0...15. 144 bytes for 256 weights: 4.5 bits per weight.
public struct BlockQ4_K: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var dmin: PackedHalf
    public var scales: ScalesAndMinima6x8
    public var codes: InlineArray<128, UInt8>
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

    /// The scale of sub-block `index`, 0...63.
    @inline(__always)
    public func scale(_ index: Int) -> Int16 {
        index < 4 ? Int16(bytes[index] & 63) : Int16(bytes[index + 4] & 15 | (bytes[index - 4] >> 6) << 4)
    }

    /// The minimum of sub-block `index`, 0...63.
    @inline(__always)
    public func minimum(_ index: Int) -> Int16 {
        index < 4 ? Int16(bytes[index + 4] & 63) : Int16(bytes[index + 4] >> 4 | (bytes[index] >> 6) << 4)
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
        forEachBlock(in: bytes, count: output.count) { block, first in
            let (d, dmin) = (block.d.float, block.dmin.float)
            for sub in 0..<8 {
                let scale = d * Float(block.scales.scale(sub))
                let minimum = dmin * Float(block.scales.minimum(sub))
                let (start, shift) = (sub / 2 * 32, sub % 2 * 4)
                for j in 0..<32 {
                    output[first + 32 * sub + j] = scale * Float(block.codes[start + j] >> shift & 15) - minimum
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_K.self, count: count) { weights, activations in
            var sum = FloatLanes()
            var minima = SIMD4<Float>()
            for i in 0..<weights.count {
                let d = activations[i].d.float
                let minimum = minimumProducts(weights[i].scales, activations[i].sums)
                minima = fused(minima, minimum, -d * weights[i].dmin.float)
                var products = IntegerLanes()
                for k in 0..<4 {
                    let (low, high) = (weights[i].codes.words(32 * k), weights[i].codes.words(32 * k + 16))
                    let scales = (weights[i].scales.scale(2 * k), weights[i].scales.scale(2 * k + 1))
                    products.add(
                        Codes16(low, mask: 15), Codes16(high, mask: 15),
                        activations[i].codes, at: 64 * k, scales: (scales.0, scales.0))
                    products.add(
                        Codes16(low, shift: 4, mask: 15), Codes16(high, shift: 4, mask: 15),
                        activations[i].codes, at: 64 * k + 32, scales: (scales.1, scales.1))
                }
                sum.add(products, times: d * weights[i].d.float)
            }
            return sum.sum + treeSum(minima)
        }
    }
}
