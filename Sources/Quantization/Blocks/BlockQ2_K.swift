import Tensors

/// 256 weights in 2 bits each: 16 sub-blocks of 16 with a 4-bit scale and a 4-bit minimum, both in units of the
/// super-block.
///
///     byte  0                  16               80   82     84
///           | 16 x (min, scale) | 64 x 4 codes  | d  | dmin |     d, dmin: F16
///
///     scale byte s: low nibble the scale, high nibble the minimum of sub-block s
///     code byte 32n + l: codes of elements 128n + l, + 32, + 64, + 96 in bits 0-1, 2-3, 4-5, 6-7
///
/// Value: `x = d * scale * q - dmin * min`, q in 0...3. 84 bytes for 256 weights: 2.625 bits per weight.
public struct BlockQ2_K: BitwiseCopyable, Sendable {
    public var scales: InlineArray<16, UInt8>
    public var codes: InlineArray<64, UInt8>
    public var d: PackedHalf
    public var dmin: PackedHalf
}

/// Q2_K.
///
/// Product with Q8_K: per super-block `d_w * d_a * sum(scale * sum(q_w * q_a)) - dmin * d_a * sum(min * sums)`. Both
/// integers are exact; minima and scales go to the same lanes, minima first; see `FloatLanes`.
/// Source: ggml `dequantize_row_q2_K`, `ggml_vec_dot_q2_K_q8_K`.
public struct FormatQ2_K: BlockFormat {
    public typealias Block = BlockQ2_K
    public let type = TensorType.q2_K
    public let activationType = TensorType.q8_K

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        forEachBlock(in: bytes, count: output.count) { block, first in
            let (d, dmin) = (block.d.float, block.dmin.float)
            for sub in 0..<16 {
                let scale = d * Float(block.scales[sub] & 15)
                let minimum = dmin * Float(block.scales[sub] >> 4)
                let (start, shift) = (sub / 8 * 32 + sub % 2 * 16, sub % 8 / 2 * 2)
                for j in 0..<16 {
                    output[first + 16 * sub + j] = scale * Float(block.codes[start + j] >> shift & 3) - minimum
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_K.self, count: count) { weights, activations in
            var sum = FloatLanes()
            for i in 0..<weights.count {
                let d = activations[i].d.float
                let nibbles = Codes16(weights[i].scales.words(0), shift: 4, mask: 15)
                sum.add(pairedProducts(nibbles, activations[i].sums), times: -d * weights[i].dmin.float)
                var products = IntegerLanes()
                for part in 0..<2 {
                    let (low, high) = (weights[i].codes.words(32 * part), weights[i].codes.words(32 * part + 16))
                    for k in 0..<4 {
                        let (shift, sub) = (Int16(2 * k), 8 * part + 2 * k)
                        products.add(
                            Codes16(low, shift: shift, mask: 3), Codes16(high, shift: shift, mask: 3),
                            activations[i].codes, at: 16 * sub,
                            scales: (Int16(weights[i].scales[sub] & 15), Int16(weights[i].scales[sub + 1] & 15)))
                    }
                }
                sum.add(products, times: d * weights[i].d.float)
            }
            return sum.sum
        }
    }
}
