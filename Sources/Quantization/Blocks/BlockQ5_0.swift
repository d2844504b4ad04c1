import Tensors

/// 32 weights in 5 bits each with one scale; zero is always exact.
///
///     byte  0    2          6                22
///           | d  | 32 bits  | 16 x (hi, lo)  |     d: F16 scale
///                                                  bits: bit 4 of code j is bit j, the lowest first
///                                                  byte j: bits 0-3 of code j (low nibble) and j + 16 (high nibble)
///
/// Value: `x = (q - 16) * d`, q in 0...31. 22 bytes for 32 weights: 5.5 bits per weight.
public struct BlockQ5_0: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var high: InlineArray<2, PackedInt16>
    public var codes: InlineArray<16, UInt8>
}

/// Q5_0.
///
/// Product with Q8_0: `sum over blocks of d_w * d_a * sum((q_w - 16) * q_a)`. The inner sum is exact; see `FloatLanes`
/// for the order of the outer one. Source: ggml `dequantize_row_q5_0`, `ggml_vec_dot_q5_0_q8_0`.
public struct FormatQ5_0: BlockFormat {
    public typealias Block = BlockQ5_0
    public let type = TensorType.q5_0
    public let activationType = TensorType.q8_0

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let d = blocks[i].d.float
                for j in 0..<16 {
                    let code = Int32(blocks[i].codes[j])
                    let (low, high) = (Int32(blocks[i].high[0].bits >> j) & 1, Int32(blocks[i].high[1].bits >> j) & 1)
                    output[32 * i + j] = Float((code & 15 | low << 4) - 16) * d
                    output[32 * i + j + 16] = Float((code >> 4 | high << 4) - 16) * d
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_0.self, count: count) { weights, activations in
            var sum = FloatLanes()
            for i in 0..<weights.count {
                let codes = weights[i].codes.words(0)
                let low = Codes16(codes, mask: 15) | Codes16(bits: weights[i].high[0].bits, value: 16)
                let high = Codes16(codes, shift: 4, mask: 15) | Codes16(bits: weights[i].high[1].bits, value: 16)
                let products = IntegerLanes(low &- 16, high &- 16, activations[i].codes)
                sum.add(products, times: weights[i].d.float * activations[i].d.float)
            }
            return sum.sum
        }
    }
}

/// Quantisation. Without importance: `d = max / -16` with max the first value of largest magnitude and its sign;
/// `q = x / d + 16` rounded half up. With importance as Q4_0.
/// Source: ggml `quantize_row_q5_0_ref`, `quantize_row_q5_0_impl`.
extension FormatQ5_0: EncodableFormat {
    public var importance: ImportanceUse { .optional }

    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        if let importance {
            return writeSearched(row, importance, into: &output) { x, w in
                var codes = x
                return (symmetricScale(x, weights: w, half: 16, codes: &codes), Lanes(), codes)
            } block: { scale, _, codes in
                Block(d: PackedHalf(scale), high: codes.fifthBits, codes: codes.nibbles)
            }
        }
        writeBlocks(row, importance, into: &output) { start in
            let d = row.largest(start, 32) / -16
            let id = inverse(d)
            var codes = InlineArray<32, UInt8>(repeating: 0)
            for j in 0..<32 { codes[j] = truncatedCode(row[start + j] * id + 16.5, atMost: 31) }
            return Block(d: PackedHalf(d), high: codes.fifthBits, codes: codes.nibbles)
        }
    }
}

extension FormatQ5_0: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { BlockScales(d: load(block).d.float) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .half("d", "scale"),
                    .bytes("qh", 4, "bit 4 of the codes, one bit per weight"),
                    .bytes("qs", 16, "bits 0-3 of the codes, weight j low and weight j + 16 high in byte j"),
                ],
                formula: "x = (q - 16) * d", codes: 0...31,
                code: .init(subtracted: 16) { j in
                    [
                        BitField(6 + j % 16, shift: j / 16 * 4, width: 4),
                        BitField(2 + j / 8, shift: j % 8, width: 1, offset: 4),
                    ]
                }))
    }
}
