import Tensors

/// 256 weights in 2 bits each: 16 sub-blocks of 16 with a 4-bit scale and a 4-bit minimum, both in units of the
/// super-block.
///
///     byte  0                  16               80   82     84
///           | 16 x (min, scale) | 64 x 4 codes  | d  | dmin |     d, dmin: F16
///
///     scale byte s: low nibble the scale, high nibble the minimum of sub-block s
///     code byte l of part n: codes of elements 128n + l, + 32, + 64, + 96 in bits 0-1, 2-3, 4-5, 6-7
///
/// Value: `x = d * scale * q - dmin * min`, q in 0...3. 84 bytes for 256 weights: 2.625 bits per weight.
public struct BlockQ2_K: BitwiseCopyable, Sendable {
    public var scales: InlineArray<16, UInt8>
    public var codes: InlineArray<2, InlineArray<32, UInt8>>
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
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let (d, dmin) = (blocks[i].d.float, blocks[i].dmin.float)
                for sub in 0..<16 {
                    let scale = d * Float(blocks[i].scales[sub] & 15)
                    let minimum = dmin * Float(blocks[i].scales[sub] >> 4)
                    let (part, first, shift) = (sub / 8, sub % 2 * 16, sub % 8 / 2 * 2)
                    for j in 0..<16 {
                        let code = blocks[i].codes[part][first + j] >> shift & 3
                        output[256 * i + 16 * sub + j] = scale * Float(code) - minimum
                    }
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_K.self, count: count) { weights, activations in
            var sum = FloatLanes()
            for i in 0..<weights.count {
                let d = activations[i].d.float
                var (scales, minima) = (InlineArray<16, Int16>(repeating: 0), InlineArray<16, Int16>(repeating: 0))
                for sub in 0..<16 {
                    scales[sub] = Int16(weights[i].scales[sub] & 15)
                    minima[sub] = Int16(weights[i].scales[sub] >> 4)
                }
                sum.add(pairedProducts(minima, activations[i].sums), times: -d * weights[i].dmin.float)
                var products = IntegerLanes()
                for k in 0..<8 {
                    let (part, shift) = (k / 4, Int16(k % 4 * 2))
                    products.add(
                        Codes16(weights[i].codes[part].words(0), shift: shift, mask: 3),
                        Codes16(weights[i].codes[part].words(16), shift: shift, mask: 3),
                        activations[i].codes[k], scales: (scales[2 * k], scales[2 * k + 1]))
                }
                sum.add(products, times: d * weights[i].d.float)
            }
            return sum.sum
        }
    }
}
