/// A sample in order.
public struct Quantiles: Sendable {
    /// Smallest first.
    public let sorted: [Double]

    public init(_ sample: [Double]) { sorted = sample.sorted() }

    public var minimum: Double { sorted.first! }
    public var maximum: Double { sorted.last! }
    public var median: Double { self[0.5] }

    /// The number that a share of the sample does not pass, between two of the sample in proportion.
    public subscript(share: Double) -> Double {
        let rank = share * Double(sorted.count - 1)
        let (low, rest) = (Int(rank), rank - rank.rounded(.down))
        return (1 - rest) * sorted[low] + rest * sorted[min(low + 1, sorted.count - 1)]
    }

    /// Numbers of the sample between which the quantile of what it was drawn from lies, two times of three.
    ///
    /// How many of n draws stay below a quantile is spread as n throws of a coin are, whatever is drawn: one standard error
    /// of that number to either side.
    public func interval(_ share: Double) -> ClosedRange<Double> {
        let n = Double(sorted.count)
        let (middle, error) = (share * (n - 1), (n * share * (1 - share)).squareRoot())
        let low = max(0, Int((middle - error).rounded(.down)))
        return sorted[low]...sorted[min(sorted.count - 1, Int((middle + error).rounded(.up)))]
    }
}
