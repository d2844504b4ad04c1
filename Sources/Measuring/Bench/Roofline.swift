import ComputeGraph

/// What a group of operations takes in one pass, held against what memory and processor allow.
///
/// An operation that does `intensity` operations for each byte it moves cannot go faster than `intensity · bandwidth`,
/// nor faster than it computes on cached operands (`peak`). The two meet at an intensity of `peak / bandwidth`, the
/// balance: below it memory decides, above it arithmetic. Source: Williams, Waterman and Patterson 2009.
public struct RooflineRow: Sendable {
    public enum Bound: String, Sendable {
        case memory, arithmetic
    }

    public let group: OperationGroup
    /// Nodes of the group in one pass.
    public let nodes: Int
    /// In one pass, on average.
    public let nanoseconds: Double
    /// Of the pass's wall time, 0 to 1.
    public let share: Double
    public let operations: Double
    /// Read and written.
    public let bytes: Double
    /// Operations a second on cached operands; `nil` without arithmetic.
    public let peak: Double?
    private let bandwidth: Double

    package init(
        _ group: OperationGroup, _ total: OperationTimes.Total, passes: Int, passNanoseconds: Double, peak: Double?,
        bandwidth: Double
    ) {
        let passes = Double(passes)
        self.group = group
        nodes = Int((Double(total.nodes) / passes).rounded())
        nanoseconds = Double(total.nanoseconds) / passes
        share = nanoseconds / passNanoseconds
        operations = Double(total.cost.operations) / passes
        bytes = Double(total.cost.bytesRead + total.cost.bytesWritten) / passes
        self.peak = peak
        self.bandwidth = bandwidth
    }

    public var bytesPerSecond: Double { bytes / max(nanoseconds, 1) * 1e9 }
    public var operationsPerSecond: Double { operations / max(nanoseconds, 1) * 1e9 }

    /// Operations a byte; `nil` if no byte is moved, as in a view.
    public var intensity: Double? { bytes > 0 ? operations / bytes : nil }

    /// The intensity at which memory and arithmetic take equally long.
    public var balance: Double? { peak.map { $0 / bandwidth } }

    /// What cannot be faster; `nil` if there is nothing to do, as in a view.
    public var bound: Bound? {
        guard let intensity else { return nil }
        guard let balance else { return .memory }
        return intensity < balance ? .memory : .arithmetic
    }

    /// What is reached of the rate that `bound` allows. Above 1 when memory is not what holds the operands.
    public var reached: Double? {
        switch bound {
        case nil: nil
        case .memory: bytesPerSecond / bandwidth
        case .arithmetic: peak.map { operationsPerSecond / $0 }
        }
    }
}
