import GRDB

/// How a recorded model's attention is divided.
public struct HeadCounts: Sendable {
    public let layers: Int
    /// Query heads of a layer.
    public let heads: Int
    /// KV heads of a layer.
    public let kvHeads: Int

    public init(layers: Int, heads: Int, kvHeads: Int) {
        self.layers = layers
        self.heads = heads
        self.kvHeads = kvHeads
    }

    /// Query heads that share a KV head.
    public var groupSize: Int { heads / kvHeads }
}

extension TraceStore {
    public func headCounts(of run: RecordedRun) throws -> HeadCounts {
        let counts = try fetch("SELECT n_layer, n_head, n_head_kv FROM model WHERE id = ?", [run.modelID]) { row in
            HeadCounts(layers: row["n_layer"], heads: row["n_head"], kvHeads: row["n_head_kv"])
        }
        guard let first = counts.first else { throw TraceError.noRun(path: path) }
        return first
    }
}
