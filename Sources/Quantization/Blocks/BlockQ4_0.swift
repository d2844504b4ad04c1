import Tensors

/// 32 weights in 4 bits each with one scale; zero is always exact.
///
///     byte  0    2                18
///           | d  | 16 x (hi, lo)  |     d: F16 scale
///                                       byte j: code j in the low nibble, code j + 16 in the high one
///
/// Value: `x = (q - 8) * d`, q in 0...15. 18 bytes for 32 weights: 4.5 bits per weight.
public struct BlockQ4_0: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var codes: InlineArray<16, UInt8>
}

/// Q4_0.
///
/// Product with Q8_0: `sum over blocks of d_w * d_a * sum((q_w - 8) * q_a)`. The inner sum is exact; see `FloatLanes`
/// for the order of the outer one. Source: ggml `dequantize_row_q4_0`, `ggml_vec_dot_q4_0_q8_0`.
public struct FormatQ4_0: BlockFormat {
    public typealias Block = BlockQ4_0
    public let type = TensorType.q4_0
    public let activationType = TensorType.q8_0

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let d = blocks[i].d.float
                for j in 0..<16 {
                    let code = Int32(blocks[i].codes[j])
                    output[32 * i + j] = Float((code & 15) - 8) * d
                    output[32 * i + j + 16] = Float((code >> 4) - 8) * d
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_0.self, count: count) { weights, activations in
            var sum = FloatLanes()
            for i in 0..<weights.count {
                let codes = weights[i].codes.words(0)
                let low = Codes16(codes, mask: 15) &- 8
                let high = Codes16(codes, shift: 4, mask: 15) &- 8
                let products = IntegerLanes(low, high, activations[i].codes)
                sum.add(products, times: weights[i].d.float * activations[i].d.float)
            }
            return sum.sum
        }
    }
}

/// Quantisation. Without importance: `d = max / -8` with max the first value of largest magnitude and its sign, so that
/// max becomes code 0, the one code without a counterpart; `q = x / d + 8` rounded half up. With importance: a search
/// for d; an error weighs `importance * sqrt(mean of the row's squares + x^2)`.
/// Source: ggml `quantize_row_q4_0_ref`, `quantize_row_q4_0_impl`.
extension FormatQ4_0: EncodableFormat {
    public var importance: ImportanceUse { .optional }

    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        if let importance {
            return writeSearched(row, importance, into: &output) { x, w in
                var codes = x
                return (symmetricScale(x, weights: w, half: 8, codes: &codes), Lanes(), codes)
            } block: { scale, _, codes in
                Block(d: PackedHalf(scale), codes: codes.nibbles)
            }
        }
        writeBlocks(row, importance, into: &output) { start in
            let d = row.largest(start, 32) / -8
            let id = inverse(d)
            var codes = InlineArray<32, UInt8>(repeating: 0)
            for j in 0..<32 { codes[j] = truncatedCode(row[start + j] * id + 8.5, atMost: 15) }
            return Block(d: PackedHalf(d), codes: codes.nibbles)
        }
    }
}

extension FormatQ4_0: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { BlockScales(d: load(block).d.float) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .half("d", "scale"),
                    .bytes("qs", 16, "codes of 4 bits, weight j low and weight j + 16 high in byte j"),
                ],
                formula: "x = (q - 8) * d", codes: 0...15,
                code: .init(subtracted: 8) { j in
                    [BitField(2 + j % 16, shift: j / 16 * 4, width: 4)]
                }))
    }
}
