import GGUF
import LlamaModel

extension TraceStore {
    /// How large the model of a run is; a trace has numbers that hold for all layers.
    public func sizes(of run: RecordedRun) throws -> ModelSizes {
        let found = try fetch("model", by: ["id"], "SELECT * FROM model WHERE id = ?", [run.modelID]) { row in
            let layer = ModelSizes.Layer(
                heads: try row.int("n_head", in: Self.counts), kvHeads: try row.int("n_head_kv", in: Self.counts),
                keySize: try row.int("head_dim", in: Self.counts), valueSize: try row.int("head_dim", in: Self.counts),
                feedForward: try row.int("n_ff", in: 0...Self.counts.upperBound))
            guard layer.kvHeads <= layer.heads else {
                throw row.damage("n_head_kv", expected: "no more than n_head, \(layer.heads)")
            }
            return ModelSizes(
                architecture: try row.text("architecture"),
                perLayer: Array(repeating: layer, count: try row.int("n_layer", in: 1...1 << 16)),
                embedding: try row.int("n_embd", in: Self.counts), vocabulary: try row.int("n_vocab", in: Self.counts),
                trainedContext: try row.int("n_ctx_train"))
        }
        guard let first = found.first else { throw TraceError.noRun(path: path) }
        return first
    }

    /// Heads, values of a head, tokens: what no model has more of.
    private static let counts = 1...1 << 30
}
