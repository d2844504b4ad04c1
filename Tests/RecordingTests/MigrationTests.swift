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

    /// A trace as version 3 wrote it, with the rows of a recorded one.
    private static func old(from recorded: Recorded, in folder: TemporaryFolder) async throws -> String {
        let (path, source) = (folder.path("old.db"), recorded.path)
        let database = try DatabaseQueue(path: path)
        try await database.write { db in
            for sql in Schema.migrations[..<3] { try db.execute(sql: sql) }
            try db.execute(sql: "PRAGMA user_version = 3")
        }
        try await database.writeWithoutTransaction { db in
            try db.execute(sql: "ATTACH ? AS recorded", arguments: [source])
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
