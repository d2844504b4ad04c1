import Tensors

/// 256 weights in 4 bits each: 8 sub-blocks of 32 with a 6-bit scale and a 6-bit minimum, both in units of the
/// super-block.
///
///     byte  0    2      4                         16                  144
///           | d  | dmin | 8 x (scale, min) 6-bit  | 128 x (hi, lo)    |     d, dmin: F16
///
///     scales: see `ScalesAndMinima6x8`
///     code byte l of part n: code of element 64n + l in the low nibble, of 64n + l + 32 in the high one
///
/// Value: `x = d * scale * q - dmin * min`, q in 0...15. 144 bytes for 256 weights: 4.5 bits per weight.
public struct BlockQ4_K: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var dmin: PackedHalf
    public var scales: ScalesAndMinima6x8
    public var codes: InlineArray<4, InlineArray<32, UInt8>>
}

/// Eight 6-bit scales and eight 6-bit minima in 12 bytes.
///
///     bytes 0-3:   scales 0-3 in bits 0-5, the upper two bits of scales 4-7 in bits 6-7
///     bytes 4-7:   minima 0-3 in bits 0-5, the upper two bits of minima 4-7 in bits 6-7
///     bytes 8-11:  low nibbles of scales 4-7 (low) and of minima 4-7 (high)
///
/// Source: ggml `get_scale_min_k4`.
public struct ScalesAndMinima6x8: BitwiseCopyable, Sendable {
    /// The bytes as they are stored.
    public var bytes: InlineArray<12, UInt8>

    /// The scales and the minima of the eight sub-blocks, each 0...63.
    @inline(__always)
    public var values: (scales: InlineArray<8, Int16>, minima: InlineArray<8, Int16>) {
        var scales = InlineArray<8, Int16>(repeating: 0)
        var minima = InlineArray<8, Int16>(repeating: 0)
        for j in 0..<4 {
            let (first, second, third) = (bytes[j], bytes[j + 4], bytes[j + 8])
            scales[j] = Int16(first & 63)
            minima[j] = Int16(second & 63)
            scales[j + 4] = Int16(third & 15 | (first >> 6) << 4)
            minima[j + 4] = Int16(third >> 4 | (second >> 6) << 4)
        }
        return (scales, minima)
    }
}

/// Q4_K.
///
/// Product with Q8_K: per super-block `d_w * d_a * sum(scale * sum(q_w * q_a)) - dmin * d_a * sum(min * sums)`. Both
/// integers are exact; scales are added up in eight lanes (see `FloatLanes`), minima in four.
/// Source: ggml `dequantize_row_q4_K`, `ggml_vec_dot_q4_K_q8_K`.
public struct FormatQ4_K: BlockFormat {
    public typealias Block = BlockQ4_K
    public let type = TensorType.q4_K
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
                        let code = blocks[i].codes[part][j] >> shift & 15
                        output[256 * i + 32 * sub + j] = scale * Float(code) - minimum
                    }
                }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_K.self, count: count) { weights, activations in
            var sum = FloatLanes()
            var minimumSum = SIMD4<Float>()
            for i in 0..<weights.count {
                let d = activations[i].d.float
                let (scales, minima) = weights[i].scales.values
                let minimum = minimumProducts(minima, activations[i].sums)
                minimumSum = fused(minimumSum, minimum, -d * weights[i].dmin.float)
                var products = IntegerLanes()
                for k in 0..<8 {
                    let (part, shift) = (k / 2, Int16(k % 2 * 4))
                    products.add(
                        Codes16(weights[i].codes[part].words(0), shift: shift, mask: 15),
                        Codes16(weights[i].codes[part].words(16), shift: shift, mask: 15),
                        activations[i].codes[k], scales: (scales[k], scales[k]))
                }
                sum.add(products, times: d * weights[i].d.float)
            }
            return sum.sum + treeSum(minimumSum)
        }
    }
}

extension ScalesAndMinima6x8 {
    /// Packs eight scales and eight minima.
    ///
    /// They are 0...63. Should one be larger (a negative scale that wrapped), its upper bits land where ggml's do.
    init(_ scales: InlineArray<8, UInt8>, _ minima: InlineArray<8, UInt8>) {
        bytes = .init(repeating: 0)
        for j in 0..<4 {
            bytes[j] = scales[j] | (scales[j + 4] >> 4) << 6
            bytes[j + 4] = minima[j] | (minima[j + 4] >> 4) << 6
            bytes[j + 8] = scales[j + 4] & 15 | minima[j + 4] << 4
        }
    }
}

/// Quantisation; see `encodeWithMinima`. Source: ggml `quantize_row_q4_K_ref`, `quantize_row_q4_K_impl`.
extension FormatQ4_K: EncodableFormat {
    public var importance: ImportanceUse { .optional }

    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        let steps = ScaleSteps(first: -1, step: 0.1, count: 20)
        writeBlocks(row, importance, into: &output) { start in
            let found = encodeWithMinima(row, importance, from: start, maximum: 15, steps: steps)
            return Block(d: found.d, dmin: found.dmin, scales: found.scales, codes: found.codes.nibbles)
        }
    }
}

/// The search of Q4_K and Q5_K: in each sub-block, then scales and minima rounded to 6 bits, then codes for the rounded
/// ones.
///
/// Without importance an error weighs `sqrt(mean of the sub-block's squares) + |x|`, and the largest scale and minimum
/// become 63. With importance it weighs `importance * sqrt(twice the mean of the super-block's squares + x^2)`, and d
/// and dmin are searched for as well.
func encodeWithMinima(
    _ row: Span<Float>, _ importance: Span<Float>?, from start: Int, maximum: Int32, steps: ScaleSteps
) -> (d: PackedHalf, dmin: PackedHalf, scales: ScalesAndMinima6x8, codes: InlineArray<256, UInt8>) {
    var subs: SubBlocks<8>
    var (scales, minima) = (InlineArray<8, UInt8>(repeating: 0), InlineArray<8, UInt8>(repeating: 0))
    let (d, dmin): (PackedHalf, PackedHalf)
    if let importance {
        let variance = 2 * row.squares(start, 256) / 256
        subs = SubBlocks(withMinima: row, from: start, maximum: maximum, steps: .fine) { (x: Columns<32>, first) in
            x.weights(importance: Columns<32>(importance, from: first), variance: variance)
        }
        d = PackedHalf(positiveScale(subs.scales, weights: subs.weights, maximum: 63, codes: &scales))
        dmin = PackedHalf(positiveScale(subs.minima, weights: subs.weights, maximum: 63, codes: &minima))
        // ggml limits Q5_K's only; more than 63 is a negative number that wrapped.
        if maximum == 31 {
            for s in 0..<8 { (scales[s], minima[s]) = (min(63, scales[s]), min(63, minima[s])) }
        }
    } else {
        subs = SubBlocks(withMinima: row, from: start, maximum: maximum, steps: steps) { (x: Columns<32>, _) in
            let mean = (x.map { $0 * $0 }.sum / Lanes(repeating: 32)).squareRoot()
            return x.map { mean + $0.magnitudes }
        }
        let (largest, largestMinimum) = (subs.scales.largest, subs.minima.largest)
        (d, dmin) = (PackedHalf(largest / 63), PackedHalf(largestMinimum / 63))
        let inverse = largest > 0 ? 63 / largest : 0
        let inverseMinimum = largestMinimum > 0 ? 63 / largestMinimum : 0
        for s in 0..<8 {
            scales[s] = min(63, UInt8(truncatingIfNeeded: nearestInteger(inverse * subs.scales[s])))
            minima[s] = min(63, UInt8(truncatingIfNeeded: nearestInteger(inverseMinimum * subs.minima[s])))
        }
    }
    let packed = ScalesAndMinima6x8(scales, minima)
    let rounded = packed.values
    for s in 0..<8 {
        subs.codes.requantize(
            row, from: start, at: 32 * s, count: 32, scale: d.float * Float(rounded.scales[s]),
            minimum: dmin.float * Float(rounded.minima[s]), codes: 0...maximum)
    }
    return (d, dmin, packed, subs.codes)
}

extension FormatQ4_K: DescribableFormat {
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
                    .bytes("qs", 128, "codes of 4 bits, two to a byte, 32 weights apart"),
                ],
                formula: "x = d * scale * q - dmin * min", codes: 0...15,
                code: .init { j in
                    [BitField(16 + j / 64 * 32 + j % 32, shift: j % 64 / 32 * 4, width: 4)]
                },
                subScale: .init { sub in ScalesAndMinima6x8.scaleBits(sub, from: 4) },
                subMinimum: .init { sub in ScalesAndMinima6x8.minimumBits(sub, from: 4) }))
    }
}

extension ScalesAndMinima6x8 {
    /// What the sub-blocks of a super-block multiply their codes by, and what they subtract.
    func described(d: Float, dmin: Float) -> BlockScales {
        let (scales, minima) = values
        return BlockScales(
            d: d, scales: (0..<8).map { d * Float(scales[$0]) }, dmin: dmin,
            minima: (0..<8).map { dmin * Float(minima[$0]) })
    }

    /// Where the bits of a scale are, if the twelve bytes begin at `start`.
    static func scaleBits(_ sub: Int, from start: Int) -> [BitField] {
        if sub < 4 { return [BitField(start + sub, width: 6)] }
        return [
            BitField(start + sub + 4, width: 4), BitField(start + sub - 4, shift: 6, width: 2, offset: 4),
        ]
    }

    static func minimumBits(_ sub: Int, from start: Int) -> [BitField] {
        if sub < 4 { return [BitField(start + sub + 4, width: 6)] }
        return [
            BitField(start + sub + 4, shift: 4, width: 4), BitField(start + sub, shift: 6, width: 2, offset: 4),
        ]
    }
}
