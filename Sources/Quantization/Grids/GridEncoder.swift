/// The search that IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS and IQ3_S share.
///
/// Signs are taken off. For each sub-block a handful of scales is tried; the codes of each are moved to the best
/// neighbouring point of the grid, and least squares give the scale those would like best. Values are odd numbers: code c
/// stands for 2c + 1. Source: ggml `quantize_row_iq2_xxs_impl` and its kin.
struct GridEncoder: Sendable {
    /// Which points are chosen again for the scale that was found.
    enum Refinement { case always, ifAnyMoved, eachMoved }

    let neighbours: GridNeighbours
    /// How many values there are: 3 or 8.
    let levels: Int32
    /// Elements of a sub-block: 16 or 32.
    let length: Int
    /// Scales `(2 * levels - 1 + step * k) / largest` are tried for k = -tries...tries.
    let tries: Int
    let step: Float
    let refinement: Refinement
    /// The number of negative signs of eight elements has to be even.
    let evenSigns: Bool
    /// Sub-blocks with smaller values only are zeros.
    let negligible: Float
    /// Without importance errors weigh x^2 plus this times the mean of the super-block's squares.
    var plainVariance: Float = 0
    /// With importance they weigh `importance * sqrt(variance * mean of the super-block's squares + x^2)`.
    var variance: Float = 2
    /// What d is multiplied by in the end.
    var correction: Float = 1

    /// A super-block.
    struct Result {
        var d = PackedHalf(0)
        /// All scales are zero.
        var isEmpty = true
        /// Sub-blocks of zeros, for which nothing was chosen.
        var isSkipped = InlineArray<16, Bool>(repeating: false)
        /// Of sub-blocks, each 0...15.
        var scales = InlineArray<16, UInt8>(repeating: 0)
        /// Of points, in order.
        var indices = InlineArray<64, UInt16>(repeating: 0)
        /// Of eight elements each, the first in bit 0.
        var signs = InlineArray<32, UInt8>(repeating: 0)
    }

    /// A sub-block without signs.
    private struct Values {
        var x = InlineArray<32, Float>(repeating: 0)
        var w = InlineArray<32, Float>(repeating: 0)
        /// The square roots of the weights, by which neighbours are compared.
        var roots = InlineArray<32, Float>(repeating: 0)
        var signs = InlineArray<4, UInt8>(repeating: 0)
        var largest: Float = 0
    }

    /// The codes of a sub-block and which of its points were not what was asked for.
    private struct Codes {
        var codes = InlineArray<32, UInt8>(repeating: 0)
        var isMoved = InlineArray<8, Bool>(repeating: false)
    }

    func encode(_ row: Span<Float>, _ importance: Span<Float>?, from start: Int) -> Result {
        var result = Result()
        let mean = row.squares(start, 256) * variance / 256
        var scales = InlineArray<16, Float>(repeating: 0)
        var largest: Float = 0
        for s in 0..<256 / length {
            let first = start + length * s
            var values = values(row, importance, from: first, mean: mean)
            result.isSkipped[s] = values.largest < negligible || values.largest == 0
            guard !result.isSkipped[s], let found = search(values) else { continue }
            scales[s] = found.scale.magnitude
            if found.scale < 0 {
                for k in 0..<4 { values.signs[k] = ~values.signs[k] & (evenSigns ? 127 : 255) }
            }
            let cell = neighbours.length
            for k in 0..<length / cell {
                result.indices[s * length / cell + k] = UInt16(neighbours.index(packed(found.codes, k)) ?? 0)
            }
            for k in 0..<length / 8 { result.signs[s * length / 8 + k] = values.signs[k] }
            if scales[s] > largest { largest = scales[s] }
        }
        guard largest != 0 else { return result }
        result.isEmpty = false
        let d = largest / 31
        result.d = PackedHalf(d * correction)
        for s in 0..<256 / length {
            let scale = nearestInteger(0.5 * (1 / d * scales[s] - 1))
            result.scales[s] = UInt8(max(0, min(15, scale)))
        }
        return result
    }

    private func values(_ row: Span<Float>, _ importance: Span<Float>?, from start: Int, mean: Float) -> Values {
        var values = Values()
        for i in 0..<length {
            let x = row[start + i]
            if let importance {
                values.w[i] = importance[start + i] * (mean + x * x).squareRoot()
            } else {
                values.w[i] = plainVariance * mean + x * x
            }
            values.roots[i] = values.w[i].squareRoot()
            values.x[i] = x >= 0 ? x : -x
            if !(x >= 0) { values.signs[i / 8] |= 1 << (i % 8) }
        }
        if evenSigns {
            for k in 0..<length / 8 { makeEven(&values, k) }
        }
        values.largest = values.x[0]
        for i in 1..<length where !(values.largest > values.x[i]) { values.largest = values.x[i] }
        return values
    }

    /// Flips the sign that matters least if the number of negative ones among eight is odd.
    private func makeEven(_ values: inout Values, _ k: Int) {
        if values.signs[k].nonzeroBitCount % 2 == 1 {
            var (least, index): (Float, Int) = (0, 0)
            for i in 0..<8 {
                let error = values.w[8 * k + i] * values.x[8 * k + i] * values.x[8 * k + i]
                if i == 0 || error < least { (least, index) = (error, i) }
            }
            values.x[8 * k + index] *= -1
            values.signs[k] ^= 1 << index
        }
        values.signs[k] &= 127
    }

    /// - Returns: `nil` if the sub-block is as good as zero.
    private func search(_ values: Values) -> (scale: Float, codes: InlineArray<32, UInt8>)? {
        let top = Float(2 * levels - 1)
        var (scale, range) = (values.largest / top, values.largest)
        if refinement == .always {
            var codes = InlineArray<32, UInt8>(repeating: 0)
            scale = positiveScale(values.x, weights: values.w, maximum: levels + 1, codes: &codes)
            range = scale * Float(levels)
            guard range > 0 else { return nil }
        }
        var best: Float = 0
        var found = Codes()
        if refinement == .ifAnyMoved { found.isMoved = .init(repeating: true) }
        for k in -tries...tries {
            let inverse = (top + Float(k) * step) / range
            var candidate = Codes()
            for cell in 0..<length / neighbours.length {
                choosePoints(values, cell, inverse: inverse, scale: 1 / inverse, into: &candidate)
            }
            let sums = sums(values, candidate.codes)
            if sums.qq > 0, sums.qx * sums.qx > best * sums.qq {
                scale = sums.qx / sums.qq
                best = scale * sums.qx
                found = candidate
            }
        }
        refine(values, &scale, &found)
        return (scale, found.codes)
    }

    private func refine(_ values: Values, _ scale: inout Float, _ found: inout Codes) {
        let cells = length / neighbours.length
        var isAnyMoved = refinement == .always
        for cell in 0..<cells where found.isMoved[cell] { isAnyMoved = true }
        guard isAnyMoved, scale > 0 else { return }
        for cell in 0..<cells where refinement != .eachMoved || found.isMoved[cell] {
            choosePoints(values, cell, inverse: 1 / scale, scale: scale, into: &found)
        }
        let sums = sums(values, found.codes)
        if sums.qq > 0 { scale = sums.qx / sums.qq }
    }

    /// The codes of one point for a scale.
    @inline(__always)
    private func choosePoints(_ values: Values, _ cell: Int, inverse: Float, scale: Float, into result: inout Codes) {
        let (count, first) = (neighbours.length, cell * neighbours.length)
        let bits = count == 8 ? 2 : 3
        let x = lanes(values.x, cell)
        let codes = 0.5 * (inverse * x - 1)
        let top = Lanes(repeating: Float(levels - 1))
        let wanted = SIMD8(
            lowHalf: nearestIntegers(nearestCodes(codes.lowHalf, Lanes(), top)),
            highHalf: nearestIntegers(nearestCodes(codes.highHalf, Lanes(), top)))
        var packed: UInt16 = 0
        for i in 0..<count {
            result.codes[first + i] = UInt8(truncatingIfNeeded: wanted[i])
            packed |= UInt16(truncatingIfNeeded: wanted[i]) << (bits * i)
        }
        result.isMoved[cell] = neighbours.index(packed) == nil
        guard result.isMoved[cell] else { return }
        let point = neighbours.codes(
            neighbours.nearest(packed, x, weights: lanes(values.roots, cell), scale: scale))
        for i in 0..<count { result.codes[first + i] = UInt8(truncatingIfNeeded: point[i]) }
    }

    /// The elements of one point; zeros where points have four.
    @inline(__always)
    private func lanes(_ values: InlineArray<32, Float>, _ cell: Int) -> SIMD8<Float> {
        if neighbours.length == 8 { return values.load(32 * cell, as: SIMD8<Float>.self) }
        return SIMD8(lowHalf: values.load(16 * cell, as: SIMD4<Float>.self), highHalf: SIMD4())
    }

    @inline(__always)
    private func sums(_ values: Values, _ codes: InlineArray<32, UInt8>) -> (qx: Float, qq: Float) {
        var sums: (qx: Float, qq: Float) = (0, 0)
        for i in 0..<length {
            let value = Float(2 * Int32(codes[i]) + 1)
            sums.qx += values.w[i] * values.x[i] * value
            sums.qq += values.w[i] * value * value
        }
        return sums
    }

    @inline(__always)
    private func packed(_ codes: InlineArray<32, UInt8>, _ cell: Int) -> UInt16 {
        let (count, bits) = (neighbours.length, neighbours.length == 8 ? 2 : 3)
        var packed: UInt16 = 0
        for i in 0..<count { packed |= UInt16(codes[cell * count + i]) << (bits * i) }
        return packed
    }
}

extension InlineArray<16, UInt8> {
    /// The first of them, two in a byte, the first in the low nibble.
    @inline(__always)
    func pairedNibbles<let length: Int>() -> InlineArray<length, UInt8> {
        var bytes = InlineArray<length, UInt8>(repeating: 0)
        for k in 0..<length { bytes[k] = self[2 * k] | self[2 * k + 1] << 4 }
        return bytes
    }
}
