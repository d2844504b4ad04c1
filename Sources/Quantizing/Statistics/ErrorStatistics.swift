import RealModule
import Tensors

/// How far some numbers are from what they stand for, gathered row by row.
///
/// Sums are in Double. Add rows in a fixed order and merge in a fixed order: then results do not depend on threads.
public struct ErrorStatistics: Sendable, Codable {
    /// Values compared.
    public private(set) var count = 0
    /// The largest error; NaN if one of them is no number.
    public private(set) var maximum: Float = 0
    private var squaredError = 0.0
    private var absoluteError = 0.0
    private var squaredReference = 0.0
    private var squaredOther = 0.0
    private var products = 0.0
    /// `nil` if no quantile can be asked for.
    private var histogram: ErrorHistogram?

    /// - Parameter quantiles: whether `p95` will be asked for, which takes 256 KiB.
    public init(quantiles: Bool = true) {
        histogram = quantiles ? ErrorHistogram() : nil
    }

    /// - Precondition: as many values in both, all of them finite in `reference`.
    public mutating func add(reference: Span<Float>, other: Span<Float>) {
        precondition(reference.count == other.count, "\(reference.count) values against \(other.count)")
        count += reference.count
        for i in 0..<reference.count {
            let (x, y) = (Double(reference[i]), Double(other[i]))
            let error = abs(other[i] - reference[i])
            squaredError += (y - x) * (y - x)
            absoluteError += abs(y - x)
            squaredReference += x * x
            squaredOther += y * y
            products += x * y
            maximum = maximum.isWorse(than: error) ? maximum : error
            histogram?.add(error)
        }
    }

    /// Adds what another gathered.
    public mutating func merge(_ other: ErrorStatistics) {
        count += other.count
        maximum = maximum.isWorse(than: other.maximum) ? maximum : other.maximum
        squaredError += other.squaredError
        absoluteError += other.absoluteError
        squaredReference += other.squaredReference
        squaredOther += other.squaredOther
        products += other.products
        if let more = other.histogram { histogram?.merge(more) } else { histogram = nil }
    }

    /// Lets go of memory that only adding and merging into it need.
    mutating func pack() { histogram?.pack() }

    /// Mean squared error, in the square of the values' unit.
    public var mse: Double { count > 0 ? squaredError / Double(count) : 0 }
    public var rmse: Double { mse.squareRoot() }
    /// Mean square of the reference, in the same unit.
    public var referenceMeanSquare: Double { count > 0 ? squaredReference / Double(count) : 0 }
    public var meanAbsolute: Double { count > 0 ? absoluteError / Double(count) : 0 }

    /// Root of (squared error / squared reference): 0.01 is an error of 1 %. 0 if both are 0.
    public var relativeRMSE: Double { squaredError == 0 ? 0 : (squaredError / squaredReference).squareRoot() }

    /// Signal to quantisation noise, `10 log10(Σx² / Σ(x - y)²)`, in decibels; infinite without error.
    public var sqnr: Double { squaredError == 0 ? .infinity : 10 * Double.log10(squaredReference / squaredError) }

    /// Cosine of the angle between the two as vectors; 1 if both are 0.
    public var cosine: Double {
        if squaredReference == 0, squaredOther == 0 { return 1 }
        return products / (squaredReference * squaredOther).squareRoot()
    }

    /// The magnitude that 95 % of the errors do not pass, to 0.4 %; `nil` if quantiles were not gathered.
    public var p95: Double? {
        guard let histogram, count > 0 else { return nil }
        return histogram.magnitude(ofRank: (count * 95 + 99) / 100, most: maximum) ?? Double(maximum)
    }
}
