import Tensors

import LlamaModel
import Tensors

/// How far predictions are from reference predictions, position by position.
public struct LogitDivergence: Sendable, Codable {
    /// KL(reference || other) in nats, of each position.
    public private(set) var kld: [Double] = []
    /// Positions at which both find the same token most probable.
    public private(set) var sameTop = 0

    public init() {}

    /// Adds the next position's logits.
    mutating func add(reference: Span<Float>, other: Span<Float>) {
        let pair = DistributionPair(base: reference, other: other)
        kld.append(pair.divergence)
        if pair.isSameTop { sameTop += 1 }
    }

    /// Adds those of the next positions. [V,T]
    mutating func add(reference: Tensor, other: Tensor) {
        for row in 0..<reference.shape.ne1 {
            reference.withRow(of: Float.self, row) { reference in
                other.withRow(of: Float.self, row) { add(reference: reference, other: $0) }
            }
        }
    }

    /// Mean over positions.
    public var mean: Double { kld.reduce(0, +) / Double(max(1, kld.count)) }
    public var maximum: Double { kld.worst() ?? 0 }
    public var last: Double { kld.last ?? 0 }
    public var sameTopShare: Double { Double(sameTop) / Double(max(1, kld.count)) }
}
