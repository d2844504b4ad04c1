import LlamaModel
import Measuring

/// The result of `compare`.
public struct CompareReport: Report {
    struct Divergences: Encodable {
        let mean: Double
        let uncertainty: Double
        let median: Double
        let p90: Double
        let p99: Double
        let p999: Double
        let max: Double
        let min: Double
        /// Where the quantiles lie two times of three.
        let medianInterval: [Double]
        let p90Interval: [Double]
        let p99Interval: [Double]
        let p999Interval: [Double]
    }

    struct Changes: Encodable {
        let mean: Double
        let meanUncertainty: Double
        let rms: Double
        let rmsUncertainty: Double
        let max: Double
        let min: Double
    }

    struct Perplexities: Encodable {
        let base: Double
        let baseUncertainty: Double
        let other: Double
        let otherUncertainty: Double
        let ratio: Double
        let ratioUncertainty: Double
        let difference: Double
        let differenceUncertainty: Double
        let correlation: Double
    }

    let base: String
    let other: String
    let text: TextFacts
    /// Tokens that were scored.
    let nTokens: Int
    /// In nats.
    let kld: Divergences
    /// `kld.mean` and its uncertainty under the names that other documents have.
    let kldMean: Double
    let kldUncertainty: Double
    let sameTop: Double
    let sameTopUncertainty: Double
    /// Of the probability of the token that followed: the other's minus the base's.
    let deltaP: Changes
    let perplexity: Perplexities

    public init(_ divergence: Divergence, of other: Llama, from base: Llama, on text: ScoredText) {
        self.base = base.file.path
        self.other = other.file.path
        self.text = TextFacts(text)
        nTokens = divergence.tokens.count
        kld = Divergences(divergence)
        (kldMean, kldUncertainty) = (kld.mean, kld.uncertainty)
        sameTop = divergence.sameTop.value
        sameTopUncertainty = divergence.sameTop.uncertainty
        deltaP = Changes(divergence)
        perplexity = Perplexities(divergence)
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        var table = Table([("", .left), ("", .right), ("±", .left)])
        func add(_ name: String, _ value: Double, _ uncertainty: Double, _ form: (Double) -> String) {
            table.add(name, form(value), form(uncertainty))
        }
        func quantile(_ name: String, _ value: Double, _ interval: [Double]) {
            table.add(name, Numbers.short(value), interval.map(Numbers.short).joined(separator: " to "))
        }
        let (fixed, percent) = (Self.fixed, Self.percent)
        add("Perplexity of the base", perplexity.base, perplexity.baseUncertainty, fixed)
        add("Perplexity of the other", perplexity.other, perplexity.otherUncertainty, fixed)
        add("their ratio", perplexity.ratio, perplexity.ratioUncertainty, fixed)
        add("their difference", perplexity.difference, perplexity.differenceUncertainty, fixed)
        table.add("", "", "")
        add("KL divergence, mean", kld.mean, kld.uncertainty, Numbers.short)
        quantile("median", kld.median, kld.medianInterval)
        quantile("90 % stay below", kld.p90, kld.p90Interval)
        quantile("99 % stay below", kld.p99, kld.p99Interval)
        quantile("99.9 % stay below", kld.p999, kld.p999Interval)
        table.add("largest", Numbers.short(kld.max), "")
        table.add("", "", "")
        add("Same token on top", sameTop, sameTopUncertainty, percent)
        add("Δp, mean", deltaP.mean, deltaP.meanUncertainty, percent)
        add("Δp, root mean square", deltaP.rms, deltaP.rmsUncertainty, percent)
        let models = [("base: ", base), ("other: ", other)].map { role, path in
            role + style.bold(path.cutAtFront(to: style.width - role.count))
        }
        return (models + text.lines(style) + [""] + table.lines(style) + [""] + Self.legend.map(style.dim))
            .joined(separator: "\n")
    }

    private static func fixed(_ value: Double) -> String { Numbers.fixed(value, 4) }
    private static func percent(_ share: Double) -> String { Numbers.fixed(share * 100, 3) + " %" }

    private static let legend = [
        "KL divergence: how far the other's probabilities of all tokens are from the",
        "base's, in nats; 0 where they are the same. Δp: how much more probability the",
        "other gave to the token that followed. Beside quantiles: where they lie in two",
        "cases out of three.",
    ]
}

extension CompareReport.Divergences {
    fileprivate init(_ divergence: Divergence) {
        let (quantiles, mean) = (divergence.divergences, divergence.meanDivergence)
        func interval(_ share: Double) -> [Double] {
            let interval = quantiles.interval(share)
            return [interval.lowerBound, interval.upperBound]
        }
        self.init(
            mean: mean.value, uncertainty: mean.uncertainty, median: quantiles.median, p90: quantiles[0.9],
            p99: quantiles[0.99], p999: quantiles[0.999], max: quantiles.maximum, min: quantiles.minimum,
            medianInterval: interval(0.5), p90Interval: interval(0.9), p99Interval: interval(0.99),
            p999Interval: interval(0.999))
    }
}

extension CompareReport.Changes {
    fileprivate init(_ divergence: Divergence) {
        let (mean, rms) = (divergence.meanProbabilityChange, divergence.rmsProbabilityChange)
        let quantiles = divergence.probabilityChanges
        self.init(
            mean: mean.value, meanUncertainty: mean.uncertainty, rms: rms.value, rmsUncertainty: rms.uncertainty,
            max: quantiles.maximum, min: quantiles.minimum)
    }
}

extension CompareReport.Perplexities {
    fileprivate init(_ divergence: Divergence) {
        let (base, other) = (divergence.basePerplexity.estimate, divergence.otherPerplexity.estimate)
        let (ratio, difference) = (divergence.logRatio.exponential, divergence.difference)
        self.init(
            base: base.value, baseUncertainty: base.uncertainty, other: other.value,
            otherUncertainty: other.uncertainty, ratio: ratio.value, ratioUncertainty: ratio.uncertainty,
            difference: difference.value, differenceUncertainty: difference.uncertainty,
            correlation: divergence.correlation)
    }
}
