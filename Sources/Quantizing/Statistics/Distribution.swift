/// How numbers are spread, gathered in any order and merged: quantiles to 0.8 %, the ends exactly.
public struct Distribution: Sendable {
    /// Finite numbers.
    public private(set) var count = 0
    /// Infinities and NaN.
    public private(set) var notFinite = 0
    public private(set) var minimum = Float.infinity
    public private(set) var maximum = -Float.infinity
    /// By sign, exponent and 7 bits of mantissa, lowest number first.
    private var histogram = [UInt32](repeating: 0, count: 1 << 16)

    public init() {}

    public mutating func add(_ value: Float) {
        guard value.isFinite else {
            notFinite += 1
            return
        }
        count += 1
        minimum = min(minimum, value)
        maximum = max(maximum, value)
        // Bits that compare as unsigned numbers as the Floats do.
        let bits = value.bitPattern
        histogram[Int((bits >> 31 == 1 ? ~bits : bits | 0x8000_0000) >> 16)] += 1
    }

    public mutating func merge(_ other: Distribution) {
        count += other.count
        notFinite += other.notFinite
        minimum = min(minimum, other.minimum)
        maximum = max(maximum, other.maximum)
        for bucket in histogram.indices { histogram[bucket] &+= other.histogram[bucket] }
    }

    /// The number that a share of all do not pass; `nil` without numbers.
    public func quantile(_ share: Double) -> Float? {
        guard count > 0 else { return nil }
        let rank = max(1, Int((share * Double(count)).rounded(.up)))
        var seen = 0
        for bucket in histogram.indices where histogram[bucket] > 0 {
            seen += Int(histogram[bucket])
            if seen >= rank { return min(maximum, max(minimum, Self.value(bucket))) }
        }
        return maximum
    }

    /// The median of the magnitudes; `nil` without numbers.
    public var medianMagnitude: Float? {
        guard count > 0 else { return nil }
        let half = histogram.count / 2
        var seen = 0
        for bucket in 0..<half {
            // Bucket `half + b` holds the positive and `half - 1 - b` the negative numbers of one magnitude.
            seen += Int(histogram[half + bucket]) + Int(histogram[half - 1 - bucket])
            if seen * 2 >= count {
                let largest = max(maximum.magnitude, minimum.magnitude)
                return min(largest, Self.value(half + bucket))
            }
        }
        return nil
    }

    /// The middle of a bucket; of the one that holds zero, zero.
    private static func value(_ bucket: Int) -> Float {
        let key = UInt32(bucket) << 16
        if key == 0x8000_0000 || key == 0x7fff_0000 { return 0 }
        let bits = key | 0x8000
        return Float(bitPattern: bits >> 31 == 1 ? bits & 0x7fff_ffff : ~bits)
    }
}
