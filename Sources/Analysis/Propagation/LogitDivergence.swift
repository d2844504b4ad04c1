import LlamaModel
import RealModule

/// How far predictions are from reference predictions, position by position.
public struct LogitDivergence: Sendable {
    /// KL(reference || other) in nats, of each position.
    public private(set) var kld: [Double] = []
    /// Positions at which both find the same token most probable.
    public private(set) var sameTop = 0

    public init(reference: [Prediction], other: [Prediction]) {
        for (p, q) in zip(reference, other) {
            kld.append(Self.kld(p, q))
            if Sampler.argmax(p.logits) == Sampler.argmax(q.logits) { sameTop += 1 }
        }
    }

    /// Mean over positions.
    public var mean: Double { kld.reduce(0, +) / Double(max(1, kld.count)) }
    public var maximum: Double { kld.max() ?? 0 }
    public var last: Double { kld.last ?? 0 }
    public var sameTopShare: Double { Double(sameTop) / Double(max(1, kld.count)) }

    /// `Σ p (ln p - ln q)` in nats, all in Double: divergences of 1e-8 are differences of numbers near 10.
    private static func kld(_ p: Prediction, _ q: Prediction) -> Double {
        let (pLargest, qLargest) = (Double(p.logits.max()!), Double(q.logits.max()!))
        var (pSum, qSum, mean) = (0.0, 0.0, 0.0)
        for token in p.logits.indices {
            let (x, y) = (Double(p.logits[token]) - pLargest, Double(q.logits[token]) - qLargest)
            let weight = Double.exp(x)
            pSum += weight
            qSum += Double.exp(y)
            mean += weight * (x - y)
        }
        return mean / pSum - Double.log(pSum) + Double.log(qSum)
    }
}
