import Foundation
import GGUF
import GRDB
import LlamaModel

/// One execution.
struct RunRow: TraceRow {
    static let insertion = Insertion(
        into: "run",
        columns: [
            "id", "model_id", "created_at", "engine_version", "prompt", "seed", "threads", "kernels", "capture",
            "complete", "sampling", "uuid", "parent", "parent_path", "prompt_group", "metric",
        ])

    let id: Int
    let modelID: Int
    let createdAt: String
    let description: RunDescription

    func bind(to row: RowBinder) {
        row.bind(
            id, modelID, createdAt, description.engineVersion, description.prompt,
            Int64(bitPattern: description.sampling.seed), description.threads, description.kernels,
            description.capture.description, false, description.samplingJSON, UUID().uuidString.lowercased(),
            description.parent?.uuid, description.parent?.path, description.group, description.metric)
    }
}

/// A token of a run. `logprob` and `rank` (0 = most probable) are those the model gave it beforehand; `NULL` where no
/// logits were computed, as for the prompt.
struct TokenRow: TraceRow {
    static let insertion = Insertion(
        into: "token", columns: ["run_id", "position", "token_id", "piece", "source", "logprob", "rank"])

    let runID: Int
    let position: Int
    let token: Int
    let piece: String
    let source: String
    let logProbability: Double?
    let rank: Int?

    func bind(to row: RowBinder) { row.bind(runID, position, token, piece, source, logProbability, rank) }
}

/// One forward evaluation; `wall_ns` follows when it is done.
struct PassRow: TraceRow {
    static let insertion = Insertion(
        into: "pass",
        columns: ["id", "run_id", "step", "kind", "first_position", "n_tokens", "graph_id", "first_op_id"])

    let id: Int
    let runID: Int
    let step: Int
    let kind: Pass.Kind
    let firstPosition: Int
    let tokens: Int
    /// `nil` where operations are not recorded.
    let graphID: Int?
    let firstOperationID: Int?

    func bind(to row: RowBinder) {
        row.bind(id, runID, step, kind.rawValue, firstPosition, tokens, graphID, firstOperationID)
    }
}

/// The cache of one layer after a pass, and what it would take with a KV head for each query head, or with one.
struct KVCacheRow: TraceRow {
    static let insertion = Insertion(
        into: "kv_cache",
        columns: [
            "pass_id", "layer", "n_kv_heads", "head_dim", "n_positions", "dtype", "bytes", "mha_bytes", "mqa_bytes",
            "kind", "k_width", "v_width",
        ], batch: 10)

    let passID: Int
    let layer: Int
    let positions: Int
    let sizes: ModelSizes.Layer

    func bind(to row: RowBinder) {
        func bytes(_ heads: Int) -> Int { sizes.cacheBytes(heads: heads, positions: positions) }
        row.bind(
            passID, layer, sizes.kvHeads, sizes.keySize, positions, "f16", sizes.cacheBytes(positions: positions),
            bytes(sizes.heads), bytes(1), sizes.attentionKind.rawValue, sizes.keyWidth,
            sizes.latent == nil ? sizes.valueWidth : 0)
    }
}

/// What the model said about a token that is followed through the run.
struct TrackedRow: TraceRow {
    static let insertion = Insertion(
        into: "tracked",
        columns: ["run_id", "position", "token_id", "piece", "rank", "logit", "probability"])

    let runID: Int
    let tracked: TrackedToken

    func bind(to row: RowBinder) {
        let candidate = tracked.candidate
        row.bind(
            runID, tracked.position, candidate.token, candidate.piece, tracked.rank, candidate.logit,
            candidate.probability)
    }
}

/// A top candidate for the next token.
struct LogitRow: TraceRow {
    static let insertion = Insertion(
        into: "logit",
        columns: ["pass_id", "position", "lens_layer", "rank", "token_id", "piece", "logit", "probability"],
        batch: 20)

    let passID: Int
    let position: Int
    /// `nil`: the real output.
    var lensLayer: Int?
    let rank: Int
    let candidate: Candidate

    func bind(to row: RowBinder) {
        row.bind(
            passID, position, lensLayer, rank, candidate.token, candidate.piece, candidate.logit,
            candidate.probability)
    }
}
