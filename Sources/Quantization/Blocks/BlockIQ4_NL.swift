import Tensors

/// 32 weights in 4 bits each with one scale, codes standing for sixteen values that lie closer together near zero, as
/// weights do.
///
///     byte  0    2                18
///           | d  | 16 x (hi, lo)  |     d: F16 scale
///                                       byte j: code j in the low nibble, code j + 16 in the high one
///
/// Value: `x = T[q] * d`, T = -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113: zero is not
/// among them. 18 bytes for 32 weights: 4.5 bits per weight.
public struct BlockIQ4_NL: BitwiseCopyable, Sendable {
    public var d: PackedHalf
    public var codes: InlineArray<16, UInt8>
}

/// The sixteen values of IQ4_NL and IQ4_XS. Source: ggml `kvalues_iq4nl`.
enum NonLinear4 {
    static let values: InlineArray<16, Int8> = [
        -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
    ]

    /// The values of 32 codes, packed as nibbles.
    @inline(__always)
    static func decode(_ codes: InlineArray<16, UInt8>) -> InlineArray<32, Int8> {
        let table = values
        var result = InlineArray<32, Int8>(repeating: 0)
        for j in 0..<16 {
            result[j] = table[Int(codes[j] & 15)]
            result[j + 16] = table[Int(codes[j] >> 4)]
        }
        return result
    }

    /// Where the nearest value becomes the next larger one, four times over, and by how much.
    ///
    /// ggml compares distances to both neighbours, which for these values comes to the same as comparing with the point
    /// half-way; there the larger one is taken.
    struct Steps {
        fileprivate var middles = InlineArray<15, Lanes>(repeating: Lanes())
        fileprivate var gaps = InlineArray<15, Lanes>(repeating: Lanes())

        @inline(__always)
        init() {
            let table = values
            for k in 0..<15 {
                middles[k] = Lanes(repeating: Float(Int32(table[k]) + Int32(table[k + 1])) / 2)
                gaps[k] = Lanes(repeating: Float(Int32(table[k + 1]) - Int32(table[k])))
            }
        }

        /// The codes of the values nearest to `inverse` times 32 weights; that of NaN is the last one.
        @inline(__always)
        func codes(_ row: Span<Float>, from start: Int, inverse: Float) -> InlineArray<32, UInt8> {
            let middles = middles.span
            var result = InlineArray<32, UInt8>(repeating: 0)
            for j in stride(from: 0, to: 32, by: Lanes.scalarCount) {
                let x = inverse * row.lanes(start + j)
                var codes = Lanes(repeating: 15)
                for k in 0..<15 { codes -= Lanes().replacing(with: Lanes(repeating: 1), where: x .< middles[k]) }
                let integers = nearestIntegers(codes)
                for lane in 0..<Lanes.scalarCount { result[j + lane] = UInt8(truncatingIfNeeded: integers[lane]) }
            }
            return result
        }
    }

    /// The best scale of four sub-blocks, 0 for those of nothing: fifteen scales, each corrected by least squares.
    /// Source: ggml `quantize_row_iq4_nl_impl`.
    static func scale(_ x: Columns<32>, weights w: Columns<32>, _ steps: Steps) -> Lanes {
        let (largest, isNothing) = largestMagnitudes(x)
        // Spans, because the arrays would be copied for each access.
        let (x, w) = (x.span, w.span)
        let lowest = Float(values[0])
        var scale = Lanes()
        var best = Lanes()
        for turn in -8...7 {
            // The first turn starts from the other side: the largest value becomes the positive end.
            let inverse = turn == -8 ? 1 / (largest * -1 / lowest) : (Float(turn) + lowest) / largest
            let (sumQX, sumQQ) = sums(x, w, steps, inverse: inverse)
            var isBetter = sumQQ .> Lanes()
            if turn > -8 { isBetter = isBetter .& (sumQX * sumQX .> best * sumQQ) }
            scale.replace(with: sumQX / sumQQ, where: isBetter)
            best.replace(with: scale * sumQX, where: isBetter)
        }
        return scale.replacing(with: Lanes(), where: isNothing)
    }

    /// The weighted sums of value * x and of value^2, values being the nearest ones of `inverse * x`.
    @inline(__always)
    private static func sums(
        _ x: Span<Lanes>, _ w: Span<Lanes>, _ steps: Steps, inverse: Lanes
    ) -> (qx: Lanes, qq: Lanes) {
        let (middles, gaps, lowest) = (steps.middles.span, steps.gaps.span, Float(values[0]))
        var (sumQX, sumQQ) = (Lanes(), Lanes())
        for i in 0..<32 {
            let scaled = inverse * x[i]
            var value = Lanes(repeating: lowest)
            for k in 0..<15 { value += Lanes().replacing(with: gaps[k], where: scaled .>= middles[k]) }
            let weighted = w[i] * value
            sumQX += weighted * x[i]
            sumQQ += weighted * value
        }
        return (sumQX, sumQQ)
    }

    /// One try without a search: the largest value becomes the negative end, and the least squares scale for the codes
    /// that this gives. 0 for sub-blocks of nothing.
    static func singleScale(
        _ x: Columns<32>, weights w: Columns<32>, _ steps: Steps
    ) -> (scale: Lanes, inverse: Lanes) {
        let (largest, isNothing) = largestMagnitudes(x)
        let inverse = 1 / (largest / Float(values[0]))
        let (sumQX, sumQQ) = sums(x.span, w.span, steps, inverse: inverse)
        let scale = Lanes().replacing(with: sumQX / sumQQ, where: sumQQ .> Lanes())
        let none = Lanes()
        return (scale.replacing(with: none, where: isNothing), inverse.replacing(with: none, where: isNothing))
    }

    /// What errors weigh: x^2, or `importance * sqrt(variance + x^2)`.
    @inline(__always)
    static func weights(
        _ x: Columns<32>, _ importance: Span<Float>?, from start: Int, variances: Lanes
    ) -> Columns<32> {
        var w = x.map { $0 * $0 }
        guard let importance else { return w }
        let factors = Columns<32>(importance, from: start)
        for i in 0..<32 { w[i] = factors[i] * (variances + w[i]).squareRoot() }
        return w
    }
}

/// IQ4_NL.
///
/// Product with Q8_0: `sum over blocks of d_w * d_a * sum(T[q_w] * q_a)`. The inner sum is exact; see `FloatLanes` for
/// the order of the outer one. Source: ggml `dequantize_row_iq4_nl`, `ggml_vec_dot_iq4_nl_q8_0`.
public struct FormatIQ4_NL: BlockFormat {
    public typealias Block = BlockIQ4_NL
    public let type = TensorType.iq4_nl
    public let activationType = TensorType.q8_0

    public init() {}

    public func decode(_ bytes: RawSpan, into output: inout MutableSpan<Float>) {
        withBlocks(bytes, count: output.count) { blocks in
            for i in 0..<blocks.count {
                let (d, values) = (blocks[i].d.float, NonLinear4.decode(blocks[i].codes))
                for j in 0..<32 { output[32 * i + j] = d * Float(values[j]) }
            }
        }
    }

    public func dot(_ weights: RawSpan, _ activations: RawSpan, count: Int) -> Float {
        withBlocks(weights, activations, of: BlockQ8_0.self, count: count) { weights, activations in
            var sum = FloatLanes()
            for i in 0..<weights.count {
                let products = IntegerLanes(NonLinear4.decode(weights[i].codes), activations[i].codes)
                sum.add(products, times: activations[i].d.float * weights[i].d.float)
            }
            return sum.sum
        }
    }
}

/// Quantisation: a search for d; an error weighs x^2, or with importance `importance * sqrt(twice the mean of the
/// block's squares + x^2)`. Source: ggml `quantize_iq4_nl`.
extension FormatIQ4_NL: EncodableFormat {
    public var importance: ImportanceUse { .optional }

    public func encode(_ row: Span<Float>, importance: Span<Float>?, into output: inout MutableRawSpan) {
        checkSizes(row, importance, output)
        let steps = NonLinear4.Steps()
        let blocks = row.count / 32
        for first in stride(from: 0, to: blocks, by: Lanes.scalarCount) {
            let x = Columns<32>(row, from: 32 * first)
            let variances = x.map { $0 * $0 }.sum * (2 / 32)
            let w = NonLinear4.weights(x, importance, from: 32 * first, variances: variances)
            let scales = NonLinear4.scale(x, weights: w, steps)
            for lane in 0..<min(Lanes.scalarCount, blocks - first) {
                store(first + lane, of: row, scales[lane], steps, inverse: inverse(scales[lane]), into: &output)
            }
        }
    }
}

extension FormatIQ4_NL {
    /// Quantises one row as ggml's reference does, with which KV caches are made: one try instead of a search.
    ///
    /// Codes are those of the first try and d is the least squares scale for them, so that bytes differ from `encode`'s. In
    /// a block of zeros d is 0 and codes are those of zero; ggml leaves there what its memory happens to hold.
    /// Source: ggml `quantize_row_iq4_nl_ref`.
    ///
    /// - Parameters:
    ///   - row: the weights; `row.count` is a multiple of 32.
    ///   - output: exactly the blocks of the row.
    public func encodeReference(_ row: Span<Float>, into output: inout MutableRawSpan) {
        checkSizes(row, nil, output)
        let (steps, blocks) = (NonLinear4.Steps(), row.count / 32)
        for first in stride(from: 0, to: blocks, by: Lanes.scalarCount) {
            let x = Columns<32>(row, from: 32 * first)
            let found = NonLinear4.singleScale(x, weights: x.map { $0 * $0 }, steps)
            for lane in 0..<min(Lanes.scalarCount, blocks - first) {
                store(first + lane, of: row, found.scale[lane], steps, inverse: found.inverse[lane], into: &output)
            }
        }
    }

    /// Writes a block with the codes nearest to `inverse * x`.
    private func store(
        _ block: Int, of row: Span<Float>, _ scale: Float, _ steps: NonLinear4.Steps, inverse: Float,
        into output: inout MutableRawSpan
    ) {
        let codes = steps.codes(row, from: 32 * block, inverse: inverse)
        output.storeBytes(
            of: Block(d: PackedHalf(scale), codes: codes.nibbles), toByteOffset: 18 * block, as: Block.self)
    }
}

extension FormatIQ4_NL: DescribableFormat {
    public func scales(_ block: RawSpan) -> BlockScales { BlockScales(d: load(block).d.float) }

    public func describe(_ block: RawSpan) -> BlockDescription {
        describe(
            block,
            BlockLayout(
                fields: [
                    .half("d", "scale"),
                    .bytes("qs", 16, "codes of 4 bits, weight j low and weight j + 16 high in byte j"),
                ],
                formula: "x = T[q] * d", table: (0..<16).map { Int(NonLinear4.values[$0]) },
                code: .init { j in
                    [BitField(2 + j % 16, shift: j / 16 * 4, width: 4)]
                }))
    }
}
