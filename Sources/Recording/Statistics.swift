import RealModule

/// Summary of an operation's values, as the `op` table has it.
///
/// Sum, mean, rms and std are over the finite values, in Double and in order, so that they do not depend on threads.
public struct Statistics: Sendable, Hashable {
    public private(set) var count = 0
    public private(set) var sum = 0.0
    public private(set) var minimum: Float?
    public private(set) var maximum: Float?
    public private(set) var zeros = 0
    public private(set) var nans = 0
    public private(set) var infinities = 0
    private var sumOfSquares = 0.0

    public init(_ values: [Float]) {
        count = values.count
        var (low, high) = (Float.infinity, -Float.infinity)
        for value in values {
            guard value.isFinite else {
                if value.isNaN { nans += 1 } else { infinities += 1 }
                continue
            }
            if value == 0 { zeros += 1 }
            low = min(low, value)
            high = max(high, value)
            sum += Double(value)
            sumOfSquares += Double(value) * Double(value)
        }
        if low <= high { (minimum, maximum) = (low, high) }
    }

    private var finite: Double { Double(count - nans - infinities) }
    public var mean: Double? { finite > 0 ? sum / finite : nil }
    public var rms: Double? { finite > 0 ? (sumOfSquares / finite).squareRoot() : nil }
    /// Population standard deviation.
    public var std: Double? {
        mean.map { max(0, sumOfSquares / finite - $0 * $0).squareRoot() }
    }
}

/// How one head looks from one position: a row of `kq_soft_max`.
public struct AttentionSummary: Sendable, Hashable {
    /// Shannon entropy of the weights; 0 bits: all on one position, log2(N): evenly on all.
    public let entropyBits: Double
    public let topPosition: Int
    public let topWeight: Float
    /// Weight on the first position, where heads park what they do not use.
    public let sinkWeight: Float

    /// - Precondition: at least one weight.
    public init(_ weights: some RandomAccessCollection<Float>) {
        var (bits, top, place) = (0.0, -Float.infinity, 0)
        for (position, weight) in zip(0..., weights) {
            if weight.isNaN { bits = .nan }
            if weight > 0 { bits -= Double(weight) * Double.log2(Double(weight)) }
            if weight > top { (top, place) = (weight, position) }
        }
        entropyBits = bits
        topPosition = place
        topWeight = top == -.infinity ? .nan : top
        sinkWeight = weights.first!
    }
}
