import Foundation
import GRDB
import LlamaModel
import Recording
import TestSupport
import Testing

/// Traces of earlier versions.
@Suite struct MigrationTests {
    private static let tables = [
        "model", "metadata", "weight", "run", "token", "pass", "op", "op_input", "tensor", "gqa_map", "attention_head",
        "kv_cache", "logit",
    ]
    private static let views = ["v_op", "v_layer", "v_attention_group", "v_roofline"]

    /// Since version 4, in the place of `op` and `op_input`.
    private static let graphTables = ["graph", "graph_op", "graph_input", "op_stat"]

    /// A trace as an earlier version wrote it, with the rows of a recorded one.
    private static func old(
        version: Int = 3, from recorded: Recorded, in folder: TemporaryFolder
    ) async throws -> String {
        let (path, source) = (folder.path("old.db"), recorded.path)
        let database = try DatabaseQueue(path: path)
        try await database.write { db in
            for sql in Schema.migrations[..<version] { try db.execute(sql: sql) }
            try db.execute(sql: "PRAGMA user_version = \(version)")
        }
        try await database.writeWithoutTransaction { db in
            // Tables are copied in any order.
            try db.execute(sql: "PRAGMA foreign_keys = OFF")
            try db.execute(sql: "ATTACH ? AS recorded", arguments: [source])
            let tables = version < 4 ? tables : tables.filter { !$0.hasPrefix("op") } + graphTables
            for table in tables {
                let columns = try db.columns(in: table).map(\.name).joined(separator: ", ")
                try db.execute(sql: "INSERT INTO \(table) (\(columns)) SELECT \(columns) FROM recorded.\(table)")
            }
        }
        try database.close()
        return path
    }

    private static func rows(
        _ store: TraceStore, of table: String, _ columns: [String]
    ) throws -> [[TraceStore.SQLValue]] {
        try store.rows("SELECT \(columns.joined(separator: ", ")) FROM \(table)").sorted { "\($0)" < "\($1)" }
    }

    @Test func anOldTraceReadsAsItIs() async throws {
        let folder = try TemporaryFolder()
        let recorded = try await Recorded(generate: 3, Capture(.all))
        let old = try TraceStore.open(path: try await Self.old(from: recorded, in: folder))
        #expect(try old.texts("SELECT type FROM sqlite_schema WHERE name = 'op'") == ["table"])
        let run = try old.run()
        for step in 0..<run.steps {
            for (found, expected) in zip(
                try old.operations(of: run, step: step), try recorded.operations(step: step))
            {
                #expect(found.name == expected.name && found.shape == expected.shape && found.rms == expected.rms)
                #expect(try old.inputs(of: found).map(\.name) == recorded.store.inputs(of: expected).map(\.name))
            }
        }
    }

    /// Roles follow from llama's names, whether the trace is only read or brought up to date.
    @Test(arguments: [3, 6], [TinyModel.gqa, .biases])
    func rolesOfAnOldTrace(version: Int, model: TinyModel) async throws {
        let folder = try TemporaryFolder()
        let recorded = try await Recorded(model, generate: 2, Capture(.stats))
        let path = try await Self.old(version: version, from: recorded, in: folder)
        let roles = "SELECT id, name, kind, role FROM op ORDER BY id"
        let expected = try recorded.store.rows(roles)
        #expect(!expected.isEmpty && expected.allSatisfy { $0[3] != .null })
        let old = try TraceStore.open(path: path)
        #expect(try old.rows(roles) == expected)
        #expect(try old.rows(roles.replacing("FROM op", with: "FROM v_op")) == expected)
        let run = try old.run()
        #expect(try old.operations(of: run, step: 1).map(\.role) == recorded.operations(step: 1).map(\.role))
        let layers = "SELECT step, layer, rms_in, rms_mid, rms_out FROM v_layer ORDER BY step, layer"
        #expect(try old.rows(layers) == recorded.store.rows(layers))
        try TraceStore.create(path: path, .appending).close()
        let upgraded = try TraceStore.open(path: path)
        #expect(try upgraded.rows(roles) == expected)
        #expect(try upgraded.rows(layers) == recorded.store.rows(layers))
    }

    /// A trace that the program wrote before operations had roles says what a new one of the same run says.
    @Test func aFileOfVersion6() async throws {
        let old = try TraceStore.open(path: Places.fixture("traces/version-6.db"))
        #expect(try old.integers("PRAGMA user_version") == [6])
        let (run, recorded) = (try old.run(), try await Recorded(prompt: "Once upon", generate: 1, Capture(.all)))
        #expect(try old.tokens(of: run).map(\.id) == recorded.tokens)
        for query in [
            "SELECT seq, name, kind, role, layer, type, ne0, ne1, ne2, ne3, params, flops, n, rms FROM op ORDER BY id",
            "SELECT step, layer, rms_in, rms_mid, rms_out FROM v_layer ORDER BY step, layer",
            "SELECT op_id, chunk, dtype, data FROM tensor ORDER BY op_id, chunk",
            "SELECT layer, head, kv_head, position, top_position, top_weight FROM attention_head ORDER BY op_id, head, position",
            "SELECT layer, n_kv_heads, head_dim, bytes, mha_bytes, mqa_bytes FROM kv_cache ORDER BY pass_id, layer",
        ] {
            let found = try old.rows(query)
            #expect(try !found.isEmpty && found == recorded.store.rows(query), "\(query)")
        }
    }

    /// Adding a run brings the schema up to date and loses nothing.
    @Test func appendingToAnOldTraceKeepsItsRows() async throws {
        let folder = try TemporaryFolder()
        let recorded = try await Recorded(generate: 3, Capture(.all))
        let path = try await Self.old(from: recorded, in: folder)
        try TraceStore.create(path: path, .appending).close()
        let after = try TraceStore.open(path: path)
        #expect(try after.integers("PRAGMA user_version") == [Schema.migrations.count])
        #expect(try after.rows("PRAGMA foreign_key_check").isEmpty)
        #expect(try after.texts("PRAGMA integrity_check") == ["ok"])
        for table in Self.tables + Self.views {
            // What older traces do not know.
            let added: Set = ["graph_id", "first_op_id", "uuid"]
            let columns = SchemaTests.columns[table]?.filter { !added.contains($0) } ?? ["*"]
            let found = try Self.rows(after, of: table, columns)
            let expected = try Self.rows(recorded.store, of: table, columns)
            #expect(!found.isEmpty && found == expected, "\(table)")
        }
    }

    @Test func runsAreAddedToAnOldTrace() async throws {
        let folder = try TemporaryFolder()
        let recorded = try await Recorded(generate: 2, Capture(.stats))
        let path = try await Self.old(from: recorded, in: folder)
        let model = try TinyModel.gqa.load()
        let recorder = try await Recorded.recorder(TraceStore.create(path: path, .appending), model)
        var session = try Session(model, positions: 8, threads: 1)
        for tokens in [[1, 2, 3], [4], [5]] {
            var pass = try session.pass(over: tokens, observers: [recorder])
            try recorder.begin(pass)
            try pass.interpreter.run()
            try recorder.end(pass, prediction: Prediction(logits: pass.logits!), nanoseconds: 1)
            session.advance(past: pass)
        }
        try await recorder.finish(nanoseconds: 1)
        let store = try TraceStore.open(path: path)
        #expect(try store.runs().map(\.steps) == [2, 3])
        #expect(try store.rows("PRAGMA foreign_key_check").isEmpty)
        // Two graphs of the old run, one of each pass; two of the new one, whose later passes share theirs.
        #expect(try store.integers("SELECT count(DISTINCT graph_id) FROM pass GROUP BY run_id") == [2, 2])
        let counts = try store.integers("SELECT count(*) FROM op GROUP BY pass_id")
        #expect(Set(counts).count == 1 && counts.count == 5)
    }

    /// An old trace is merged as it would be after an upgrade, and stays as it was.
    @Test func oldTracesAreMerged() async throws {
        let folder = try TemporaryFolder()
        let recorded = try await Recorded(generate: 2, Capture(.all))
        let path = try await Self.old(from: recorded, in: folder)
        let before = try Data(contentsOf: URL(filePath: path))
        let store = try TraceStore.create(path: folder.path("all.db"), .appending)
        let first = try store.merge(path)
        #expect(first.runsAdded == 1 && first.rowsAdded > 0 && first.rowsKnown == 0)
        #expect(try Data(contentsOf: URL(filePath: path)) == before)
        let again = try store.merge(path)
        #expect(again.runsAdded == 0 && again.rowsAdded == 0 && again.rowsKnown == first.rowsAdded)
        #expect(try store.merge(recorded.path).runsAdded == 1, "another recording of the prompt, by its uuid")
        try store.close()
        let after = try TraceStore.open(path: folder.path("all.db"))
        #expect(try after.rows("PRAGMA foreign_key_check").isEmpty)
        #expect(try after.runs().map(\.steps) == [2, 2])
        for table in ["op", "op_input", "tensor", "attention_head", "kv_cache", "logit"] {
            let count = "SELECT count(*) FROM \(table)"
            let merged = try #require(try after.integers(count).first ?? nil)
            let alone = try #require(try recorded.store.integers(count).first ?? nil)
            #expect(merged == alone * 2, "\(table)")
        }
        // An upgraded copy is the run that was merged before it was upgraded.
        try TraceStore.create(path: path, .appending).close()
        let all = try TraceStore.create(path: folder.path("all.db"), .appending)
        #expect(try all.merge(path).runsAdded == 0)
        try all.close()
    }
}
