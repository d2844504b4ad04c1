import Recording
import TestSupport
import Testing

/// The tables that commands, lessons, notebooks and users' own queries rely on.
@Suite struct SchemaTests {
    private static let shape = ["ne0", "ne1", "ne2", "ne3"]

    static let columns: [String: [String]] = [
        "model": [
            "id", "path", "sha256", "name", "architecture", "file_type", "n_layer", "n_embd", "n_head", "n_head_kv",
            "head_dim", "n_ff", "n_vocab", "n_ctx_train", "n_params", "size_bytes", "bpw", "tied_embeddings",
        ],
        "metadata": ["model_id", "key", "type", "value"],
        "weight": ["id", "model_id", "name", "layer", "role", "type"] + shape + [
            "file_offset", "n_bytes", "bpw", "part",
        ],
        "run": [
            "id", "model_id", "created_at", "engine_version", "prompt", "seed", "threads", "kernels", "capture",
            "complete", "wall_ns", "sampling", "uuid", "parent", "parent_path", "prompt_group", "metric",
            "metric_value",
        ],
        "intervention": ["id", "run_id", "kind", "target", "spec"],
        "patch_value": ["intervention_id", "step"] + shape + ["n_elements", "data"],
        "tracked": ["run_id", "position", "token_id", "piece", "rank", "logit", "probability"],
        "token": ["run_id", "position", "token_id", "piece", "source", "logprob", "rank"],
        "pass": ["id", "run_id", "step", "kind", "first_position", "n_tokens", "wall_ns", "graph_id", "first_op_id"],
        "op": ["id", "pass_id", "seq", "name", "kind", "role", "layer", "type"] + shape + [
            "params", "ns", "flops", "bytes_read", "bytes_written", "n", "sum", "min", "max", "mean", "rms", "std",
            "zeros", "nan", "inf",
        ],
        "op_input": ["op_id", "slot", "source_op_id", "weight_id", "leaf", "name"] + shape,
        "tensor": [
            "op_id", "chunk", "first_element", "n_elements", "run_length", "run_stride", "dtype", "data",
        ],
        "gqa_map": ["model_id", "layer", "head", "kv_head", "group_index"],
        "attention_head": [
            "op_id", "layer", "head", "kv_head", "position", "entropy_bits", "top_position", "top_weight",
            "sink_weight",
        ],
        "kv_cache": [
            "pass_id", "layer", "n_kv_heads", "head_dim", "n_positions", "dtype", "bytes", "mha_bytes", "mqa_bytes",
            "kind", "k_width", "v_width",
        ],
        "router": ["pass_id", "layer", "position", "n_experts", "n_used", "entropy_bits"],
        "expert_choice": [
            "pass_id", "layer", "position", "slot", "expert", "logit", "probability", "score", "weight", "margin",
        ],
        "quant_error": [
            "weight_id", "type", "reference", "n", "mse", "rmse", "max_abs", "mean_abs", "p95_abs", "rel_rmse",
            "sqnr_db", "cosine", "ref_mean_square",
        ],
        "quant_block": [
            "weight_id", "row", "block", "file_offset", "scale", "min", "sub_scales", "sub_mins", "codes", "mse",
            "max_abs", "zero_exact", "saturated", "codes_used",
        ],
        "op_error": [
            "op_id", "mode", "cause", "reference", "n", "mse", "rmse", "max_abs", "sqnr_db", "cosine",
        ],
        "sweep": [
            "run_id", "unit", "change", "source", "metric", "positions", "receiver", "layer", "item", "name", "base",
            "other", "value",
        ],
        "logit": ["pass_id", "position", "lens_layer", "rank", "token_id", "piece", "logit", "probability"],
    ]

    /// What `op` and `op_input` are made of.
    static let parts: [String: [String]] = [
        "graph": ["id", "n_ops"],
        "graph_op": ["graph_id", "seq", "name", "kind", "layer", "type"] + shape + [
            "params", "flops", "bytes_read", "bytes_written", "flops_each", "bytes_read_each", "bytes_written_each",
            "role",
        ],
        "graph_input": ["graph_id", "seq", "slot", "source_seq", "weight_id", "leaf", "name"] + shape,
        "op_stat": [
            "id", "pass_id", "ns", "n", "sum", "min", "max", "rms", "std", "zeros", "nan", "inf", "bytes_read",
        ],
    ]

    @Test func tablesAndColumnsAreTheContracts() throws {
        let folder = try TemporaryFolder()
        try TraceStore.create(path: folder.path("empty.db")).close()
        let store = try TraceStore.open(path: folder.path("empty.db"))
        let tables = try store.texts("SELECT name FROM sqlite_schema WHERE type = 'table'").compactMap(\.self)
        let views = try store.texts("SELECT name FROM sqlite_schema WHERE type = 'view'").compactMap(\.self)
        let forPeople = [
            "v_attention_group", "v_expert_load", "v_expert_neighbours", "v_layer", "v_op", "v_quant_error_by_layer",
            "v_roofline", "v_router",
        ]
        #expect(Set(views) == Set(["op", "op_input"] + forPeople))
        #expect(Set(tables + ["op", "op_input"]) == Set(Self.columns.keys).union(Self.parts.keys))
        for (table, columns) in Self.columns.merging(Self.parts, uniquingKeysWith: +) {
            let found = try store.texts("SELECT name FROM pragma_table_info('\(table)')").compactMap(\.self)
            #expect(found.sorted() == columns.sorted(), "\(table)")
        }
        #expect(
            try store.integers(
                "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite%'"
            ) == [0])
        #expect(try store.integers("PRAGMA user_version") == [12])
        #expect(try store.integers("PRAGMA page_size") == [16384])
    }

    /// Bytes of captured values are known without reading them.
    @Test func bytesAreThoseOfTheValues() async throws {
        let store = try await Recorded(.gqa, generate: 2, Capture(.all)).store
        let sums = try store.rows("SELECT sum(n_bytes), sum(length(data)), count(DISTINCT dtype) FROM tensor")
        #expect(sums[0][0] == sums[0][1] && sums[0][2].integer == 2)
        #expect(try store.integers("SELECT count(*) FROM tensor WHERE n_bytes != length(data)") == [0])
    }

    @Test(arguments: [TinyModel.gqa, .biases])
    func everyReferenceResolves(model: TinyModel) async throws {
        let store = try await Recorded(model, Capture(.all)).store
        #expect(try store.rows("PRAGMA foreign_key_check").isEmpty)
        #expect(try store.texts("PRAGMA integrity_check") == ["ok"])
        // Foreign keys are declared, so that the check above checks something.
        #expect(try store.integers("SELECT count(*) FROM pragma_foreign_key_list('graph_input')") == [2])
        for table in ["tensor", "attention_head"] {
            #expect(try store.texts("SELECT \"table\" FROM pragma_foreign_key_list('\(table)')") == ["op_stat"])
        }
    }

    @Test func viewsForPeopleAddUp() async throws {
        let recorded = try await Recorded(generate: 4, Capture(.stats))
        let (store, layers) = (recorded.store, recorded.model.configuration.layers)
        #expect(try store.integers("SELECT count(*) FROM v_layer") == [layers * recorded.passes.count])
        #expect(try store.integers("SELECT sum(n_ops) FROM v_layer") == store.integers("SELECT count(layer) FROM op"))
        #expect(try store.integers("SELECT sum(flops) FROM v_roofline") == store.integers("SELECT sum(flops) FROM op"))
        #expect(
            try store.rows("SELECT rms_in, rms_out FROM v_layer WHERE step = 0 AND layer = 1")
                == store.rows(
                    "SELECT a.rms, b.rms FROM op a, op b WHERE a.pass_id = 1 AND b.pass_id = 1 AND a.name = 'l_out-0' AND b.name = 'l_out-1'"
                ))
        #expect(
            try store.texts("SELECT inputs FROM v_op WHERE step = 0 AND name = 'attn_norm-0'") == [
                "norm-0, blk.0.attn_norm.weight"
            ])
        #expect(try store.integers("SELECT n_query_heads FROM v_attention_group LIMIT 1") == [2])
    }
}
