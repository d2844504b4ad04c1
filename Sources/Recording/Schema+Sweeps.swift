extension Schema {
    /// What became of a run's prediction when one part of it was changed: a row for each part.
    static let sweeps = """
        CREATE TABLE sweep (
            run_id INTEGER NOT NULL REFERENCES run(id),
            unit TEXT NOT NULL CHECK (unit IN ('heads', 'layers', 'positions', 'experts')),
            change TEXT NOT NULL CHECK (change IN ('patch', 'zero', 'mean')), source TEXT NOT NULL, metric TEXT NOT NULL,
            positions TEXT NOT NULL, layer INTEGER NOT NULL, item INTEGER NOT NULL, name TEXT NOT NULL, base REAL,
            other REAL, value REAL,
            PRIMARY KEY (run_id, unit, change, source, metric, positions, layer, item) ON CONFLICT REPLACE
        ) STRICT, WITHOUT ROWID;
        """
}
