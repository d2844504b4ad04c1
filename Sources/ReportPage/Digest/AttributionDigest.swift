import LlamaModel
import Measuring
import Recording
import Tracing

/// Two logits after the first pass's last token as the sums of what each part of the network wrote: of the most probable token,
/// and of the one after it.
public struct AttributionDigest: Encodable, Sendable {
    /// One of the two tokens.
    struct Token: Encodable, Sendable {
        let tokenId: Int
        let piece: String
        let logit: Double?
        let probability: Double?
        let embedding: Double?
        /// By layer and head; `null` where a layer has fewer heads than another.
        let heads: [[Double?]]
        /// By layer: what attention, and what the feed-forward network or experts, add, biases included.
        let attention: [Double?]
        let feedForward: [Double?]
        /// The logit less all of that: activations rounded before the output matrix, its bias, Floats.
        let rest: Double?
    }

    let position: Int
    let tokens: [Token]

    /// `nil` without the model's file.
    ///
    /// - Throws: `ReplayProblem.memory` if evaluating the pass would take more than `memoryLimit` bytes; `AnalysisProblem` if
    ///   the network is no sum.
    init?(of run: RecordedRun, in store: TraceStore, model: ModelAtHand, threads: Int, memoryLimit: Int) throws {
        guard case .file(let file) = model, run.steps > 0 else { return nil }
        var replay = try Replay(run, in: store, model: try Llama(file: file))
        replay.memoryLimit = memoryLimit
        try LogitAttribution.analysis.check(replay.model)
        let provenance = try Provenance(lastTokenOf: replay, step: 0, threads: threads)
        position = provenance.firstPosition + provenance.tokens.count - 1
        let best = Prediction(logits: provenance.logits).top(2, replay.model.vocabulary)
        let most = replay.model.configuration.perLayer.map(\.heads).max() ?? 0
        tokens = try best.map { candidate in
            let found = try LogitAttribution(of: candidate.token, in: provenance)
            let heads = found.layers.map { layer -> [Double?] in
                let own = found.parts.filter { $0.kind == .head && $0.layer == layer.layer }
                return (0..<most).map { head in own.first { $0.head == head }?.value.digits(6) }
            }
            let embedding = found.parts[0].value
            let layers = found.layers.reduce(0) { $0 + $1.attention + $1.feedForward }
            return Token(
                tokenId: candidate.token, piece: candidate.piece, logit: candidate.logit.digits(6),
                probability: candidate.probability.digits(6), embedding: embedding.digits(6), heads: heads,
                attention: found.layers.map { $0.attention.digits(6) },
                feedForward: found.layers.map { $0.feedForward.digits(6) },
                rest: (Double(found.logit) - embedding - layers).digits(6))
        }
    }
}
