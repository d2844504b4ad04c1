import ComputeGraph
import LlamaModel
import Tensors

/// A model's logits for all of a text, kept so that many versions of it can be measured against them.
///
/// They take 4 bytes for each scored token and entry of the vocabulary. The residual stream between layers can be kept,
/// too: then of a version in which a few weights are others, only what comes after them is evaluated.
public struct BaseLogits {
    public let model: Llama
    public let text: ScoredText
    /// By chunk, the logits of its scored positions, a row each.
    let rows: [Tensor]
    /// Where an evaluation may begin, first ones first.
    private let cuts: [Cut]
    /// By chunk, the values that the cuts need.
    private let streams: [[Int: Tensor]]
    private let graph: Graph

    /// A version of the model, measured.
    public struct Measurement: Sendable {
        public let divergence: Divergence
        /// Tokens evaluated per second, a chunk at a time; without the time of scoring.
        public let tokensPerSecond: Double
    }

    /// Bytes of the residual stream that are worth keeping.
    public static let usualStreamBytes = 512 << 20

    /// - Parameters:
    ///   - streamBytes: of the residual stream that is kept, at most: after each layer, or after every other, and so on.
    ///   - progress: called often with the tokens evaluated, also in part; what it throws ends the work.
    /// - Throws: `LlamaError` if a token is not in the model's vocabulary.
    public init(
        _ logits: ChunkLogits, streamBytes: Int = 0,
        progress: @escaping (_ done: Double) throws -> Void = { _ in }
    ) throws {
        let text = logits.text
        (model, self.text, graph) = (logits.model, text, try logits.graph())
        cuts = graph.cuts(after: .layerOutput, bytes: streamBytes / text.chunks.count)
        let kept = Set(cuts.flatMap(\.values))
        let found = try text.chunks.indices.map { chunk in
            try logits.evaluate(chunk, keeping: kept) { try progress((Double(chunk) + $0) * Double(text.chunkSize)) }
        }
        (rows, streams) = (found.map(\.logits), found.map(\.kept))
    }

    /// Another version of the model on the same text.
    ///
    /// - Parameters:
    ///   - changed: the weights in which the versions differ, by name; `nil`: they may differ in all.
    ///   - progress: called often with the share of the work that is done; what it throws ends it.
    /// - Throws: `ScoringProblem` if a model gives anything but numbers.
    /// - Precondition: `other` is on the same text.
    public func measure(
        _ other: ChunkLogits, changed: Set<String>? = nil,
        progress: @escaping (_ share: Double) throws -> Void = { _ in }
    ) throws -> Measurement {
        precondition(text == other.text, "models on different texts")
        let (cut, count) = (changed.flatMap(cut), Double(text.chunks.count))
        var divergence = Divergence(on: text)
        var elapsed = Duration.zero
        for chunk in text.chunks.indices {
            let start = ContinuousClock.now
            let found = try other.evaluate(chunk, after: cut.map { ($0, streams[chunk]) }) {
                try progress((Double(chunk) + $0) / count)
            }.logits
            elapsed += start.duration(to: .now)
            try divergence.add(chunk, of: other, found, from: rows[chunk])
        }
        let tokens = Double(text.chunks.count * text.chunkSize)
        return Measurement(divergence: divergence, tokensPerSecond: tokens / (elapsed / .seconds(1)))
    }

    /// The model with other tensors in the place of some, on the same text.
    ///
    /// - Throws: `ScoringProblem` if a model gives anything but numbers.
    public func measure(
        replacing tensors: [String: Tensor], threads: Int, instructions: InstructionSet,
        progress: @escaping (_ share: Double) throws -> Void = { _ in }
    ) throws -> Measurement {
        try measure(
            ChunkLogits(model.replacing(tensors), on: text, threads: threads, instructions: instructions),
            changed: Set(tensors.keys), progress: progress)
    }

    /// The share of a pass's operations that a version takes in which these weights are others.
    public func work(changed: Set<String>) -> Double {
        1 - Double(cut(changed)?.start ?? 0) / Double(graph.nodes.count)
    }

    /// The last cut before anything that the weights change.
    private func cut(_ changed: Set<String>) -> Cut? {
        let first = graph.firstReader(of: changed) ?? graph.nodes.count
        return cuts.last { $0.start <= first }
    }
}
