extension Schema {
    /// What a node of the graph is apart from what its evaluation gave: all passes over one token share it, so that a
    /// pass writes only what is new. `op` and `op_input` become views that put both together.
    ///
    /// Where a pass attends to one position more than the one before, numbers grow evenly: `ne` is NULL where it is the
    /// number of positions N, and costs have a part for each.
    static let version4 = """
        CREATE TABLE graph (id INTEGER PRIMARY KEY, n_ops INTEGER NOT NULL) STRICT;
        CREATE TABLE graph_op (
            graph_id INTEGER NOT NULL REFERENCES graph(id), seq INTEGER NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
            layer INTEGER, type TEXT NOT NULL, ne0 INTEGER, ne1 INTEGER, ne2 INTEGER, ne3 INTEGER, params TEXT NOT NULL,
            flops INTEGER NOT NULL, bytes_read INTEGER NOT NULL, bytes_written INTEGER NOT NULL,
            flops_each INTEGER NOT NULL, bytes_read_each INTEGER NOT NULL, bytes_written_each INTEGER NOT NULL,
            PRIMARY KEY (graph_id, seq)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX graph_op_by_name ON graph_op (name);
        CREATE TABLE graph_input (
            graph_id INTEGER NOT NULL REFERENCES graph(id), seq INTEGER NOT NULL, slot INTEGER NOT NULL,
            source_seq INTEGER, weight_id INTEGER REFERENCES weight(id), leaf TEXT, name TEXT NOT NULL,
            ne0 INTEGER, ne1 INTEGER, ne2 INTEGER, ne3 INTEGER, PRIMARY KEY (graph_id, seq, slot),
            CHECK ((source_seq IS NOT NULL) + (weight_id IS NOT NULL) + (leaf IS NOT NULL) = 1)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX graph_input_by_source ON graph_input (graph_id, source_seq);
        ALTER TABLE pass ADD COLUMN graph_id INTEGER REFERENCES graph(id);
        ALTER TABLE pass ADD COLUMN first_op_id INTEGER;
        CREATE INDEX pass_by_graph ON pass (graph_id);

        -- An earlier version's passes: a graph each.
        INSERT INTO graph SELECT pass_id, count(*) FROM op GROUP BY pass_id;
        UPDATE pass SET graph_id = id, first_op_id = (SELECT min(id - seq) FROM op WHERE pass_id = pass.id)
            WHERE id IN (SELECT id FROM graph);
        INSERT INTO graph_op SELECT pass_id, seq, name, kind, layer, type, ne0, ne1, ne2, ne3, params, flops, bytes_read,
            bytes_written, 0, 0, 0 FROM op;
        INSERT INTO graph_input SELECT pass_id, seq, slot, source_op_id - (op.id - seq), weight_id, leaf, i.name, i.ne0,
            i.ne1, i.ne2, i.ne3 FROM op_input AS i JOIN op ON op.id = op_id;

        DROP VIEW v_op;
        DROP VIEW v_layer;
        DROP VIEW v_attention_group;
        DROP VIEW v_roofline;
        DROP TABLE op_input;
        -- What refers to op(id) refers to op_stat(id) from here on.
        ALTER TABLE op RENAME TO op_stat;
        CREATE TABLE new_op_stat (
            id INTEGER PRIMARY KEY, pass_id INTEGER NOT NULL REFERENCES pass(id), ns INTEGER NOT NULL, n INTEGER NOT NULL,
            sum REAL, min REAL, max REAL, rms REAL, std REAL, zeros INTEGER NOT NULL, nan INTEGER NOT NULL,
            inf INTEGER NOT NULL
        ) STRICT;
        INSERT INTO new_op_stat SELECT id, pass_id, ns, n, sum, min, max, rms, std, zeros, nan, inf FROM op_stat;
        DROP TABLE op_stat;
        ALTER TABLE new_op_stat RENAME TO op_stat;

        CREATE VIEW op AS
            SELECT s.id, pass.id AS pass_id, g.seq, g.name, g.kind, g.layer, g.type,
                coalesce(g.ne0, pass.first_position + pass.n_tokens) AS ne0,
                coalesce(g.ne1, pass.first_position + pass.n_tokens) AS ne1,
                coalesce(g.ne2, pass.first_position + pass.n_tokens) AS ne2,
                coalesce(g.ne3, pass.first_position + pass.n_tokens) AS ne3, g.params, s.ns,
                g.flops + g.flops_each * (pass.first_position + pass.n_tokens) AS flops,
                g.bytes_read + g.bytes_read_each * (pass.first_position + pass.n_tokens) AS bytes_read,
                g.bytes_written + g.bytes_written_each * (pass.first_position + pass.n_tokens) AS bytes_written,
                s.n, s.sum, s.min, s.max, s.sum / (s.n - s.nan - s.inf) AS mean, s.rms, s.std, s.zeros, s.nan, s.inf
            FROM pass JOIN graph_op AS g ON g.graph_id = pass.graph_id
                JOIN op_stat AS s ON s.id = pass.first_op_id + g.seq AND g.seq = s.id - pass.first_op_id
                    AND s.pass_id = pass.id;
        CREATE VIEW op_input AS
            SELECT s.id AS op_id, e.slot, source.id AS source_op_id, e.weight_id, e.leaf, e.name,
                coalesce(e.ne0, pass.first_position + pass.n_tokens) AS ne0,
                coalesce(e.ne1, pass.first_position + pass.n_tokens) AS ne1,
                coalesce(e.ne2, pass.first_position + pass.n_tokens) AS ne2,
                coalesce(e.ne3, pass.first_position + pass.n_tokens) AS ne3
            FROM pass JOIN graph_input AS e ON e.graph_id = pass.graph_id
                JOIN op_stat AS s ON s.id = pass.first_op_id + e.seq AND e.seq = s.id - pass.first_op_id
                    AND s.pass_id = pass.id
                LEFT JOIN op_stat AS source ON source.id = pass.first_op_id + e.source_seq
                    AND e.source_seq = source.id - pass.first_op_id AND source.pass_id = pass.id;
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
}
