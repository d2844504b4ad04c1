import Quantizing

/// What a quantised version of a model comes to: its size, and how far its predictions are from the model's.
public struct VersionFigures: Sendable, Codable, Equatable {
    public let byteCount: Int
    /// Tensors whose rows the type's blocks do not divide.
    public let fallbacks: Int
    /// Of the model itself.
    public let basePerplexity: Estimate
    public let perplexity: Estimate
    /// The version's perplexity minus the model's.
    public let increase: Estimate
    public let divergence: Estimate
    /// The share of positions at which both hold the same token most probable.
    public let sameTop: Estimate
    /// Of reading the text.
    public let tokensPerSecond: Double

    public init(_ plan: QuantizationPlan, _ measured: BaseLogits.Measurement) {
        let found = measured.divergence
        (byteCount, fallbacks) = (plan.byteCount, plan.fallbacks)
        (basePerplexity, perplexity) = (found.basePerplexity.estimate, found.otherPerplexity.estimate)
        (increase, divergence, sameTop) = (found.difference, found.meanDivergence, found.sameTop)
        tokensPerSecond = measured.tokensPerSecond
    }
}
