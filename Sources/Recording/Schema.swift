/// The tables and views of a trace file.
///
/// `PRAGMA user_version` counts the migrations a file has seen; a change is one more element of the list, never an edit.
package enum Schema {
    package static let migrations = [
        version1, version2, version3, version4, version5, interventions, roles, experts, bytes, sweeps, groups, prompts,
    ]
    /// The version since which operations have roles.
    static let firstWithRoles = 7

    /// Everything a query needs is a plain column. Blobs are little-endian and row-major in ggml's order (`ne0` fastest).
    /// Computed numbers may be NULL: SQLite has no NaN, and a model with broken weights is a reason to look inside.
    private static let version1 = """
        CREATE TABLE model (
            id INTEGER PRIMARY KEY, path TEXT NOT NULL, sha256 TEXT, name TEXT, architecture TEXT NOT NULL, file_type TEXT,
            n_layer INTEGER NOT NULL, n_embd INTEGER NOT NULL, n_head INTEGER NOT NULL, n_head_kv INTEGER NOT NULL,
            head_dim INTEGER NOT NULL, n_ff INTEGER NOT NULL, n_vocab INTEGER NOT NULL, n_ctx_train INTEGER NOT NULL,
            n_params INTEGER NOT NULL, size_bytes INTEGER NOT NULL, bpw REAL NOT NULL, tied_embeddings INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE metadata (
            model_id INTEGER NOT NULL REFERENCES model(id), key TEXT NOT NULL, type TEXT NOT NULL, value TEXT NOT NULL,
            PRIMARY KEY (model_id, key)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE weight (
            id INTEGER PRIMARY KEY, model_id INTEGER NOT NULL REFERENCES model(id), name TEXT NOT NULL, layer INTEGER,
            role TEXT NOT NULL, type TEXT NOT NULL,
            ne0 INTEGER NOT NULL, ne1 INTEGER NOT NULL, ne2 INTEGER NOT NULL, ne3 INTEGER NOT NULL,
            file_offset INTEGER NOT NULL, n_bytes INTEGER NOT NULL, bpw REAL NOT NULL, part INTEGER NOT NULL,
            UNIQUE (model_id, name)
        ) STRICT;
        CREATE TABLE run (
            id INTEGER PRIMARY KEY, model_id INTEGER NOT NULL REFERENCES model(id), created_at TEXT NOT NULL,
            engine_version TEXT NOT NULL, prompt TEXT NOT NULL, seed INTEGER NOT NULL, threads INTEGER NOT NULL,
            kernels TEXT NOT NULL, capture TEXT NOT NULL, complete INTEGER NOT NULL CHECK (complete IN (0, 1)),
            wall_ns INTEGER, sampling TEXT NOT NULL
        ) STRICT;
        CREATE TABLE token (
            run_id INTEGER NOT NULL REFERENCES run(id), position INTEGER NOT NULL, token_id INTEGER NOT NULL,
            piece TEXT NOT NULL, source TEXT NOT NULL CHECK (source IN ('prompt', 'generated')), logprob REAL, rank INTEGER,
            PRIMARY KEY (run_id, position)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE pass (
            id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES run(id), step INTEGER NOT NULL,
            kind TEXT NOT NULL CHECK (kind IN ('prefill', 'decode')), first_position INTEGER NOT NULL,
            n_tokens INTEGER NOT NULL, wall_ns INTEGER, UNIQUE (run_id, step)
        ) STRICT;
        CREATE TABLE op (
            id INTEGER PRIMARY KEY, pass_id INTEGER NOT NULL REFERENCES pass(id), seq INTEGER NOT NULL, name TEXT NOT NULL,
            kind TEXT NOT NULL, layer INTEGER, type TEXT NOT NULL,
            ne0 INTEGER NOT NULL, ne1 INTEGER NOT NULL, ne2 INTEGER NOT NULL, ne3 INTEGER NOT NULL, params TEXT NOT NULL,
            ns INTEGER NOT NULL, flops INTEGER NOT NULL, bytes_read INTEGER NOT NULL, bytes_written INTEGER NOT NULL,
            n INTEGER NOT NULL, sum REAL, min REAL, max REAL, mean REAL, rms REAL, std REAL,
            zeros INTEGER NOT NULL, nan INTEGER NOT NULL, inf INTEGER NOT NULL, UNIQUE (pass_id, seq)
        ) STRICT;
        CREATE INDEX op_by_name ON op (name);
        CREATE TABLE op_input (
            op_id INTEGER NOT NULL REFERENCES op(id), slot INTEGER NOT NULL, source_op_id INTEGER REFERENCES op(id),
            weight_id INTEGER REFERENCES weight(id), leaf TEXT, name TEXT NOT NULL,
            ne0 INTEGER NOT NULL, ne1 INTEGER NOT NULL, ne2 INTEGER NOT NULL, ne3 INTEGER NOT NULL,
            PRIMARY KEY (op_id, slot),
            CHECK ((source_op_id IS NOT NULL) + (weight_id IS NOT NULL) + (leaf IS NOT NULL) = 1)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX op_input_by_source ON op_input (source_op_id);
        CREATE TABLE tensor (
            op_id INTEGER NOT NULL REFERENCES op(id), chunk INTEGER NOT NULL, first_element INTEGER NOT NULL,
            n_elements INTEGER NOT NULL, run_length INTEGER, run_stride INTEGER,
            dtype TEXT NOT NULL CHECK (dtype IN ('f32', 'f16', 'i32')), data BLOB NOT NULL, PRIMARY KEY (op_id, chunk)
        ) STRICT;
        CREATE TABLE gqa_map (
            model_id INTEGER NOT NULL REFERENCES model(id), layer INTEGER NOT NULL, head INTEGER NOT NULL,
            kv_head INTEGER NOT NULL, group_index INTEGER NOT NULL, PRIMARY KEY (model_id, layer, head)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE attention_head (
            op_id INTEGER NOT NULL REFERENCES op(id), layer INTEGER NOT NULL, head INTEGER NOT NULL,
            kv_head INTEGER NOT NULL, position INTEGER NOT NULL, entropy_bits REAL, top_position INTEGER NOT NULL,
            top_weight REAL, sink_weight REAL, PRIMARY KEY (op_id, head, position)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE kv_cache (
            pass_id INTEGER NOT NULL REFERENCES pass(id), layer INTEGER NOT NULL, n_kv_heads INTEGER NOT NULL,
            head_dim INTEGER NOT NULL, n_positions INTEGER NOT NULL, dtype TEXT NOT NULL, bytes INTEGER NOT NULL,
            mha_bytes INTEGER NOT NULL, mqa_bytes INTEGER NOT NULL, PRIMARY KEY (pass_id, layer)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE logit (
            pass_id INTEGER NOT NULL REFERENCES pass(id), position INTEGER NOT NULL, lens_layer INTEGER,
            rank INTEGER NOT NULL, token_id INTEGER NOT NULL, piece TEXT NOT NULL, logit REAL, probability REAL
        ) STRICT;
        CREATE INDEX logit_by_pass ON logit (pass_id, position);

        CREATE VIEW v_op AS
            SELECT op.id, pass.run_id, pass.step, op.seq, op.name, op.kind, op.layer,
                op.type || ' ' || op.ne0 || 'x' || op.ne1 || 'x' || op.ne2 || 'x' || op.ne3 AS shape,
                (SELECT group_concat(name, ', ') FROM (SELECT name FROM op_input WHERE op_id = op.id ORDER BY slot)) AS inputs,
                op.params, op.ns, op.flops, op.bytes_read, op.bytes_written, op.rms, op.min, op.max, op.nan, op.inf
            FROM op JOIN pass ON pass.id = op.pass_id;
        CREATE VIEW v_layer AS
            SELECT pass.run_id, pass.step, op.layer, count(*) AS n_ops, sum(op.ns) AS ns, sum(op.flops) AS flops,
                sum(op.bytes_read) AS bytes_read, sum(op.bytes_written) AS bytes_written,
                max(CASE WHEN op.name = 'l_out-' || op.layer THEN op.rms END) AS rms_out,
                max(CASE WHEN op.name = 'ffn_inp-' || op.layer THEN op.rms END) AS rms_mid,
                (SELECT before.rms FROM op AS before WHERE before.pass_id = op.pass_id
                    AND before.name = CASE op.layer WHEN 0 THEN 'embd' ELSE 'l_out-' || (op.layer - 1) END) AS rms_in
            FROM op JOIN pass ON pass.id = op.pass_id WHERE op.layer IS NOT NULL
            GROUP BY op.pass_id, op.layer;
        CREATE VIEW v_attention_group AS
            SELECT pass.run_id, pass.step, a.layer, a.kv_head, count(DISTINCT a.head) AS n_query_heads, a.position,
                avg(a.entropy_bits) AS entropy_bits, max(a.top_weight) AS top_weight, avg(a.sink_weight) AS sink_weight
            FROM attention_head AS a JOIN op ON op.id = a.op_id JOIN pass ON pass.id = op.pass_id
            GROUP BY op.pass_id, a.layer, a.kv_head, a.position;
        CREATE VIEW v_roofline AS
            SELECT pass.run_id, pass.step, op.kind, count(*) AS n_ops, sum(op.ns) AS ns, sum(op.flops) AS flops,
                sum(op.bytes_read + op.bytes_written) AS bytes,
                sum(op.flops) * 1.0 / max(1, sum(op.bytes_read + op.bytes_written)) AS flops_per_byte,
                sum(op.bytes_read + op.bytes_written) * 1.0 / max(1, sum(op.ns)) AS gb_per_s,
                sum(op.flops) * 1.0 / max(1, sum(op.ns)) AS gflop_per_s
            FROM op JOIN pass ON pass.id = op.pass_id GROUP BY op.pass_id, op.kind;
        """

    /// Errors of weights. A row's unique key conflicts are replaced: measuring again gives the same numbers.
    private static let version2 = """
        CREATE TABLE quant_error (
            weight_id INTEGER NOT NULL REFERENCES weight(id), type TEXT NOT NULL, reference TEXT NOT NULL,
            n INTEGER NOT NULL, mse REAL NOT NULL, rmse REAL NOT NULL, max_abs REAL NOT NULL, mean_abs REAL NOT NULL,
            p95_abs REAL, rel_rmse REAL NOT NULL, sqnr_db REAL, cosine REAL, ref_mean_square REAL NOT NULL,
            PRIMARY KEY (weight_id, type, reference) ON CONFLICT REPLACE
        ) STRICT, WITHOUT ROWID;
        CREATE VIEW v_quant_error_by_layer AS
            SELECT weight.model_id, e.reference, e.type, weight.layer, sum(e.n) AS n,
                sqrt(sum(e.mse * e.n) / sum(e.n)) AS rmse,
                sqrt(sum(e.mse * e.n) / sum(e.ref_mean_square * e.n)) AS rel_rmse,
                CASE WHEN sum(e.mse) > 0
                    THEN 10 * log10(sum(e.ref_mean_square * e.n) / sum(e.mse * e.n)) END AS sqnr_db,
                max(e.max_abs) AS max_abs
            FROM quant_error AS e JOIN weight ON weight.id = e.weight_id WHERE weight.layer IS NOT NULL
            GROUP BY weight.model_id, e.reference, e.type, weight.layer;
        """

    /// Single blocks: `sub_scales` and `sub_mins` are F32, `codes` I32, four bytes each.
    private static let version3 = """
        CREATE TABLE quant_block (
            weight_id INTEGER NOT NULL REFERENCES weight(id), row INTEGER NOT NULL, block INTEGER NOT NULL,
            file_offset INTEGER NOT NULL, scale REAL, min REAL, sub_scales BLOB NOT NULL, sub_mins BLOB NOT NULL,
            codes BLOB NOT NULL, mse REAL, max_abs REAL, zero_exact INTEGER NOT NULL CHECK (zero_exact IN (0, 1)),
            saturated INTEGER NOT NULL, codes_used INTEGER NOT NULL,
            PRIMARY KEY (weight_id, row, block) ON CONFLICT REPLACE
        ) STRICT, WITHOUT ROWID;
        """

    /// Errors of operations, which `v_layer` shows where they were measured. Measuring again replaces a row.
    private static let version5 = """
        CREATE TABLE op_error (
            op_id INTEGER NOT NULL REFERENCES op_stat(id), mode TEXT NOT NULL CHECK (mode IN ('local', 'accumulated')),
            cause TEXT NOT NULL CHECK (cause IN ('weights', 'activations', 'both')), reference TEXT NOT NULL,
            n INTEGER NOT NULL, mse REAL, rmse REAL, max_abs REAL, sqnr_db REAL, cosine REAL,
            PRIMARY KEY (op_id, mode, cause) ON CONFLICT REPLACE
        ) STRICT, WITHOUT ROWID;
        DROP VIEW v_layer;
        CREATE VIEW v_layer AS
            SELECT pass.run_id, pass.step, op.layer, count(*) AS n_ops, sum(op.ns) AS ns, sum(op.flops) AS flops,
                sum(op.bytes_read) AS bytes_read, sum(op.bytes_written) AS bytes_written,
                max(CASE WHEN op.name = 'l_out-' || op.layer THEN op.rms END) AS rms_out,
                max(CASE WHEN op.name = 'ffn_inp-' || op.layer THEN op.rms END) AS rms_mid,
                (SELECT before.rms FROM op AS before WHERE before.pass_id = op.pass_id
                    AND before.name = CASE op.layer WHEN 0 THEN 'embd' ELSE 'l_out-' || (op.layer - 1) END) AS rms_in,
                max(CASE WHEN op.name = 'l_out-' || op.layer THEN e.sqnr_db END) AS sqnr_db_out,
                max(CASE WHEN op.name = 'l_out-' || op.layer THEN e.rmse END) AS rmse_out
            FROM op JOIN pass ON pass.id = op.pass_id
                LEFT JOIN op_error AS e ON e.op_id = op.id AND e.mode = 'accumulated' AND e.cause = 'both'
            WHERE op.layer IS NOT NULL GROUP BY op.pass_id, op.layer;
        """

    /// What was changed in a run, in the order it was given, and the run it was changed against.
    ///
    /// `patch_value` holds what a patch wrote, F32 and four bytes each, so that the run can be made again without the
    /// trace the values came from.
    private static let interventions = """
        ALTER TABLE run ADD COLUMN uuid TEXT;
        ALTER TABLE run ADD COLUMN parent TEXT;
        ALTER TABLE run ADD COLUMN parent_path TEXT;
        CREATE TABLE intervention (
            id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES run(id),
            kind TEXT NOT NULL CHECK (kind IN ('set', 'scale', 'patch', 'weight')),
            target TEXT NOT NULL, spec TEXT NOT NULL
        ) STRICT;
        CREATE TABLE patch_value (
            intervention_id INTEGER NOT NULL REFERENCES intervention(id), step INTEGER NOT NULL,
            ne0 INTEGER NOT NULL, ne1 INTEGER NOT NULL, ne2 INTEGER NOT NULL, ne3 INTEGER NOT NULL,
            n_elements INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (intervention_id, step)
        ) STRICT;
        """
}
