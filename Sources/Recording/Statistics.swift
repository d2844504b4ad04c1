import Quantization
import SIMDKernels
import Tensors

/// Summary of an operation's values, as the `op` table has it.
///
/// Sum, mean, rms and std are over the finite values, in Double: eight sums side by side, of every eighth value each,
/// added up at the end. The order is fixed, so that they do not depend on threads.
public struct Statistics: Sendable, Hashable {
    public private(set) var count = 0
    public private(set) var sum = 0.0
    public private(set) var minimum: Float?
    public private(set) var maximum: Float?
    public private(set) var zeros = 0
    public private(set) var nans = 0
    public private(set) var infinities = 0
    private var sumOfSquares = 0.0

    public init(_ values: [Float]) { self.init(values.span) }

    /// - Parameter instructions: what computes it; the result is the same with any.
    public init(_ values: Span<Float>, instructions: InstructionSet = .best) {
        var sums = StatisticsSums()
        sums.add(values, instructions: instructions)
        self.init(sums)
    }

    package init(_ sums: StatisticsSums) {
        let lanes = sums.lanes
        count = sums.count
        (zeros, nans, infinities) = (lanes.zeros, lanes.nans, lanes.infinities)
        (sum, sumOfSquares) = (Self.total(lanes.sums), Self.total(lanes.squares))
        if lanes.low <= lanes.high { (minimum, maximum) = (lanes.low, lanes.high) }
    }

    /// C's arrays of eight.
    typealias Eight = (Double, Double, Double, Double, Double, Double, Double, Double)

    static func total(_ v: Eight) -> Double { ((v.0 + v.4) + (v.2 + v.6)) + ((v.1 + v.5) + (v.3 + v.7)) }

    /// The summary of these values and `other`'s together.
    func merged(with other: Statistics) -> Statistics {
        var both = self
        both.count += other.count
        both.sum += other.sum
        both.sumOfSquares += other.sumOfSquares
        both.zeros += other.zeros
        both.nans += other.nans
        both.infinities += other.infinities
        both.minimum = [minimum, other.minimum].compactMap { $0 }.min()
        both.maximum = [maximum, other.maximum].compactMap { $0 }.max()
        return both
    }

    private var finite: Double { Double(count - nans - infinities) }
    public var mean: Double? { finite > 0 ? sum / finite : nil }
    public var rms: Double? { finite > 0 ? (sumOfSquares / finite).squareRoot() : nil }
    /// Population standard deviation.
    public var std: Double? {
        mean.map { max(0, sumOfSquares / finite - $0 * $0).squareRoot() }
    }
}

/// The sums of statistics while values come in parts: the same as if all came at once.
package struct StatisticsSums {
    fileprivate var lanes = quipu_statistics()
    private(set) var count = 0

    package init() { (lanes.low, lanes.high) = (.infinity, -.infinity) }

    package mutating func add(_ values: Span<Float>, instructions: InstructionSet = .best) {
        // Value i belongs to sum i % 8, wherever a part begins.
        let first = min((8 - count % 8) % 8, values.count)
        for i in 0..<first { lanes.add(values[i], lane: (count + i) % 8) }
        let end = first + (values.count - first) / 8 * 8
        if let kernel = instructions.rowKernels?.statistics {
            values.extracting(first..<end).withUnsafeBufferPointer { kernel($0.baseAddress, end - first, &lanes) }
        } else {
            for i in first..<end { lanes.add(values[i], lane: (i - first) % 8) }
        }
        for i in end..<values.count { lanes.add(values[i], lane: i - end) }
        count += values.count
    }
}

extension quipu_statistics {
    /// Adds one value to the sums of `lane`: the reference of the kernels.
    fileprivate mutating func add(_ value: Float, lane: Int) {
        guard value.isFinite else {
            if value.isNaN { nans += 1 } else { infinities += 1 }
            return
        }
        if value == 0 { zeros += 1 }
        low = min(low, value)
        high = max(high, value)
        withUnsafeMutableBytes(of: &sums) { $0.bindMemory(to: Double.self)[lane] += Double(value) }
        withUnsafeMutableBytes(of: &squares) {
            $0.bindMemory(to: Double.self)[lane] += Double(value) * Double(value)
        }
    }
}
