extension Schema {
    /// What runs of several prompts are told apart and looked at by, tokens that were followed through a run, vectors
    /// that are added to what operations give, and by which head a part of a sweep has its effect.
    static let prompts = """
        ALTER TABLE run ADD COLUMN prompt_group TEXT;
        ALTER TABLE run ADD COLUMN metric TEXT;
        ALTER TABLE run ADD COLUMN metric_value REAL;
        CREATE TABLE tracked (
            run_id INTEGER NOT NULL REFERENCES run(id), position INTEGER NOT NULL, token_id INTEGER NOT NULL,
            piece TEXT NOT NULL, rank INTEGER NOT NULL, logit REAL, probability REAL,
            PRIMARY KEY (run_id, position, token_id)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE intervention_again (
            id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES run(id),
            kind TEXT NOT NULL CHECK (kind IN ('set', 'scale', 'patch', 'weight', 'add')),
            target TEXT NOT NULL, spec TEXT NOT NULL
        ) STRICT;
        INSERT INTO intervention_again SELECT id, run_id, kind, target, spec FROM intervention;
        DROP TABLE intervention;
        ALTER TABLE intervention_again RENAME TO intervention;
        CREATE TABLE sweep_again (
            run_id INTEGER NOT NULL REFERENCES run(id),
            unit TEXT NOT NULL CHECK (unit IN ('heads', 'layers', 'positions', 'experts')),
            change TEXT NOT NULL CHECK (change IN ('patch', 'zero', 'mean')), source TEXT NOT NULL, metric TEXT NOT NULL,
            positions TEXT NOT NULL, receiver TEXT NOT NULL DEFAULT '', layer INTEGER NOT NULL, item INTEGER NOT NULL,
            name TEXT NOT NULL, base REAL, other REAL, value REAL,
            PRIMARY KEY (run_id, unit, change, source, metric, positions, receiver, layer, item) ON CONFLICT REPLACE
        ) STRICT, WITHOUT ROWID;
        INSERT INTO sweep_again (run_id, unit, change, source, metric, positions, layer, item, name, base, other, value)
            SELECT run_id, unit, change, source, metric, positions, layer, item, name, base, other, value FROM sweep;
        DROP TABLE sweep;
        ALTER TABLE sweep_again RENAME TO sweep;
        """
}
