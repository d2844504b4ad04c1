extension Schema {
    /// How many bytes captured values take, without a look at them: a sum over `length(data)` by operation reads all of a trace.
    static let bytes = """
        ALTER TABLE tensor ADD COLUMN n_bytes INTEGER
            GENERATED ALWAYS AS (n_elements * CASE dtype WHEN 'f16' THEN 2 ELSE 4 END) VIRTUAL;
        """
}
