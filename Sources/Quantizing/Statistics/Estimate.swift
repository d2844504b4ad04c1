import RealModule

/// A figure from a sample, and how far the sample may be off.
public struct Estimate: Sendable, Hashable, Codable {
    public let value: Double
    /// One standard error.
    public let uncertainty: Double

    public init(_ value: Double, _ uncertainty: Double) {
        self.value = value
        self.uncertainty = uncertainty
    }

    /// The mean of a sample with its standard error.
    ///
    /// Tokens of one text are taken for independent, as llama.cpp takes them.
    public init(meanOf sample: [Double]) {
        let mean = sample.mean
        self.init(mean, (covariance(sample, sample) / Double(sample.count - 1)).squareRoot())
    }

    /// e to the power of this.
    public var exponential: Estimate {
        let value = Double.exp(value)
        return Estimate(value, value * uncertainty)
    }

    /// The square root of this.
    public var squareRoot: Estimate {
        let root = value.squareRoot()
        return Estimate(root, root == 0 ? 0 : 0.5 / root * uncertainty)
    }
}

extension [Double] {
    var mean: Double { reduce(0, +) / Double(count) }
}

/// The mean product of deviations from the means, of two samples in pairs.
package func covariance(_ a: [Double], _ b: [Double]) -> Double {
    let (meanA, meanB) = (a.mean, b.mean)
    return zip(a, b).reduce(0) { $0 + ($1.0 - meanA) * ($1.1 - meanB) } / Double(a.count)
}
