import LlamaModel
import Tensors

/// How far predictions are from reference predictions, position by position.
public struct LogitDivergence: Sendable {
    /// KL(reference || other) in nats, of each position.
    public private(set) var kld: [Double] = []
    /// Positions at which both find the same token most probable.
    public private(set) var sameTop = 0

    public init(reference: [Prediction], other: [Prediction]) {
        for (p, q) in zip(reference, other) {
            let pair = DistributionPair(base: p.logits.span, other: q.logits.span)
            kld.append(pair.divergence)
            if pair.isSameTop { sameTop += 1 }
        }
    }

    /// Mean over positions.
    public var mean: Double { kld.reduce(0, +) / Double(max(1, kld.count)) }
    public var maximum: Double { kld.worst() ?? 0 }
    public var last: Double { kld.last ?? 0 }
    public var sameTopShare: Double { Double(sameTop) / Double(max(1, kld.count)) }
}
