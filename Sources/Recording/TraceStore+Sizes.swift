import GRDB
import GGUF
import LlamaModel

extension TraceStore {
    /// How large the model of a run is; a trace has numbers that hold for all layers.
    public func sizes(of run: RecordedRun) throws -> ModelSizes {
        let found = try fetch("SELECT * FROM model WHERE id = ?", [run.modelID]) { row in
            let layer = ModelSizes.Layer(
                heads: row["n_head"], kvHeads: row["n_head_kv"], keySize: row["head_dim"], valueSize: row["head_dim"],
                feedForward: row["n_ff"])
            return ModelSizes(
                architecture: row["architecture"], perLayer: Array(repeating: layer, count: row["n_layer"]),
                embedding: row["n_embd"], vocabulary: row["n_vocab"], trainedContext: row["n_ctx_train"])
        }
        guard let first = found.first else { throw TraceError.noRun(path: path) }
        return first
    }
}
