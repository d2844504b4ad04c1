import Tensors

/// 256 weights in 3 bits each: 16 sub-blocks of 16 with a 6-bit signed scale in units of the super-block; zero is
/// always exact.
///
///     byte  0              32              96                108  110
///           | high bits 32 | 64 x 4 codes  | 16 x 6-bit scale | d  |     d: F16
///
///     high byte l: bit k is bit 2 of the code of element 32k + l
///     code byte l of part n: low bits of elements 128n + l, + 32, + 64, + 96 in bits 0-1, 2-3, 4-5, 6-7
///     scales: see `Scales6x16`
///
/// Value: `x = d * (scale - 32) * (q - 4)`, q in 0...7. 110 bytes for 256 weights: 3.4375 bits per weight.
public struct BlockQ3_K: BitwiseCopyable, Sendable {
    public var high: InlineArray<32, UInt8>
    public var codes: InlineArray<2, InlineArray<32, UInt8>>
    public var scales: Scales6x16
    public var d: PackedHalf
}

/// Sixteen 6-bit scales in 12 bytes: the low nibbles of scales 0-7 are low nibbles of bytes 0-7, those of scales 8-15
/// the high nibbles; bits 4-5 of scale s are bits 2(s / 4) and up of byte 8 + s % 4.
public struct Scales6x16: BitwiseCopyable, Sendable {
    /// The bytes as they are stored.
    public var bytes: InlineArray<12, UInt8>

    /// The scales of the 16 sub-blocks, each -32...31.
    @inline(__always)
    public var values: InlineArray<16, Int16> {
        var values = InlineArray<16, Int16>(repeating: -32)
        for j in 0..<4 {
            let high = bytes[8 + j]
            values[j] += Int16(bytes[j] & 15 | (high & 3) << 4)
            values[j + 4] += Int16(bytes[j + 4] & 15 | (high >> 2 & 3) << 4)
            values[j + 8] += Int16(bytes[j] >> 4 | (high >> 4 & 3) << 4)
            values[j + 12] += Int16(bytes[j + 4] >> 4 | (high >> 6) << 4)
        }
        return values
    }
}

/// Q3_K.
///
/// Product with Q8_K: per super-block `d_w * d_a * sum((scale - 32) * sum((q_w - 4) * q_a))`. The integer is exact; see
/// `FloatLanes` for the order of the outer sum. Source: ggml `dequantize_row_q3_K`, `ggml_vec_dot_q3_K_q8_K`.
public struct FormatQ3_K: BlockFormat {
    public typealias Block = BlockQ3_K
    public let type = TensorType.q3_K
    public let activationType = TensorType.q8_K

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let (d, scales) = (blocks[i].d.float, blocks[i].scales.values)
                for sub in 0..<16 {
                    let scale = d * Float(scales[sub])
                    let (part, first, shift) = (sub / 8, sub % 2 * 16, sub % 8 / 2 * 2)
                    for j in 0..<16 {
                        let high = blocks[i].high[first + j] >> (sub / 2) & 1
                        let code = blocks[i].codes[part][first + j] >> shift & 3 | high << 2
                        output[256 * i + 16 * sub + j] = scale * Float(Int32(code) - 4)
                    }
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_K.self, count: count) { weights, activations in
            var sum = FloatLanes()
            for i in 0..<weights.count {
                let scales = weights[i].scales.values
                let bits = (weights[i].high.words(0), weights[i].high.words(16))
                var products = IntegerLanes()
                for k in 0..<8 {
                    let (part, bit, shift) = (k / 4, Int16(k), Int16(k % 4 * 2))
                    let low =
                        Codes16(weights[i].codes[part].words(0), shift: shift, mask: 3)
                        | Codes16(bits.0, shift: bit, mask: 1) &<< 2
                    let high =
                        Codes16(weights[i].codes[part].words(16), shift: shift, mask: 3)
                        | Codes16(bits.1, shift: bit, mask: 1) &<< 2
                    products.add(
                        low &- 4, high &- 4, activations[i].codes[k], scales: (scales[2 * k], scales[2 * k + 1]))
                }
                sum.add(products, times: activations[i].d.float * weights[i].d.float)
            }
            return sum.sum
        }
    }
}

extension Scales6x16 {
    /// Packs 16 scales, each 0...63.
    init(_ scales: InlineArray<16, UInt8>) {
        bytes = .init(repeating: 0)
        for j in 0..<8 { bytes[j] = scales[j] & 15 | scales[j + 8] << 4 }
        for j in 0..<16 { bytes[8 + j % 4] |= (scales[j] >> 4 & 3) << (j / 4 * 2) }
    }
}

/// Quantisation: a search in each sub-block, then scales rounded to 6 bits, then codes for the rounded ones. Without
/// importance errors weigh x^2 and the scale of largest magnitude becomes -32. With importance they weigh `importance *
/// sqrt(twice the mean of the super-block's squares + x^2)`, and d is searched for as well.
/// Source: ggml `quantize_row_q3_K_ref`, `quantize_row_q3_K_impl`.
extension FormatQ3_K: EncodableFormat {
    public var importance: ImportanceUse { .optional }

    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        writeBlocks(row, importance, into: &output) { start in
            var subs: SubBlocks<16>
            var scales = InlineArray<16, UInt8>(repeating: 0)
            var d: Float = 0
            if let importance {
                let variance = 2 * row.squares(start, 256) / 256
                subs = SubBlocks(row, from: start) { (x: Columns<16>, first) in
                    let w = x.weights(importance: Columns<16>(importance, from: first), variance: variance)
                    var codes = x
                    return (symmetricScale(x, weights: w, half: 4, codes: &codes), codes, w)
                }
                d = symmetricScale(subs.scales, weights: subs.weights, half: 32, codes: &scales)
            } else {
                subs = SubBlocks(row, from: start) { (x: Columns<16>, _) in
                    var codes = x
                    return (descendedScale(x, half: 4, codes: &codes), codes, nil)
                }
                let largest = subs.scales.largestMagnitude
                if largest != 0 {
                    let inverse = -32 / largest
                    d = 1 / inverse
                    for s in 0..<16 {
                        let scale = Int8(truncatingIfNeeded: nearestInteger(inverse * subs.scales[s]))
                        scales[s] = UInt8(bitPattern: max(-32, min(31, scale)) + 32)
                    }
                }
            }
            let (packedD, packedScales) = (PackedHalf(d), Scales6x16(scales))
            for s in 0..<16 {
                subs.codes.requantize(
                    row, from: start, at: 16 * s, count: 16, scale: packedD.float * Float(Int32(scales[s]) - 32),
                    codes: -4...3, offset: 4)
            }
            return Block(high: subs.codes.bits(2), codes: subs.codes.pairs, scales: packedScales, d: packedD)
        }
    }
}

/// `symmetricScale` of one sequence: the scales of a super-block.
private func symmetricScale(
    _ x: InlineArray<16, Float>, weights: InlineArray<16, Float>, half: Int32, codes: inout InlineArray<16, UInt8>
) -> Float {
    var (column, weightColumn) = (Columns<16>(repeating: Lanes()), Columns<16>(repeating: Lanes()))
    for i in 0..<16 { (column[i][0], weightColumn[i][0]) = (x[i], weights[i]) }
    var codeColumn = column
    let scale = symmetricScale(column, weights: weightColumn, half: half, codes: &codeColumn)
    for i in 0..<16 { codes[i] = UInt8(truncatingIfNeeded: Int32(codeColumn[i][0])) }
    return scale[0]
}

extension FormatQ3_K: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales {
        let block = load(block)
        let (d, scales) = (block.d.float, block.scales.values)
        return BlockScales(d: d, scales: (0..<16).map { d * Float(scales[$0]) })
    }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .bytes("hmask", 32, "bit 2 of the codes, one bit per weight"),
                    .bytes("qs", 64, "bits 0-1 of the codes, four to a byte, 32 weights apart"),
                    .bytes("scales", 12, "a 6-bit scale per sub-block: 4 bits in bytes 0-7, 2 in bytes 8-11"),
                    .half("d", "unit of the scales"),
                ],
                formula: "x = d * (scale - 32) * (q - 4)", codes: 0...7,
                code: .init(subtracted: 4) { j in
                    [
                        BitField(32 + j / 128 * 32 + j % 32, shift: j % 128 / 32 * 2, width: 2),
                        BitField(j % 32, shift: j / 32, width: 1, offset: 2),
                    ]
                },
                subScale: .init(subtracted: 32) { sub in
                    [
                        BitField(96 + sub % 8, shift: sub / 8 * 4, width: 4),
                        BitField(104 + sub % 4, shift: sub / 4 * 2, width: 2, offset: 4),
                    ]
                }))
    }
}
