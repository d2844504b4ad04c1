import ComputeGraph
import Tensors

/// What one part of the model does to the prediction.
public struct PartShare: Sendable {
    public let part: ModelPart
    /// Mean KL divergence in nats if nothing else is quantised.
    public let kld: Double
    /// Of the sum over all parts.
    public let share: Double

    /// - Parameter divergences: of all parts.
    public static func shares(_ divergences: [(part: ModelPart, kld: Double)]) -> [PartShare] {
        let sum = divergences.reduce(0) { $0 + $1.kld }
        return divergences.map { PartShare(part: $0.part, kld: $0.kld, share: sum > 0 ? $0.kld / sum : 0) }
    }
}

/// Passes in which one part of a model is quantised and nothing else, held against the reference.
///
/// What comes before the part is as in the reference, and is not evaluated again.
public struct PartPasses {
    private let builder: RunBuilder
    /// The logits are made anew for each run that is held against them.
    private let reference: OutputParts
    private let cuts: [Cut]
    private let stream: [Int: Tensor]

    /// Bytes of the reference's residual stream that are kept, at most.
    public static let usualStreamBytes = 256 << 20

    init(_ builder: RunBuilder, streamBytes: Int) throws {
        self.builder = builder
        var run = builder.interpreter(.reference)
        cuts = run.graph.cuts(after: .layerOutput, bytes: streamBytes)
        let kept = Set(cuts.flatMap(\.values))
        var stream: [Int: Tensor] = [:]
        while OutputParts(run) == nil {
            // Large scores are evaluated in parts, as in every run.
            try run.run(until: run.scoresInParts?.nodes.upperBound ?? run.position + 1)
            if kept.contains(run.position - 1) { stream[run.position - 1] = run.value(of: .node(run.position - 1)) }
        }
        (self.stream, reference) = (stream, OutputParts(run)!)
    }

    /// Mean divergence if just this part is quantised, weights and activations.
    public func kld(of part: ModelPart) throws -> Double {
        var run = builder.interpreter(Recipe(weights: [part], activations: [part]))
        let first = run.graph.nodes.first { RunBuilder.part(of: $0) == part }?.index ?? 0
        if let cut = cuts.last(where: { $0.start <= first }) { run.begin(after: cut, values: stream) }
        try run.run(until: reference.chain.nodes.lowerBound)
        let output = OutputParts(run)!
        var divergence = LogitDivergence()
        for part in reference.chain.parts {
            divergence.add(reference: reference.evaluate(part), other: output.evaluate(part))
        }
        return divergence.mean
    }
}
