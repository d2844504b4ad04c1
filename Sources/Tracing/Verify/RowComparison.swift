import Recording

/// Compares the rows of two runs cell by cell, all but what differs from run to run: ids, times, paths.
struct RowComparison {
    private struct Table: Sendable {
        let name: String
        /// Columns that say which row it is; the statement begins with them.
        let keys: [String]
        let sql: @Sendable (RecordedRun) -> String
        let ignored: Set<String>
        /// Whether it is written only if operations are. Of such there may be millions of rows: they are compared slice by
        /// slice.
        var isOfOperations = false
        /// A table without which a trace is of an earlier version, that has nothing to compare here.
        var since: String?
    }

    /// Rows of some steps and, of each, some operations.
    private struct Slice {
        let steps: ClosedRange<Int>
        let operations: ClosedRange<Int>

        var condition: String {
            """
            AND step BETWEEN \(steps.lowerBound) AND \(steps.upperBound)
            AND op.seq BETWEEN \(operations.lowerBound) AND \(operations.upperBound)
            """
        }
    }

    let recorded: TraceStore
    let recordedRun: RecordedRun
    let recomputed: TraceStore
    let recomputedRun: RecordedRun
    /// Of the operations, by step and seq.
    let names: [[String]]

    init(
        recorded: TraceStore, _ recordedRun: RecordedRun, recomputed: TraceStore, _ recomputedRun: RecordedRun,
        names: [[String]]
    ) {
        (self.recorded, self.recordedRun) = (recorded, recordedRun)
        (self.recomputed, self.recomputedRun) = (recomputed, recomputedRun)
        self.names = names
    }

    private static let tables = [
        Table(
            name: "model", keys: [], sql: { "SELECT * FROM model WHERE id = \($0.modelID)" },
            ignored: ["id", "path", "sha256"]),
        Table(
            name: "metadata", keys: ["key"], sql: { "SELECT key, * FROM metadata WHERE model_id = \($0.modelID)" },
            ignored: ["model_id"]),
        Table(
            name: "weight", keys: ["name"], sql: { "SELECT name, * FROM weight WHERE model_id = \($0.modelID)" },
            ignored: ["id", "model_id"]),
        Table(
            name: "gqa_map", keys: ["layer", "head"],
            sql: { "SELECT layer, head, * FROM gqa_map WHERE model_id = \($0.modelID)" }, ignored: ["model_id"]),
        Table(
            name: "token", keys: ["position"], sql: { "SELECT position, * FROM token WHERE run_id = \($0.id)" },
            ignored: ["run_id"]),
        Table(
            name: "tracked", keys: ["position", "token_id"],
            sql: { "SELECT position, token_id, * FROM tracked WHERE run_id = \($0.id)" }, ignored: ["run_id"],
            since: "tracked"),
        Table(
            name: "run", keys: [], sql: { "SELECT metric, metric_value FROM run WHERE id = \($0.id)" }, ignored: [],
            since: "tracked"),
        Table(
            name: "pass", keys: ["step"], sql: { "SELECT step, * FROM pass WHERE run_id = \($0.id)" },
            ignored: ["id", "run_id", "wall_ns", "graph_id", "first_op_id"]),
        Table(
            name: "op", keys: ["step", "seq"],
            sql: { "SELECT step, seq, op.* FROM op JOIN pass ON pass.id = pass_id WHERE run_id = \($0.id)" },
            ignored: ["id", "pass_id", "ns"], isOfOperations: true),
        Table(
            name: "op_input", keys: ["step", "seq", "slot"],
            sql: {
                """
                SELECT step, op.seq, slot, (SELECT seq FROM op WHERE id = source_op_id) AS source, weight.name AS weight,
                    leaf, i.name, i.ne0, i.ne1, i.ne2, i.ne3
                FROM op_input AS i JOIN op ON op.id = op_id JOIN pass ON pass.id = op.pass_id
                    LEFT JOIN weight ON weight.id = weight_id
                WHERE run_id = \($0.id)
                """
            }, ignored: [], isOfOperations: true),
        Table(
            name: "attention_head", keys: ["step", "seq", "head", "position"],
            sql: {
                """
                SELECT step, seq, head, position, a.* FROM pass JOIN op ON op.pass_id = pass.id
                    CROSS JOIN attention_head AS a ON a.op_id = op.id WHERE run_id = \($0.id)
                """
            }, ignored: ["op_id"], isOfOperations: true),
        Table(
            name: "kv_cache", keys: ["step", "layer"],
            sql: {
                "SELECT step, layer, k.* FROM kv_cache AS k JOIN pass ON pass.id = pass_id WHERE run_id = \($0.id)"
            }, ignored: ["pass_id"]),
        // The logit lens writes rows of layers, on request.
        Table(
            name: "logit", keys: ["step", "position", "rank"],
            sql: {
                """
                SELECT step, position, rank, l.* FROM logit AS l JOIN pass ON pass.id = pass_id
                WHERE run_id = \($0.id) AND lens_layer IS NULL
                """
            }, ignored: ["pass_id", "lens_layer"]),
    ]

    func run(_ verification: inout TraceVerification) throws {
        let hasOperations = !recordedRun.capture.hasPrefix(Capture.Policy.none.rawValue)
        let slices = try slices()
        for table in Self.tables where hasOperations || !table.isOfOperations {
            if let since = table.since, try !recorded.has(since) { continue }
            for slice in table.isOfOperations ? slices : [nil] { try compare(table, slice, &verification) }
        }
    }

    /// Together all rows, each of some ten thousand at most: of a prompt a layer or two, of generated tokens several passes.
    private func slices() throws -> [Slice?] {
        let tokens = try recordedRun.steps == 0 ? [] : recorded.passes(of: recordedRun).map(\.tokens)
        var (slices, first) = ([Slice?](), 0)
        func close(before step: Int) {
            if first < step { slices.append(Slice(steps: first...step - 1, operations: 0...Int(Int32.max))) }
            first = step
        }
        for (step, count) in tokens.enumerated() {
            if count > Self.fewTokens {
                close(before: step)
                let starts = Array(stride(from: 0, to: max(1, names[step].count), by: Self.operations))
                for start in starts {
                    // The last slice has what the run did not make, if there is more.
                    let end = start == starts.last ? Int(Int32.max) : start + Self.operations - 1
                    slices.append(Slice(steps: step...step, operations: start...end))
                }
                first = step + 1
            } else if step - first >= Self.passes {
                close(before: step)
            }
        }
        close(before: tokens.count)
        return slices
    }

    /// Of a slice of a long prompt, and of generated tokens.
    private static let operations = 32
    private static let passes = 32
    private static let fewTokens = 64

    private func compare(_ table: Table, _ slice: Slice?, _ verification: inout TraceVerification) throws {
        let (expected, found) = (
            try rows(of: table, slice, in: recomputed, recomputedRun),
            try rows(of: table, slice, in: recorded, recordedRun)
        )
        for (key, row) in expected.sorted(by: { $0.key.isBefore($1.key) }) {
            guard let other = found[key] else {
                // The last rows of a run that was cut off were never written.
                if recordedRun.isComplete {
                    verification.failures.append(failure(table, key, nil, "no such row", "a row"))
                }
                continue
            }
            for (column, value) in row.sorted(by: { $0.key < $1.key }) {
                // Columns may have been added since.
                guard let recorded = other[column] else { continue }
                verification.cells += 1
                if recorded != value {
                    verification.failures.append(failure(table, key, column, recorded.words, value.words))
                }
            }
        }
        for key in found.keys.filter({ expected[$0] == nil }).sorted(by: { $0.isBefore($1) }) {
            verification.failures.append(failure(table, key, nil, "a row", "no such row"))
        }
    }

    private func rows(
        of table: Table, _ slice: Slice?, in store: TraceStore, _ run: RecordedRun
    ) throws -> [[TraceStore.SQLValue]: [String: TraceStore.SQLValue]] {
        var (columns, rows): ([String], [[TraceStore.SQLValue]: [String: TraceStore.SQLValue]]) = ([], [:])
        try store.query(
            table.sql(run) + (slice.map { " " + $0.condition } ?? ""), columns: { columns = $0 }
        ) { row in
            let cells = zip(columns, row).dropFirst(table.keys.count).filter { !table.ignored.contains($0.0) }
            rows[Array(row.prefix(table.keys.count))] = Dictionary(cells, uniquingKeysWith: { $1 })
        }
        return rows
    }

    private func failure(
        _ table: Table, _ key: [TraceStore.SQLValue], _ column: String?, _ recorded: String, _ recomputed: String
    ) -> TraceVerification.Failure {
        let parts = Dictionary(uniqueKeysWithValues: zip(table.keys, key))
        let (step, seq) = (parts["step"]?.number, parts["seq"]?.number)
        var operation: String?
        if let step, let seq, names.indices.contains(step), names[step].indices.contains(seq) {
            operation = names[step][seq]
        }
        let rest = zip(table.keys, key).filter { $0.0 != "step" && ($0.0 != "seq" || operation == nil) }
        return .init(
            table: table.name, step: step, operation: operation, index: nil,
            row: rest.isEmpty ? nil : rest.map { "\($0.0) \($0.1.words)" }.joined(separator: ", "), column: column,
            recorded: recorded, recomputed: recomputed, count: 1)
    }
}

extension TraceStore.SQLValue {
    fileprivate var number: Int? { if case .integer(let value) = self { Int(value) } else { nil } }

    fileprivate var words: String {
        switch self {
        case .null: "NULL"
        case .integer(let value): "\(value)"
        case .real(let value): "\(value)"
        case .text(let value): value
        case .blob(let value): "\(value.count) bytes"
        }
    }
}

extension [TraceStore.SQLValue] {
    /// Numbers by value, everything else as text.
    fileprivate func isBefore(_ other: Self) -> Bool {
        for (a, b) in zip(self, other) where a != b {
            if let a = a.number, let b = b.number { return a < b }
            return a.words < b.words
        }
        return false
    }
}
