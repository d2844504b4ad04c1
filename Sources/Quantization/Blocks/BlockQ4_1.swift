import Tensors

/// 32 weights in 4 bits each with one scale and one minimum. The second factor is the smallest weight of the block, not
/// a correction for outliers; zero is exact only if it falls on a code.
///
///     byte  0    2    4                20
///           | d  | m  | 16 x (hi, lo)  |     d: F16 scale, m: F16 minimum
///                                            byte j: code j in the low nibble, code j + 16 in the high one
///
/// Value: `x = q * d + m`, q in 0...15. 20 bytes for 32 weights: 5 bits per weight.
public struct BlockQ4_1: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var m: PackedHalf
    public var codes: InlineArray<16, UInt8>
}

/// Q4_1.
///
/// Product with Q8_1: `sum over blocks of d_w * d_a * sum(q_w * q_a) + m * s`, because the minimum meets every
/// activation of the block and `s` is their sum. The inner sum is exact; see `FloatLanes` for the order of the outer
/// one, the minima are added up on their own. Source: ggml `dequantize_row_q4_1`, `ggml_vec_dot_q4_1_q8_1`.
public struct FormatQ4_1: BlockFormat {
    public typealias Block = BlockQ4_1
    public let type = TensorType.q4_1
    public let activationType = TensorType.q8_1

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let (d, m) = (blocks[i].d.float, blocks[i].m.float)
                for j in 0..<16 {
                    let code = blocks[i].codes[j]
                    output[32 * i + j] = Float(code & 15) * d + m
                    output[32 * i + j + 16] = Float(code >> 4) * d + m
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
                let products = IntegerLanes(
                    Codes16(codes, mask: 15), Codes16(codes, shift: 4, mask: 15), activations[i].codes)
                sum.add(products, times: weights[i].d.float * activations[i].d.float)
                minima += weights[i].m.float * activations[i].s.float
            }
            return sum.sum + minima
        }
    }
}

/// Quantisation. Without importance: `d = (max - min) / 15`, `m = min`, `q = (x - m) / d` rounded half up. With
/// importance: a search for d and m, m not above zero; an error weighs `importance * sqrt(mean of the row's squares +
/// x^2)`. Source: ggml `quantize_row_q4_1_ref`, `quantize_row_q4_1_impl`.
extension FormatQ4_1: EncodableFormat {
    public var importance: ImportanceUse { .optional }

    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        if let importance {
            return writeSearched(row, importance, into: &output) { x, w in
                var codes = x
                let found = scaleAndMinimum(x, weights: w, maximum: 15, steps: .fine, codes: &codes)
                return (found.scale, found.minimum, codes)
            } block: { scale, minimum, codes in
                Block(d: PackedHalf(scale), m: PackedHalf(-minimum), codes: codes.nibbles)
            }
        }
        writeBlocks(row, importance, into: &output) { start in
            let (low, high) = row.range(start, 32)
            let d = (high - low) / 15
            let id = inverse(d)
            var codes = InlineArray<32, UInt8>(repeating: 0)
            for j in 0..<32 { codes[j] = truncatedCode((row[start + j] - low) * id + 0.5, atMost: 15) }
            return Block(d: PackedHalf(d), m: PackedHalf(low), codes: codes.nibbles)
        }
    }
}

extension FormatQ4_1: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { BlockScales(d: load(block).d.float, m: load(block).m.float) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .half("d", "scale"), .half("m", "minimum"),
                    .bytes("qs", 16, "codes of 4 bits, weight j low and weight j + 16 high in byte j"),
                ],
                formula: "x = q * d + m", codes: 0...15,
                code: .init { j in
                    [BitField(4 + j % 16, shift: j / 16 * 4, width: 4)]
                }))
    }
}
