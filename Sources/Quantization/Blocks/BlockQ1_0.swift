import Tensors

/// 128 weights in one bit each, their sign, with one scale; there is no zero.
///
///     byte  0    2            18
///           | d  | 128 bits   |     d: F16 scale; bit j % 8 of byte j / 8 is that of weight j, the lowest first
///
/// Value: `x = d` if the bit is set, else `-d`. 18 bytes for 128 weights: 1.125 bits per weight.
public struct BlockQ1_0: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var bits: InlineArray<16, UInt8>
}

/// Q1_0.
///
/// Product with Q8_0: `sum over blocks of 32 of d_w * d_a * sum(±q_a)`. The inner sum is exact; see `FloatLanes` for the
/// order of the outer one. Source: ggml `dequantize_row_q1_0`, `ggml_vec_dot_q1_0_q8_0`.
public struct FormatQ1_0: BlockFormat {
    public typealias Block = BlockQ1_0
    public let type = TensorType.q1_0
    public let activationType = TensorType.q8_0

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let d = blocks[i].d.float
                for j in 0..<128 { output[128 * i + j] = blocks[i].bits[j / 8] >> (j % 8) & 1 == 1 ? d : -d }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_0.self, count: count) { weights, activations in
            var sum = FloatLanes()
            for k in 0..<activations.count {
                let (i, first) = (k / 4, k % 4 * 4)
                var values = InlineArray<32, Int8>(repeating: 0)
                for j in 0..<32 { values[j] = Int8(weights[i].bits[first + j / 8] >> (j % 8) & 1) * 2 - 1 }
                let products = IntegerLanes(values, activations[k].codes)
                sum.add(products, times: weights[i].d.float * activations[k].d.float)
            }
            return sum.sum
        }
    }
}

/// Quantisation: `d` is the mean magnitude; zero counts as positive. Source: ggml `quantize_row_q1_0_ref`.
extension FormatQ1_0: EncodableFormat {
    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        writeBlocks(row, importance, into: &output) { start in
            var sum: Float = 0
            var bits = InlineArray<16, UInt8>(repeating: 0)
            for j in 0..<128 {
                sum += row[start + j].magnitude
                bits[j / 8] |= (row[start + j] >= 0 ? 1 : 0) << (j % 8)
            }
            return Block(d: PackedHalf(sum / 128), bits: bits)
        }
    }
}

extension FormatQ1_0: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { BlockScales(d: load(block).d.float) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .half("d", "scale"), .bytes("qs", 16, "codes of 1 bit, eight to a byte: 0 is -d and 1 is d"),
                ],
                formula: "x = T[q] * d", table: [-1, 1],
                code: .init { j in
                    [BitField(2 + j / 8, shift: j % 8, width: 1)]
                }))
    }
}
