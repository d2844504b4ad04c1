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

/// Quantisation: a search in each sub-block, then scales and minima rounded to 4 bits, then codes for the rounded ones.
/// Without importance errors count by magnitude and weigh |x|, and the largest scale and minimum become 15. With
/// importance they count by square and weigh `importance * sqrt(mean of the super-block's squares + x^2)`, and d and
/// dmin are searched for as well. Source: ggml `quantize_row_q2_K_ref`, `quantize_row_q2_K_impl`.
extension FormatQ2_K: EncodableFormat {
    public var importance: ImportanceUse { .optional }

    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        writeBlocks(row, importance, into: &output) { start in
            var subs: SubBlocks<16>
            var scales = InlineArray<16, UInt8>(repeating: 0)
            var (d, dmin): (Float, Float)
            if let importance {
                let variance = row.squares(start, 256) / 256
                subs = SubBlocks(withMinima: row, from: start, maximum: 3, steps: .fine) { (x: Columns<16>, first) in
                    x.weights(importance: Columns<16>(importance, from: first), variance: variance)
                }
                var minima = scales
                d = positiveScale(subs.scales, weights: subs.weights, maximum: 15, codes: &scales)
                dmin = positiveScale(subs.minima, weights: subs.weights, maximum: 15, codes: &minima)
                for s in 0..<16 { scales[s] |= minima[s] << 4 }
            } else {
                let steps = ScaleSteps(first: -0.5, step: 0.1, count: 15)
                subs = SubBlocks(withMinima: row, from: start, maximum: 3, steps: steps, absolute: true) {
                    (x: Columns<16>, _) in x.map(\.magnitudes)
                }
                let (largest, largestMinimum) = (subs.scales.largest, subs.minima.largest)
                (d, dmin) = (largest / 15, largestMinimum / 15)
                let (inverse, inverseMinimum) = (15 / largest, 15 / largestMinimum)
                for s in 0..<16 {
                    let scale = largest > 0 ? nearestInteger(inverse * subs.scales[s]) : 0
                    let minimum = largestMinimum > 0 ? nearestInteger(inverseMinimum * subs.minima[s]) : 0
                    scales[s] = UInt8(truncatingIfNeeded: scale | minimum << 4)
                }
            }
            let (packedD, packedMin) = (PackedHalf(d), PackedHalf(dmin))
            for s in 0..<16 {
                subs.codes.requantize(
                    row, from: start, at: 16 * s, count: 16, scale: packedD.float * Float(scales[s] & 15),
                    minimum: packedMin.float * Float(scales[s] >> 4), codes: 0...3)
            }
            return Block(scales: scales, codes: subs.codes.pairs, d: packedD, dmin: packedMin)
        }
    }
}

extension FormatQ2_K: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales {
        let block = load(block)
        let (d, dmin) = (block.d.float, block.dmin.float)
        return BlockScales(
            d: d, scales: (0..<16).map { d * Float(block.scales[$0] & 15) }, dmin: dmin,
            minima: (0..<16).map { dmin * Float(block.scales[$0] >> 4) })
    }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .bytes("scales", 16, "a 4-bit scale (low) and min (high) a sub-block"),
                    .bytes("qs", 64, "codes of 2 bits, four to a byte, 32 weights apart"),
                    .half("d", "unit of the scales"), .half("dmin", "unit of the mins"),
                ],
                formula: "x = d * scale * q - dmin * min", codes: 0...3,
                code: .init { j in [BitField(16 + j / 128 * 32 + j % 32, shift: j % 128 / 32 * 2, width: 2)] },
                subScale: .init { sub in [BitField(sub, width: 4)] },
                subMinimum: .init { sub in [BitField(sub, shift: 4, width: 4)] }))
    }
}
