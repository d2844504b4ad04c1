import Tensors

/// 256 weights in 6 bits each: 16 sub-blocks of 16 with an 8-bit signed scale in units of the super-block; zero is
/// always exact.
///
///     byte  0                 128             192             208  210
///           | 128 x low bits  | 64 x high     | 16 x scale    | d  |     d: F16, scale: Int8
///
///     low byte l of part 2n + m: bits 0-3 of element 128n + 32m + l in the low nibble, of + 64 in the high one
///     high byte l of part n: bits 4-5 of elements 128n + l, + 32, + 64, + 96 in bits 0-1, 2-3, 4-5, 6-7
///
/// Value: `x = d * scale * (q - 32)`, q in 0...63. 210 bytes for 256 weights: 6.5625 bits per weight.
public struct BlockQ6_K: BitwiseCopyable, Sendable {
    public var low: InlineArray<4, InlineArray<32, UInt8>>
    public var high: InlineArray<2, InlineArray<32, UInt8>>
    public var scales: InlineArray<16, Int8>
    public var d: PackedHalf
}

/// Q6_K.
///
/// Product with Q8_K: per super-block `d_w * d_a * (sum(scale * sum(q_w * q_a)) - 32 * sum(scale * sums))`: the offset
/// of 32 is taken off all at once, through the sums of the activations. The integer is exact; see `FloatLanes` for the
/// order of the outer sum. Source: ggml `dequantize_row_q6_K`, `ggml_vec_dot_q6_K_q8_K`.
public struct FormatQ6_K: BlockFormat {
    public typealias Block = BlockQ6_K
    public let type = TensorType.q6_K
    public let activationType = TensorType.q8_K

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let d = blocks[i].d.float
                for sub in 0..<16 {
                    let scale = d * Float(blocks[i].scales[sub])
                    let (part, quarter, first) = (sub / 8, sub % 8 / 2, sub % 2 * 16)
                    let (lowPart, lowShift, highShift) = (2 * part + quarter % 2, quarter / 2 * 4, quarter * 2)
                    for j in 0..<16 {
                        let low = blocks[i].low[lowPart][first + j] >> lowShift & 15
                        let high = blocks[i].high[part][first + j] >> highShift & 3
                        output[256 * i + 16 * sub + j] = scale * Float(Int32(low | high << 4) - 32)
                    }
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_K.self, count: count) { weights, activations in
            var sum = FloatLanes()
            for i in 0..<weights.count {
                var scales = InlineArray<16, Int16>(repeating: 0)
                for sub in 0..<16 { scales[sub] = Int16(weights[i].scales[sub]) }
                var products = IntegerLanes()
                for k in 0..<8 {
                    let (part, quarter) = (k / 4, k % 4)
                    let lowPart = 2 * part + quarter % 2
                    let (lowShift, highShift) = (Int16(quarter / 2 * 4), Int16(quarter * 2))
                    let first =
                        Codes16(weights[i].low[lowPart].words(0), shift: lowShift, mask: 15)
                        | Codes16(weights[i].high[part].words(0), shift: highShift, mask: 3) &<< 4
                    let second =
                        Codes16(weights[i].low[lowPart].words(16), shift: lowShift, mask: 15)
                        | Codes16(weights[i].high[part].words(16), shift: highShift, mask: 3) &<< 4
                    products.add(
                        first, second, activations[i].codes[k], scales: (scales[2 * k], scales[2 * k + 1]))
                }
                products.subtract(pairedProducts(scales, activations[i].sums), shift: 5)
                sum.add(large: products, times: activations[i].d.float * weights[i].d.float)
            }
            return sum.sum
        }
    }
}

/// Quantisation: a search in each sub-block, errors weighing x^2 or the importance; the scale of largest magnitude
/// becomes -128, the others are rounded in its units, then codes for the rounded scales.
/// Source: ggml `quantize_row_q6_K_ref`, `quantize_row_q6_K_impl`.
extension FormatQ6_K: EncodableFormat {
    public var importance: ImportanceUse { .optional }

    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        writeBlocks(row, importance, into: &output) { start in
            var subs = SubBlocks<16>(row, from: start) { (x: Columns<16>, first) in
                let w = if let importance { Columns<16>(importance, from: first) } else { x.map { $0 * $0 } }
                var codes = x
                return (symmetricScale(x, weights: w, half: 32, codes: &codes), codes, nil)
            }
            let largest = subs.scales.largestMagnitude
            var block = Block(
                low: .init(repeating: .init(repeating: 0)), high: .init(repeating: .init(repeating: 0)),
                scales: .init(repeating: 0), d: PackedHalf(0))
            if largest.magnitude < negligible { return block }
            let inverse = -128 / largest
            block.d = PackedHalf(1 / inverse)
            for s in 0..<16 {
                block.scales[s] = Int8(truncatingIfNeeded: min(127, nearestInteger(inverse * subs.scales[s])))
                subs.codes.requantize(
                    row, from: start, at: 16 * s, count: 16, scale: block.d.float * Float(block.scales[s]),
                    codes: -32...31, offset: 32)
            }
            for part in 0..<2 {
                for l in 0..<32 {
                    let first = 128 * part + l
                    let codes = (
                        subs.codes[first], subs.codes[first + 32], subs.codes[first + 64], subs.codes[first + 96]
                    )
                    block.low[2 * part][l] = codes.0 & 15 | codes.2 << 4
                    block.low[2 * part + 1][l] = codes.1 & 15 | codes.3 << 4
                    block.high[part][l] = codes.0 >> 4 | (codes.1 >> 4) << 2 | (codes.2 >> 4) << 4 | (codes.3 >> 4) << 6
                }
            }
            return block
        }
    }
}

extension FormatQ6_K: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales {
        let block = load(block)
        let d = block.d.float
        return BlockScales(d: d, scales: (0..<16).map { d * Float(block.scales[$0]) })
    }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .bytes("ql", 128, "bits 0-3 of the codes, two to a byte, 64 weights apart"),
                    .bytes("qh", 64, "bits 4-5 of the codes, four to a byte, 32 weights apart"),
                    .bytes("scales", 16, "an 8-bit scale with sign a sub-block"),
                    .half("d", "unit of the scales"),
                ],
                formula: "x = d * scale * (q - 32)", codes: 0...63,
                code: .init(subtracted: 32) { j in
                    [
                        BitField(j / 128 * 64 + j % 64, shift: j % 128 / 64 * 4, width: 4),
                        BitField(128 + j / 128 * 32 + j % 32, shift: j % 128 / 32 * 2, width: 2, offset: 4),
                    ]
                },
                subScale: .init(isSigned: true) { sub in [BitField(192 + sub)] }))
    }
}
