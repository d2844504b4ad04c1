/// Finds `scale` so that `x ~ scale * code` for the scales or minima of a super-block, codes in 0...maximum.
///
/// The best of nine scales, then up to five rounds of moving one code at a time. Scales are meant to be positive; the
/// code of a negative one wraps to a byte as in ggml. Source: ggml `make_qp_quants`.
///
/// - Returns: the scale, 0 if no value is larger than `negligible`; the codes are zeros then.
func positiveScale<let n: Int>(
    _ x: InlineArray<n, Float>, weights w: InlineArray<n, Float>, maximum: Int32, codes: inout InlineArray<n, UInt8>
) -> Float {
    codes = .init(repeating: 0)
    var largest: Float = 0
    for i in 0..<n where !(largest > x[i]) { largest = x[i] }
    if largest < negligible { return 0 }
    let top = Float(maximum)
    let inverse = bestInverse(x, w, top: top, largest: largest)

    var (sumXL, sumLL): (Float, Float) = (0, 0)
    for i in 0..<n {
        let code = min(maximum, nearestInteger(inverse * x[i]))
        codes[i] = UInt8(truncatingIfNeeded: code)
        sumXL += w[i] * x[i] * Float(code)
        sumLL += w[i] * Float(code) * Float(code)
    }
    for _ in 0..<5 {
        var hasChanged = false
        for i in 0..<n {
            let code = Float(codes[i])
            var (othersXL, othersLL) = (sumXL - w[i] * x[i] * code, sumLL - w[i] * code * code)
            guard othersXL > 0, othersLL > 0 else { continue }
            let moved = min(maximum, nearestInteger(x[i] * othersLL / othersXL))
            guard moved != Int32(codes[i]) else { continue }
            othersXL += w[i] * x[i] * Float(moved)
            othersLL += w[i] * Float(moved) * Float(moved)
            guard othersXL * othersXL * sumLL > sumXL * sumXL * othersLL else { continue }
            codes[i] = UInt8(truncatingIfNeeded: moved)
            (sumXL, sumLL) = (othersXL, othersLL)
            hasChanged = true
        }
        if !hasChanged { break }
    }
    return sumLL > 0 ? sumXL / sumLL : 0
}

/// The inverse of the scale with the least weighted square error.
private func bestInverse<let n: Int>(
    _ x: InlineArray<n, Float>, _ w: InlineArray<n, Float>, top: Float, largest: Float
) -> Float {
    var result = top / largest
    var best: Float = 0
    for i in 0..<n {
        // Not yet limited to the largest code, but wrapped to a byte.
        let code = UInt8(truncatingIfNeeded: nearestInteger(result * x[i]))
        let difference = x[i] - 1 / result * Float(code)
        best += w[i] * difference * difference
    }
    for k in -4...4 where k != 0 {
        let inverse = (0.1 * Float(k) + top) / largest
        let scale = 1 / inverse
        var error: Float = 0
        for i in 0..<n {
            let difference = x[i] - scale * min(top, Float(nearestInteger(inverse * x[i])))
            error += w[i] * difference * difference
        }
        if error < best { (best, result) = (error, inverse) }
    }
    return result
}
