import Tensors

/// 256 weights in 5 bits each: 8 sub-blocks of 32 with a 6-bit scale and a 6-bit minimum, both in units of the
/// super-block.
///
///     byte  0    2      4                         16              48                  176
///           | d  | dmin | 8 x (scale, min) 6-bit  | high bits 32  | 128 x (hi, lo)    |     d, dmin: F16
///
///     scales: see `ScalesAndMinima6x8`
///     high byte l: bit k is bit 4 of the code of element 32k + l
///     code byte l of part n: bits 0-3 of element 64n + l in the low nibble, of 64n + l + 32 in the high one
///
/// Value: `x = d * scale * q - dmin * min`, q in 0...31. 176 bytes for 256 weights: 5.5 bits per weight.
public struct BlockQ5_K: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var dmin: PackedHalf
    public var scales: ScalesAndMinima6x8
    public var high: InlineArray<32, UInt8>
    public var codes: InlineArray<4, InlineArray<32, UInt8>>
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
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let (d, dmin) = (blocks[i].d.float, blocks[i].dmin.float)
                let (scales, minima) = blocks[i].scales.values
                for sub in 0..<8 {
                    let scale = d * Float(scales[sub])
                    let minimum = dmin * Float(minima[sub])
                    let (part, shift) = (sub / 2, sub % 2 * 4)
                    for j in 0..<32 {
                        let code = blocks[i].codes[part][j] >> shift & 15 | (blocks[i].high[j] >> sub & 1) << 4
                        output[256 * i + 32 * sub + j] = scale * Float(code) - minimum
                    }
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_K.self, count: count) { weights, activations in
            var sum = FloatLanes()
            var minimumSum: Float = 0
            for i in 0..<weights.count {
                let d = activations[i].d.float
                let (scales, minima) = weights[i].scales.values
                let minimum = minimumProducts(minima, activations[i].sums).wrappedSum()
                minimumSum = fused(minimumSum, minimum, -d * weights[i].dmin.float)
                let bits = (weights[i].high.words(0), weights[i].high.words(16))
                var products = IntegerLanes()
                for k in 0..<8 {
                    let (part, shift, bit) = (k / 2, Int16(k % 2 * 4), Int16(k))
                    let low =
                        Codes16(weights[i].codes[part].words(0), shift: shift, mask: 15)
                        | Codes16(bits.0, shift: bit, mask: 1) &<< 4
                    let high =
                        Codes16(weights[i].codes[part].words(16), shift: shift, mask: 15)
                        | Codes16(bits.1, shift: bit, mask: 1) &<< 4
                    products.add(low, high, activations[i].codes[k], scales: (scales[k], scales[k]))
                }
                sum.add(products, times: d * weights[i].d.float)
            }
            return sum.sum + minimumSum
        }
    }
}

/// Quantisation; see `encodeWithMinima`. Source: ggml `quantize_row_q5_K_ref`, `quantize_row_q5_K_impl`.
extension FormatQ5_K: EncodableFormat {
    public var importance: ImportanceUse { .optional }

    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        let steps = ScaleSteps(first: -0.5, step: 0.1, count: 15)
        writeBlocks(row, importance, into: &output) { start in
            let found = encodeWithMinima(row, importance, from: start, maximum: 31, steps: steps)
            return Block(
                d: found.d, dmin: found.dmin, scales: found.scales, high: found.codes.bits(4),
                codes: found.codes.nibbles)
        }
    }
}

extension FormatQ5_K: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales {
        let block = load(block)
        return block.scales.described(d: block.d.float, dmin: block.dmin.float)
    }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .half("d", "unit of the scales"), .half("dmin", "unit of the mins"),
                    .bytes("scales", 12, "a 6-bit scale and a 6-bit min a sub-block"),
                    .bytes("qh", 32, "bit 4 of the codes, one bit per weight"),
                    .bytes("qs", 128, "bits 0-3 of the codes, two to a byte, 32 weights apart"),
                ],
                formula: "x = d * scale * q - dmin * min", codes: 0...31,
                code: .init { j in
                    [
                        BitField(48 + j / 64 * 32 + j % 32, shift: j % 64 / 32 * 4, width: 4),
                        BitField(16 + j % 32, shift: j / 32, width: 1, offset: 4),
                    ]
                },
                subScale: .init { sub in ScalesAndMinima6x8.scaleBits(sub, from: 4) },
                subMinimum: .init { sub in ScalesAndMinima6x8.minimumBits(sub, from: 4) }))
    }
}
