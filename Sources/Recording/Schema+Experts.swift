extension Schema {
    /// Which experts each token went through, how decided each router was, what kind of attention a cache is of and how wide
    /// its rows are; and what an evaluation read, where that depends on values: on how many experts were chosen.
    static let experts = """
        CREATE TABLE expert_choice (
            pass_id INTEGER NOT NULL REFERENCES pass(id), layer INTEGER NOT NULL, position INTEGER NOT NULL,
            slot INTEGER NOT NULL, expert INTEGER NOT NULL, logit REAL, probability REAL, score REAL, weight REAL,
            margin REAL, PRIMARY KEY (pass_id, layer, position, slot)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE router (
            pass_id INTEGER NOT NULL REFERENCES pass(id), layer INTEGER NOT NULL, position INTEGER NOT NULL,
            n_experts INTEGER NOT NULL, n_used INTEGER NOT NULL, entropy_bits REAL, PRIMARY KEY (pass_id, layer, position)
        ) STRICT, WITHOUT ROWID;
        CREATE VIEW v_expert_load AS
            SELECT pass.run_id, c.layer, c.expert, count(*) AS n_tokens, sum(c.slot = 0) AS n_first,
                avg(c.weight) AS weight,
                count(*) * 1.0 / (SELECT count(*) FROM router AS r JOIN pass AS p ON p.id = r.pass_id
                    WHERE p.run_id = pass.run_id AND r.layer = c.layer) AS share
            FROM expert_choice AS c JOIN pass ON pass.id = c.pass_id GROUP BY pass.run_id, c.layer, c.expert;
        CREATE VIEW v_router AS
            SELECT pass.run_id, r.layer, count(*) AS n_tokens, max(r.n_experts) AS n_experts, max(r.n_used) AS n_used,
                avg(r.entropy_bits) AS entropy_bits,
                (SELECT count(DISTINCT c.expert) FROM expert_choice AS c JOIN pass AS p ON p.id = c.pass_id
                    WHERE p.run_id = pass.run_id AND c.layer = r.layer) AS n_distinct
            FROM router AS r JOIN pass ON pass.id = r.pass_id GROUP BY pass.run_id, r.layer;
        CREATE VIEW v_expert_neighbours AS
            SELECT pass.run_id, a.layer, count(DISTINCT a.position) AS n_pairs,
                avg(EXISTS (SELECT 1 FROM expert_choice AS b JOIN pass AS p ON p.id = b.pass_id
                    WHERE p.run_id = pass.run_id AND b.layer = a.layer AND b.position = a.position + 1
                        AND b.expert = a.expert)) AS alike
            FROM expert_choice AS a JOIN pass ON pass.id = a.pass_id
            WHERE EXISTS (SELECT 1 FROM router AS r JOIN pass AS p ON p.id = r.pass_id
                WHERE p.run_id = pass.run_id AND r.layer = a.layer AND r.position = a.position + 1)
            GROUP BY pass.run_id, a.layer;

        ALTER TABLE kv_cache ADD COLUMN kind TEXT;
        ALTER TABLE kv_cache ADD COLUMN k_width INTEGER;
        ALTER TABLE kv_cache ADD COLUMN v_width INTEGER;
        UPDATE kv_cache SET k_width = n_kv_heads * head_dim, v_width = n_kv_heads * head_dim,
            kind = CASE WHEN bytes = mha_bytes THEN 'mha' WHEN bytes = mqa_bytes THEN 'mqa' ELSE 'gqa' END;

        ALTER TABLE op_stat ADD COLUMN bytes_read INTEGER;
        DROP VIEW op;
        CREATE VIEW op AS
            SELECT s.id, pass.id AS pass_id, g.seq, g.name, g.kind, g.role, g.layer, g.type,
                coalesce(g.ne0, pass.first_position + pass.n_tokens) AS ne0,
                coalesce(g.ne1, pass.first_position + pass.n_tokens) AS ne1,
                coalesce(g.ne2, pass.first_position + pass.n_tokens) AS ne2,
                coalesce(g.ne3, pass.first_position + pass.n_tokens) AS ne3, g.params, s.ns,
                g.flops + g.flops_each * (pass.first_position + pass.n_tokens) AS flops,
                coalesce(s.bytes_read,
                    g.bytes_read + g.bytes_read_each * (pass.first_position + pass.n_tokens)) AS bytes_read,
                g.bytes_written + g.bytes_written_each * (pass.first_position + pass.n_tokens) AS bytes_written,
                s.n, s.sum, s.min, s.max, s.sum / (s.n - s.nan - s.inf) AS mean, s.rms, s.std, s.zeros, s.nan, s.inf
            FROM pass JOIN graph_op AS g ON g.graph_id = pass.graph_id
                JOIN op_stat AS s ON s.id = pass.first_op_id + g.seq AND g.seq = s.id - pass.first_op_id
                    AND s.pass_id = pass.id;
        """
}
