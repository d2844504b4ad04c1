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

    /// The code of the nearest value; half-way the larger one. ggml compares distances to both neighbours, which for
    /// these values comes to the same as comparing with the point half-way.
    @inline(__always)
    static func code(_ x: Float) -> UInt8 {
        let table = values
        var code: UInt8 = 0
        for k in 0..<15 where !(x < Float(Int32(table[k]) + Int32(table[k + 1])) / 2) { code += 1 }
        return code
    }

    /// The nearest value itself.
    @inline(__always)
    static func nearest(_ x: Lanes) -> Lanes {
        let table = values
        var value = Lanes(repeating: Float(table[0]))
        for k in 0..<15 {
            let gap = Lanes(repeating: Float(Int32(table[k + 1]) - Int32(table[k])))
            let middle = Lanes(repeating: Float(Int32(table[k]) + Int32(table[k + 1])) / 2)
            value += Lanes().replacing(with: gap, where: x .>= middle)
        }
        return value
    }

    /// The best scale of eight sub-blocks, 0 for those of nothing: fifteen scales, each corrected by least squares.
    /// Source: ggml `quantize_row_iq4_nl_impl`.
    static func scale(_ x: Columns<32>, weights w: Columns<32>) -> Lanes {
        let (largest, isNothing) = largestMagnitudes(x)
        let lowest = Float(values[0])
        var scale = Lanes()
        var best = Lanes()
        for turn in -8...7 {
            // The first turn starts from the other side: the largest value becomes the positive end.
            let inverse = turn == -8 ? 1 / (largest * -1 / lowest) : (Float(turn) + lowest) / largest
            let (sumQX, sumQQ) = sums(x, weights: w, inverse: inverse)
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
        _ x: Columns<32>, weights w: Columns<32>, inverse: Lanes
    ) -> (qx: Lanes, qq: Lanes) {
        var (sumQX, sumQQ) = (Lanes(), Lanes())
        for i in 0..<32 {
            let value = nearest(inverse * x[i])
            let weighted = w[i] * value
            sumQX += weighted * x[i]
            sumQQ += weighted * value
        }
        return (sumQX, sumQQ)
    }

    /// One try without a search: the largest value becomes the negative end, and the least squares scale for the codes
    /// that this gives. 0 for sub-blocks of nothing.
    static func singleScale(_ x: Columns<32>, weights w: Columns<32>) -> (scale: Lanes, inverse: Lanes) {
        let (largest, isNothing) = largestMagnitudes(x)
        let inverse = 1 / (largest / Float(values[0]))
        let (sumQX, sumQQ) = sums(x, weights: w, inverse: inverse)
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
        let blocks = row.count / 32
        for first in stride(from: 0, to: blocks, by: Lanes.scalarCount) {
            let x = Columns<32>(row, from: 32 * first)
            let variances = x.map { $0 * $0 }.sum * (2 / 32)
            let w = NonLinear4.weights(x, importance, from: 32 * first, variances: variances)
            let scales = NonLinear4.scale(x, weights: w)
            for lane in 0..<min(Lanes.scalarCount, blocks - first) {
                let scale = scales[lane]
                store(first + lane, of: row, scale: scale, inverse: inverse(scale), into: &output)
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
        let blocks = row.count / 32
        for first in stride(from: 0, to: blocks, by: Lanes.scalarCount) {
            let x = Columns<32>(row, from: 32 * first)
            let found = NonLinear4.singleScale(x, weights: x.map { $0 * $0 })
            for lane in 0..<min(Lanes.scalarCount, blocks - first) {
                store(first + lane, of: row, scale: found.scale[lane], inverse: found.inverse[lane], into: &output)
            }
        }
    }

    /// Writes a block with the codes nearest to `inverse * x`.
    private func store(
        _ block: Int, of row: Span<Float>, scale: Float, inverse: Float, into output: inout MutableRawSpan
    ) {
        var codes = InlineArray<32, UInt8>(repeating: 0)
        for j in 0..<32 { codes[j] = NonLinear4.code(inverse * row[32 * block + j]) }
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
