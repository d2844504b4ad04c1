// Four sub-blocks side by side. The sums of a scale search have to be added up in order, one element after the other,
// which leaves a processor waiting for each addition. But sub-blocks know nothing of each other: lane k searches for
// the scale of sub-block k, each in its own order, and four searches take the time of one.
//
// Four, because that is a register of every processor. Masks of eight Floats are compiled, for x86-64 without AVX, to
// long detours through packed words.

typealias Lanes = SIMD4<Float>
typealias IntegerCodes = SIMD4<Int32>
typealias LaneMask = SIMDMask<SIMD4<Int32>>

/// Elements 0..<length of four sub-blocks: lane k of `[i]` is element i of sub-block k.
typealias Columns<let length: Int> = InlineArray<length, Lanes>

extension InlineArray where Element == Lanes {
    /// Four sub-blocks that follow each other from `start` on. Where fewer are left, the last one is repeated.
    @inline(__always)
    init(_ values: Span<Float>, from start: Int) {
        self.init(repeating: Lanes())
        let last = (values.count - start) / count - 1
        let (second, third, fourth) = (
            start + Swift.min(1, last) * count, start + Swift.min(2, last) * count, start + Swift.min(3, last) * count
        )
        for i in 0..<count {
            self[i] = Lanes(values[start + i], values[second + i], values[third + i], values[fourth + i])
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

    /// Writes lane k to the `count` elements from `start + k * count` on.
    @inline(__always)
    func store<let size: Int>(into codes: inout InlineArray<size, UInt8>, from start: Int) {
        for i in 0..<count {
            let column = nearestIntegers(self[i])
            for lane in 0..<Lanes.scalarCount {
                codes[start + lane * count + i] = UInt8(truncatingIfNeeded: column[lane])
            }
        }
    }
}

/// The integers nearest to `values`, ties to even, within bounds; see `nearestInteger`.
///
/// The integer in the low bits of a Float becomes one of its own by putting back the exponent it was rounded with.
@inline(__always)
func nearestCodes(_ values: Lanes, _ low: Lanes, _ high: Lanes) -> Lanes {
    let rounder = Lanes(repeating: 0x1.8p23)
    let bits = unsafeBitCast(values + rounder, to: IntegerCodes.self) & IntegerCodes(repeating: 0x007f_ffff)
    var codes = unsafeBitCast(bits | IntegerCodes(repeating: 0x4b00_0000), to: Lanes.self) - rounder
    // Compiled to one instruction each; `replacing(with:where:)` sometimes to four, `pointwiseMin` to a call.
    for lane in 0..<Lanes.scalarCount { codes[lane] = codes[lane] < high[lane] ? codes[lane] : high[lane] }
    for lane in 0..<Lanes.scalarCount { codes[lane] = codes[lane] > low[lane] ? codes[lane] : low[lane] }
    return codes
}

/// The integers nearest to `values`, ties to even; see `nearestInteger`. (The conversion of SIMD types is a slow generic
/// function.)
@inline(__always)
func nearestIntegers(_ values: Lanes) -> IntegerCodes {
    let bits = unsafeBitCast(values + Lanes(repeating: 0x1.8p23), to: IntegerCodes.self)
    return (bits & IntegerCodes(repeating: 0x007f_ffff)) &- IntegerCodes(repeating: 0x0040_0000)
}

extension SIMD4 where Scalar == Float {
    @inline(__always)
    var magnitudes: Lanes {
        unsafeBitCast(unsafeBitCast(self, to: IntegerCodes.self) & IntegerCodes(repeating: Int32.max), to: Lanes.self)
    }
}
