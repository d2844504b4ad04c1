// The searches for the scale of a sub-block, four sub-blocks at a time; see `Lanes`.
//
// All of them try a handful of scales somewhat smaller and larger than the one that just covers the largest value, make
// the codes for each, and then ask least squares for the best scale these codes could have. An error counts as much as
// the element's weight. Source: ggml `make_qkx2_quants`, `make_qkx3_quants`, `make_qx_quants`, `make_q3_quants`.

/// Values smaller than this in all elements are zeros. Source: ggml `GROUP_MAX_EPS`.
let negligible: Float = 1e-15

/// The scales that a search tries: `(first + step * k + maximum) / range` for k = 0...count.
struct ScaleSteps {
    let first: Float
    let step: Float
    let count: Int

    /// What the searches with importance try. Source: ggml `quantize_row_*_impl`.
    static let fine = ScaleSteps(first: -0.9, step: 0.05, count: 36)
}

/// Finds `scale` and `minimum` so that `x ~ scale * code - minimum`, codes in 0...maximum and minimum not below zero.
///
/// - Parameters:
///   - absolute: errors count by magnitude instead of by square.
///   - codes: the codes on return; zeros for sub-blocks whose values are all the same.
func scaleAndMinimum<let n: Int>(
    _ x: Columns<n>, weights w: Columns<n>, maximum: Int32, steps: ScaleSteps, absolute: Bool = false,
    codes: inout Columns<n>
) -> (scale: Lanes, minimum: Lanes) {
    var (low, high) = (x[0], x[0])
    var weightSum = w[0]
    var sum = w[0] * x[0]
    for i in 1..<n {
        low.replace(with: x[i], where: x[i] .< low)
        high.replace(with: x[i], where: x[i] .> high)
        weightSum += w[i]
        sum += w[i] * x[i]
    }
    low.replace(with: Lanes(), where: low .> Lanes())
    let flat = high .== low
    let flatLow = low

    let (zero, top) = (Lanes(), Lanes(repeating: Float(maximum)))
    // What the codes of a candidate come from, and those of the best one: `inverse * (x - origin)`.
    var inverse = Float(maximum) / (high - low)
    var (bestInverse, bestOrigin) = (inverse, low)
    var scale = 1 / inverse
    for i in 0..<n { codes[i] = nearestCodes(inverse * (x[i] - low), zero, top) }
    var best = totalError(x, w, codes, scale, low, absolute: absolute)
    for k in 0...steps.count {
        inverse = (steps.first + steps.step * Float(k) + Float(maximum)) / (high - low)
        var (sumL, sumLL, sumXL) = (Lanes(), Lanes(), Lanes())
        for i in 0..<n {
            let code = nearestCodes(inverse * (x[i] - low), zero, top)
            codes[i] = code
            let weighted = w[i] * code
            sumL += weighted
            sumLL += weighted * code
            sumXL += weighted * x[i]
        }
        let determinant = weightSum * sumLL - sumL * sumL
        var newScale = (weightSum * sumXL - sum * sumL) / determinant
        var newLow = (sumLL * sum - sumL * sumXL) / determinant
        let isPositive = newLow .> Lanes()
        newLow.replace(with: Lanes(), where: isPositive)
        newScale.replace(with: sumXL / sumLL, where: isPositive)
        let error = totalError(x, w, codes, newScale, newLow, absolute: absolute)
        let isBetter = (determinant .> Lanes()) .& (error .< best)
        best.replace(with: error, where: isBetter)
        bestInverse.replace(with: inverse, where: isBetter)
        bestOrigin.replace(with: low, where: isBetter)
        scale.replace(with: newScale, where: isBetter)
        low.replace(with: newLow, where: isBetter)
    }
    for i in 0..<n {
        let code = nearestCodes(bestInverse * (x[i] - bestOrigin), zero, top)
        codes[i] = code.replacing(with: Lanes(), where: flat)
    }
    // Times -1, because the minus of SIMD types subtracts from zero and loses the sign of a zero.
    return (
        scale.replacing(with: Lanes(), where: flat), low.replacing(with: flatLow, where: flat) * -1
    )
}

/// The weighted error of `scale * code + low`.
@inline(__always)
private func totalError<let n: Int>(
    _ x: Columns<n>, _ w: Columns<n>, _ codes: Columns<n>, _ scale: Lanes, _ low: Lanes, absolute: Bool
) -> Lanes {
    var sum = Lanes()
    if absolute {
        for i in 0..<n { sum += w[i] * (scale * codes[i] + low - x[i]).magnitudes }
    } else {
        for i in 0..<n {
            let difference = scale * codes[i] + low - x[i]
            sum += w[i] * (difference * difference)
        }
    }
    return sum
}

/// Finds `scale` so that `x ~ scale * (code - half)`, codes in 0..<2 * half.
///
/// - Parameter codes: the codes on return; zeros, not `half`, for sub-blocks of nothing.
/// - Returns: the scale, 0 for sub-blocks of nothing.
func symmetricScale<let n: Int>(
    _ x: Columns<n>, weights w: Columns<n>, half: Int32, codes: inout Columns<n>
) -> Lanes {
    let (largest, isNothing) = largestMagnitudes(x)
    let (bottom, top) = (Lanes(repeating: Float(-half)), Lanes(repeating: Float(half - 1)))
    /// The sums of least squares for the codes that come from `inverse`.
    func sums(_ inverse: Lanes) -> (xl: Lanes, ll: Lanes) {
        var sums = (xl: Lanes(), ll: Lanes())
        for i in 0..<n {
            let code = nearestCodes(inverse * x[i], bottom, top)
            sums.xl += w[i] * x[i] * code
            sums.ll += w[i] * code * code
        }
        return sums
    }
    var bestInverse = Float(-half) / largest
    let first = sums(bestInverse)
    var scale = (first.xl / first.ll).replacing(with: Lanes(), where: first.ll .== Lanes())
    var best = scale * first.xl
    for k in -9...9 where k != 0 {
        let inverse = -(Float(half) + 0.1 * Float(k)) / largest
        let sums = sums(inverse)
        let isBetter = (sums.ll .> Lanes()) .& (sums.xl * sums.xl .> best * sums.ll)
        bestInverse.replace(with: inverse, where: isBetter)
        scale.replace(with: sums.xl / sums.ll, where: isBetter)
        best.replace(with: scale * sums.xl, where: isBetter)
    }
    for i in 0..<n {
        let code = nearestCodes(bestInverse * x[i], bottom, top) + Float(half)
        codes[i] = code.replacing(with: Lanes(), where: isNothing)
    }
    return scale.replacing(with: Lanes(), where: isNothing)
}

/// The same, but starting from one scale and moving one code at a time, as long as that helps; weights are x^2.
func descendedScale<let n: Int>(_ x: Columns<n>, half: Int32, codes: inout Columns<n>) -> Lanes {
    let (largest, isNothing) = largestMagnitudes(x)
    let (bottom, top) = (Lanes(repeating: Float(-half)), Lanes(repeating: Float(half - 1)))
    let inverse = Float(-half) / largest
    var sums = (xl: Lanes(), ll: Lanes())
    for i in 0..<n {
        codes[i] = nearestCodes(inverse * x[i], bottom, top)
        let w = x[i] * x[i]
        sums.xl += w * x[i] * codes[i]
        sums.ll += w * codes[i] * codes[i]
    }
    for _ in 0..<5 {
        var hasChanged = false
        for i in 0..<n {
            let w = x[i] * x[i]
            var others = (xl: sums.xl - w * x[i] * codes[i], ll: sums.ll - w * codes[i] * codes[i])
            let code = nearestCodes(x[i] * others.ll / others.xl, bottom, top)
            let isMoved = (others.xl .> Lanes()) .& (code .!= codes[i])
            others.xl += w * x[i] * code
            others.ll += w * code * code
            let isBetter = others.xl * others.xl * sums.ll .> sums.xl * sums.xl * others.ll
            let takes = isMoved .& (others.ll .> Lanes()) .& isBetter
            guard any(takes) else { continue }
            codes[i].replace(with: code, where: takes)
            sums.xl.replace(with: others.xl, where: takes)
            sums.ll.replace(with: others.ll, where: takes)
            hasChanged = true
        }
        if !hasChanged { break }
    }
    for i in 0..<n { codes[i] = (codes[i] + Float(half)).replacing(with: Lanes(), where: isNothing) }
    return (sums.xl / sums.ll).replacing(with: Lanes(), where: isNothing .| .!(sums.ll .> Lanes()))
}

/// The first value of largest magnitude of each sub-block, and whether even that is negligible.
@inline(__always)
func largestMagnitudes<let n: Int>(_ x: Columns<n>) -> (largest: Lanes, isNothing: LaneMask) {
    var (magnitude, largest) = (Lanes(), Lanes())
    for i in 0..<n {
        let magnitudes = x[i].magnitudes
        let isLarger = magnitudes .> magnitude
        magnitude.replace(with: magnitudes, where: isLarger)
        largest.replace(with: x[i], where: isLarger)
    }
    return (largest, magnitude .< Lanes(repeating: negligible))
}
