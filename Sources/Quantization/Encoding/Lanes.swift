// Eight sub-blocks side by side. The sums of a scale search have to be added up in order, one element after the other,
// which leaves a processor waiting for each addition. But sub-blocks know nothing of each other: lane k searches for
// the scale of sub-block k, each in its own order, and eight searches take the time of one.

typealias Lanes = SIMD8<Float>
typealias IntegerCodes = SIMD8<Int32>
typealias LaneMask = SIMDMask<SIMD8<Int32>>

/// Elements 0..<length of eight sub-blocks: lane k of `[i]` is element i of sub-block k.
typealias Columns<let length: Int> = InlineArray<length, Lanes>

extension InlineArray where Element == Lanes {
    /// Eight sub-blocks that follow each other from `start` on. Those beyond the end are zeros.
    @inline(__always)
    init(_ values: Span<Float>, from start: Int) {
        self.init(repeating: Lanes())
        for lane in 0..<Swift.min(8, (values.count - start) / count) {
            for i in 0..<count { self[i][lane] = values[start + lane * count + i] }
        }
    }

    @inline(__always)
    func map(_ transform: (Lanes) -> Lanes) -> Self {
        var result = self
        for i in 0..<count { result[i] = transform(self[i]) }
        return result
    }

    /// Lane by lane the sum of all elements, in order.
    @inline(__always)
    var sum: Lanes {
        var sum = Lanes()
        for i in 0..<count { sum += self[i] }
        return sum
    }

    /// `importance * sqrt(variance + x^2)`: what an error weighs. Source: ggml `quantize_row_*_impl`.
    @inline(__always)
    func weights(importance: Self, variance: Float) -> Self {
        var weights = self
        let variance = Lanes(repeating: variance)
        for i in 0..<count { weights[i] = importance[i] * (variance + self[i] * self[i]).squareRoot() }
        return weights
    }

    /// Writes lane k to the `count` places from `start + k * count` on.
    @inline(__always)
    func store<let size: Int>(into codes: inout InlineArray<size, UInt8>, from start: Int, lanes: Int = 8) {
        for i in 0..<count {
            let column = nearestIntegers(self[i])
            for lane in 0..<lanes { codes[start + lane * count + i] = UInt8(truncatingIfNeeded: column[lane]) }
        }
    }
}

/// The integers nearest to `values`, ties to even, within bounds; see `nearestInteger`.
@inline(__always)
func nearestCodes(_ values: Lanes, _ low: IntegerCodes, _ high: IntegerCodes) -> Lanes {
    Lanes(pointwiseMin(pointwiseMax(nearestIntegers(values), low), high))
}

/// The integers nearest to `values`, ties to even; see `nearestInteger`. (The conversion of SIMD types is a slow generic
/// function.)
@inline(__always)
func nearestIntegers(_ values: Lanes) -> IntegerCodes {
    let bits = unsafeBitCast(values + Lanes(repeating: 0x1.8p23), to: IntegerCodes.self)
    return (bits & IntegerCodes(repeating: 0x007f_ffff)) &- IntegerCodes(repeating: 0x0040_0000)
}

extension SIMD8 where Scalar == Float {
    @inline(__always)
    var magnitudes: Lanes {
        unsafeBitCast(unsafeBitCast(self, to: SIMD8<Int32>.self) & SIMD8<Int32>(repeating: Int32.max), to: Lanes.self)
    }
}
