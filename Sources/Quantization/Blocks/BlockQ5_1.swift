import Tensors

/// 32 weights in 5 bits each with one scale and one minimum; zero is exact only if it falls on a code.
///
///     byte  0    2    4          8                24
///           | d  | m  | 32 bits  | 16 x (hi, lo)  |     d: F16 scale, m: F16 minimum
///                                                       bits: bit 4 of code j is bit j, the lowest first
///                                                       byte j: bits 0-3 of code j (low) and j + 16 (high nibble)
///
/// Value: `x = q * d + m`, q in 0...31. 24 bytes for 32 weights: 6 bits per weight.
public struct BlockQ5_1: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var m: PackedHalf
    public var high: InlineArray<2, PackedInt16>
    public var codes: InlineArray<16, UInt8>
}

/// Q5_1.
///
/// Product with Q8_1: `sum over blocks of d_w * d_a * sum(q_w * q_a) + m * s`. The inner sum is exact; see `FloatLanes`
/// for the order of the outer one, the minima are added up on their own.
/// Source: ggml `dequantize_row_q5_1`, `ggml_vec_dot_q5_1_q8_1`.
public struct FormatQ5_1: BlockFormat {
    public typealias Block = BlockQ5_1
    public let type = TensorType.q5_1
    public let activationType = TensorType.q8_1

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let (d, m) = (blocks[i].d.float, blocks[i].m.float)
                for j in 0..<16 {
                    let code = Int32(blocks[i].codes[j])
                    let (low, high) = (Int32(blocks[i].high[0].bits >> j) & 1, Int32(blocks[i].high[1].bits >> j) & 1)
                    output[32 * i + j] = Float(code & 15 | low << 4) * d + m
                    output[32 * i + j + 16] = Float(code >> 4 | high << 4) * d + m
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_1.self, count: count) { weights, activations in
            var sum = FloatLanes()
            var minima: Float = 0
            for i in 0..<weights.count {
                let codes = weights[i].codes.words(0)
                let low = Codes16(codes, mask: 15) | Codes16(bits: weights[i].high[0].bits, value: 16)
                let high = Codes16(codes, shift: 4, mask: 15) | Codes16(bits: weights[i].high[1].bits, value: 16)
                let products = IntegerLanes(low, high, activations[i].codes)
                sum.add(products, times: weights[i].d.float * activations[i].d.float)
                minima += weights[i].m.float * activations[i].s.float
            }
            return sum.sum + minima
        }
    }
}

/// Quantisation. Without importance: `d = (max - min) / 31`, `m = min`, `q = (x - m) / d` rounded half up. With
/// importance as Q4_1. Source: ggml `quantize_row_q5_1_ref`, `quantize_row_q5_1_impl`.
extension FormatQ5_1: EncodableFormat {
    public var importance: ImportanceUse { .optional }

    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        if let importance {
            return writeSearched(row, importance, into: &output) { x, w in
                var codes = x
                let found = scaleAndMinimum(x, weights: w, maximum: 31, steps: .fine, codes: &codes)
                return (found.scale, found.minimum, codes)
            } block: { scale, minimum, codes in
                Block(d: PackedHalf(scale), m: PackedHalf(-minimum), high: codes.fifthBits, codes: codes.nibbles)
            }
        }
        writeBlocks(row, importance, into: &output) { start in
            let (low, high) = row.range(start, 32)
            let d = (high - low) / 31
            let id = inverse(d)
            var codes = InlineArray<32, UInt8>(repeating: 0)
            for j in 0..<32 {
                codes[j] = UInt8(truncatingIfNeeded: truncated((row[start + j] - low) * id + 0.5))
            }
            return Block(d: PackedHalf(d), m: PackedHalf(low), high: codes.fifthBits, codes: codes.nibbles)
        }
    }
}

extension FormatQ5_1: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { BlockScales(d: load(block).d.float, m: load(block).m.float) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .half("d", "scale"), .half("m", "minimum"),
                    .bytes("qh", 4, "bit 4 of the codes, one bit per weight"),
                    .bytes("qs", 16, "bits 0-3 of the codes, weight j low and weight j + 16 high in byte j"),
                ],
                formula: "x = q * d + m", codes: 0...31,
                code: .init { j in
                    [
                        BitField(8 + j % 16, shift: j / 16 * 4, width: 4),
                        BitField(4 + j / 8, shift: j % 8, width: 1, offset: 4),
                    ]
                }))
    }
}
