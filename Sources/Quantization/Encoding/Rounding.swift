// Conversions from Float to integers as C compiles to for x86-64. Numbers no integer can hold become the smallest one,
// which is what `cvttss2si` gives; a Swift conversion would trap.

/// The integer part.
@inline(__always)
func truncated(_ value: Float) -> Int32 {
    value.magnitude < 0x1p31 ? Int32(value) : Int32.min
}

/// The nearest integer, halves away from zero (C `roundf`), for magnitudes below 2^22; the smallest one for others.
@inline(__always)
func roundedAway(_ value: Float) -> Int32 {
    let nearest = nearestInteger(value)
    // Exact. Half-way between integers the nearest one is even, and may be the one towards zero.
    let rest = value - Float(nearest)
    let code = nearest &+ (rest == 0.5 && value > 0 ? 1 : 0) &- (rest == -0.5 && value < 0 ? 1 : 0)
    return value.magnitude < 0x1p22 ? code : Int32.min
}

/// The integer part, clamped as C's `MIN(limit, (int8_t)value)`.
@inline(__always)
func truncatedCode(_ value: Float, atMost limit: Int8) -> UInt8 {
    UInt8(truncatingIfNeeded: min(limit, Int8(truncatingIfNeeded: truncated(value))))
}

/// 1 / value, or 0 for zero.
@inline(__always)
func inverse(_ value: Float) -> Float {
    value == 0 ? 0 : 1 / value
}

extension Span where Element == Float {
    /// The values from `start` on, one a lane.
    @inline(__always)
    func lanes(_ start: Int) -> Lanes {
        bytes.unsafeLoadUnaligned(fromByteOffset: MemoryLayout<Float>.stride * start, as: Lanes.self)
    }

    /// The first value of largest magnitude of `count` from `start` on, with its sign. NaN is passed over.
    @inline(__always)
    func largest(_ start: Int, _ count: Int) -> Float {
        var (magnitude, largest): (Float, Float) = (0, 0)
        for i in start..<start + count where self[i].magnitude > magnitude {
            (magnitude, largest) = (self[i].magnitude, self[i])
        }
        return largest
    }

    /// The largest magnitude of `count` values from `start` on.
    @inline(__always)
    func largestMagnitude(_ start: Int, _ count: Int) -> Float {
        // As integers, magnitudes compare like the Floats they are, and maxima of integers vectorise.
        var largest: Int32 = 0
        for i in start..<start + count { largest = Swift.max(largest, Int32(bitPattern: self[i].magnitude.bitPattern)) }
        return Float(bitPattern: UInt32(bitPattern: largest))
    }

    /// The smallest and the largest value of `count` from `start` on. NaN is passed over.
    @inline(__always)
    func range(_ start: Int, _ count: Int) -> (low: Float, high: Float) {
        var (low, high) = (Float.greatestFiniteMagnitude, -Float.greatestFiniteMagnitude)
        for i in start..<start + count {
            if self[i] < low { low = self[i] }
            if self[i] > high { high = self[i] }
        }
        return (low, high)
    }

    /// The sum of squares of `count` values from `start` on, added up in order.
    @inline(__always)
    func squares(_ start: Int, _ count: Int) -> Float {
        var sum: Float = 0
        for i in start..<start + count { sum += self[i] * self[i] }
        return sum
    }
}
