extension Schema {
    /// What each node is in the network (`NodeRole`), for whoever asks a trace of any architecture. Of earlier traces the
    /// role follows from llama's names.
    static let roles = """
        ALTER TABLE graph_op ADD COLUMN role TEXT;
        \(fillingRoles(of: "graph_op"))
        CREATE INDEX graph_op_by_role ON graph_op (graph_id, role);
        DROP VIEW op;
        CREATE VIEW op AS
            SELECT s.id, pass.id AS pass_id, g.seq, g.name, g.kind, g.role, g.layer, g.type,
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
        DROP VIEW v_op;
        CREATE VIEW v_op AS
            SELECT op.id, pass.run_id, pass.step, op.seq, op.name, op.kind, op.role, op.layer,
                op.type || ' ' || op.ne0 || 'x' || op.ne1 || 'x' || op.ne2 || 'x' || op.ne3 AS shape,
                (SELECT group_concat(name, ', ') FROM (SELECT name FROM op_input WHERE op_id = op.id ORDER BY slot)) AS inputs,
                op.params, op.ns, op.flops, op.bytes_read, op.bytes_written, op.rms, op.min, op.max, op.nan, op.inf
            FROM op JOIN pass ON pass.id = op.pass_id;
        DROP VIEW v_layer;
        CREATE VIEW v_layer AS
            SELECT pass.run_id, pass.step, op.layer, count(*) AS n_ops, sum(op.ns) AS ns, sum(op.flops) AS flops,
                sum(op.bytes_read) AS bytes_read, sum(op.bytes_written) AS bytes_written,
                max(CASE WHEN op.role = 'layer_output' THEN op.rms END) AS rms_out,
                max(CASE WHEN op.role = 'attention_residual' THEN op.rms END) AS rms_mid,
                (SELECT before.rms FROM op AS before WHERE before.pass_id = op.pass_id
                    AND before.role = CASE op.layer WHEN 0 THEN 'embedding' ELSE 'layer_output' END
                    AND coalesce(before.layer, -1) = op.layer - 1) AS rms_in,
                max(CASE WHEN op.role = 'layer_output' THEN e.sqnr_db END) AS sqnr_db_out,
                max(CASE WHEN op.role = 'layer_output' THEN e.rmse END) AS rmse_out
            FROM op JOIN pass ON pass.id = op.pass_id
                LEFT JOIN op_error AS e ON e.op_id = op.id AND e.mode = 'accumulated' AND e.cause = 'both'
            WHERE op.layer IS NOT NULL GROUP BY op.pass_id, op.layer;
        """

    /// Gives a trace of an earlier version, opened to be read only, `op` and `v_op` with roles in this connection alone.
    ///
    /// - Parameter version: the file's. Versions 1 to 3 have `op` as a table, later ones `graph_op`.
    static func rolesBeside(version: Int) -> String {
        let source =
            version < 4
            ? "SELECT pass_id AS graph_id, seq, name, kind, layer FROM main.op"
            : "SELECT graph_id, seq, name, kind, layer FROM main.graph_op"
        let graph = version < 4 ? "op.pass_id" : "(SELECT graph_id FROM main.pass WHERE id = op.pass_id)"
        return """
            CREATE TEMP TABLE role_of_op (
                graph_id INTEGER, seq INTEGER, name TEXT, kind TEXT, layer INTEGER, role TEXT,
                PRIMARY KEY (graph_id, seq)
            ) WITHOUT ROWID;
            INSERT INTO role_of_op SELECT *, NULL FROM (\(source));
            \(fillingRoles(of: "role_of_op"))
            CREATE TEMP VIEW op AS
                SELECT op.*, r.role FROM main.op JOIN role_of_op AS r ON r.graph_id = \(graph) AND r.seq = op.seq;
            CREATE TEMP VIEW v_op AS SELECT v.*, op.role FROM main.v_op AS v JOIN op ON op.id = v.id;
            """
    }

    /// Fills the column `role` from the names that llama's graph gave its nodes before version 7. A frozen list: no later
    /// node is known by its name.
    private static func fillingRoles(of table: String) -> String {
        """
        CREATE TEMP TABLE role_of_name (name TEXT, kind TEXT, role TEXT, PRIMARY KEY (name, kind));
        INSERT INTO role_of_name VALUES
            ('embd', 'GET_ROWS', 'embedding'),
            ('attn_norm', 'MUL', 'attention_norm'),
            ('wqkv', 'MUL_MAT', 'query_key_value'), ('wqkv_b', 'ADD', 'query_key_value'),
            ('Qcur', 'MUL_MAT', 'query.product'), ('Qcur', 'ADD', 'query.biased'), ('Qcur', 'RESHAPE', 'query.heads'),
            ('Qcur', 'VIEW', 'query.heads'), ('Qcur', 'ROPE', 'query'), ('Qcur (view)', 'VIEW', 'query.view'),
            ('Qcur (view) (permuted)', 'PERMUTE', 'query.view'),
            ('Kcur', 'MUL_MAT', 'key.product'), ('Kcur', 'ADD', 'key.biased'), ('Kcur', 'RESHAPE', 'key.heads'),
            ('Kcur', 'VIEW', 'key.heads'), ('Kcur', 'ROPE', 'key'), ('Kcur (view)', 'VIEW', 'key.view'),
            ('Vcur', 'MUL_MAT', 'value.product'), ('Vcur', 'ADD', 'value.biased'), ('Vcur', 'RESHAPE', 'value'),
            ('Vcur', 'VIEW', 'value'), ('Vcur (reshaped)', 'RESHAPE', 'value.view'), ('Vcur (cont)', 'CONT', 'value.view'),
            ('Vcur (reshaped) (reshaped)', 'RESHAPE', 'value.view'), ('Vcur (cont) (reshaped)', 'RESHAPE', 'value.view'),
            ('cache_k (view)', 'SET_ROWS', 'key_cache'), ('cache_k (view)', 'VIEW', 'key_cache.view'),
            ('cache_k (view) (permuted)', 'PERMUTE', 'key_cache.view'),
            ('cache_v (reshaped)', 'RESHAPE', 'value_cache.view'), ('cache_v (reshaped) (view)', 'SET_ROWS', 'value_cache'),
            ('cache_v (view)', 'VIEW', 'value_cache.view'), ('cache_v (view) (permuted)', 'PERMUTE', 'value_cache.view'),
            ('kq', 'MUL_MAT', 'scores'), ('kq_soft_max', 'SOFT_MAX', 'pattern'), ('kqv', 'MUL_MAT', 'mix.heads'),
            ('kqv (permuted)', 'PERMUTE', 'mix.view'), ('kqv_out', 'CONT', 'mix'),
            ('attn_out', 'MUL_MAT', 'attention_write'), ('attn_out', 'ADD', 'attention_write'),
            ('node', 'MUL_MAT', 'attention_write.product'), ('node', 'GET_ROWS', 'attention_write.rows'),
            ('ffn_inp', 'ADD', 'attention_residual'), ('ffn_norm', 'MUL', 'feed_forward_norm'),
            ('ffn_gate', 'MUL_MAT', 'gate'), ('ffn_gate_b', 'ADD', 'gate'),
            ('ffn_up', 'MUL_MAT', 'up'), ('ffn_up_b', 'ADD', 'up'), ('ffn_swiglu', 'SWIGLU', 'activation'),
            ('ffn_out', 'MUL_MAT', 'feed_forward_write'), ('ffn_out', 'ADD', 'feed_forward_write'),
            ('ffn_down', 'MUL_MAT', 'feed_forward_write.product'), ('l_out', 'ADD', 'layer_output'),
            ('result_norm', 'MUL', 'final_norm'), ('result_output', 'MUL_MAT', 'logits');
        UPDATE \(table) SET role = (
            SELECT role FROM role_of_name AS known WHERE known.kind = \(table).kind AND known.name =
                CASE WHEN \(table).layer IS NULL THEN \(table).name WHEN \(table).name GLOB 'node_[0-9]*' THEN 'node'
                    WHEN \(table).name LIKE 'cache%' THEN replace(\(table).name, '_l' || \(table).layer, '')
                    ELSE replace(\(table).name, '-' || \(table).layer, '') END);
        -- A norm is told by what its weights make of it, the second of two rows by the first, a product by its bias.
        UPDATE \(table) SET role = (
            SELECT next.role || '.unweighted' FROM \(table) AS next
            WHERE next.graph_id = \(table).graph_id AND next.seq = \(table).seq + 1 AND next.kind = 'MUL')
            WHERE kind = 'RMS_NORM';
        UPDATE \(table) SET role = 'attention_residual.rows'
            WHERE role = 'attention_write.rows' AND EXISTS (SELECT 1 FROM \(table) AS before
                WHERE before.graph_id = \(table).graph_id AND before.seq = \(table).seq - 1 AND before.kind = 'GET_ROWS');
        UPDATE \(table) SET role = role || '.product'
            WHERE kind = 'MUL_MAT' AND role IN ('query_key_value', 'gate', 'up') AND EXISTS (
                SELECT 1 FROM \(table) AS next WHERE next.graph_id = \(table).graph_id AND next.seq = \(table).seq + 1
                    AND next.kind = 'ADD' AND next.role = \(table).role);
        DROP TABLE role_of_name;
        """
    }
}
