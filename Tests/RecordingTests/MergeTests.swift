import Foundation
import GRDB
import Recording
import TestSupport
import Testing

/// Traces united: every row once, whatever the order, however often.
@Suite struct MergeTests {
    /// Everything a trace says, a line a row; names instead of ids, which merging changes.
    private static func lines(_ path: String) throws -> [String] {
        let store = try TraceStore.open(path: path)
        let run = "run.prompt || '/' || run.created_at || '/' || coalesce(run.wall_ns, '-')"
        let operation = "op JOIN pass ON pass.id = op.pass_id JOIN run ON run.id = pass.run_id"
        let queries = [
            "SELECT sha256, architecture, size_bytes FROM model",
            "SELECT sha256, key, value FROM metadata JOIN model ON model.id = model_id",
            "SELECT sha256, weight.name, role, file_offset FROM weight JOIN model ON model.id = model_id",
            "SELECT sha256, layer, head, kv_head FROM gqa_map JOIN model ON model.id = model_id",
            "SELECT \(run), sha256, complete FROM run JOIN model ON model.id = model_id",
            "SELECT \(run), token.* FROM token JOIN run ON run.id = run_id",
            "SELECT \(run), step, first_position, pass.wall_ns FROM pass JOIN run ON run.id = run_id",
            "SELECT \(run), step, seq, op.name, op.kind, op.ns, op.rms, op.params FROM \(operation)",
            """
            SELECT \(run), step, op.seq, slot, i.name, source.seq, source.pass_id = op.pass_id, weight.name, leaf
            FROM \(operation) JOIN op_input AS i ON i.op_id = op.id LEFT JOIN op AS source ON source.id = source_op_id
                LEFT JOIN weight ON weight.id = weight_id
            """,
            "SELECT \(run), step, seq, chunk, first_element, dtype, hex(data) FROM \(operation) JOIN tensor ON op_id = op.id",
            "SELECT \(run), step, seq, head, position, top_weight FROM \(operation) JOIN attention_head ON op_id = op.id",
            "SELECT \(run), step, layer, bytes FROM kv_cache JOIN pass ON pass.id = pass_id JOIN run ON run.id = run_id",
            """
            SELECT \(run), step, position, lens_layer, rank, token_id, logit
            FROM logit JOIN pass ON pass.id = pass_id JOIN run ON run.id = run_id
            """,
            """
            SELECT sha256, weight.name, e.type, reference, mse FROM quant_error AS e JOIN weight ON weight.id = weight_id
                JOIN model ON model.id = model_id
            """,
            """
            SELECT sha256, weight.name, b.row, block, hex(codes) FROM quant_block AS b JOIN weight ON weight.id = weight_id
                JOIN model ON model.id = model_id
            """,
        ]
        var lines: [String] = []
        for (number, sql) in queries.enumerated() {
            // A run's number in its trace is no fact about it.
            for row in try store.rows(
                sql.replacingOccurrences(of: "token.*", with: "position, token_id, piece, logprob"))
            {
                lines.append("\(number) \(row)")
            }
        }
        return lines.sorted()
    }

    private static func record(_ model: TinyModel, _ prompt: String, to path: String, in folder: TemporaryFolder)
        async throws
    {
        let recorded = try await Recorded(model, prompt: prompt, generate: 3, Capture(.all))
        try FileManager.default.copyItem(atPath: recorded.path, toPath: path)
    }

    private static func merge(_ traces: [String], into path: String) throws -> [MergedTrace] {
        let store = try TraceStore.create(path: path, .appending)
        defer { try? store.close() }
        return try traces.map { try store.merge($0) }
    }

    private static func error(_ weight: String, _ type: String, _ mse: Double) -> QuantErrorRecord {
        QuantErrorRecord(
            weight: weight, type: type, reference: "self", count: 10, mse: mse, maximum: 1, meanAbsolute: 1, p95: 1,
            relativeRMSE: 1, sqnr: 1, cosine: 1, referenceMeanSquare: 1)
    }

    @Test func everyRowOnceInAnyOrder() async throws {
        let folder = try TemporaryFolder()
        let traces = ["a", "b", "c"].map { folder.path("\($0).db") }
        // Two runs of one model, one of another; their ids are the same.
        try await Self.record(.gqa, "Once", to: traces[0], in: folder)
        try await Self.record(.gqa, "Once upon", to: traces[1], in: folder)
        try await Self.record(.biases, "a time", to: traces[2], in: folder)
        let expected = Array(Set(try traces.flatMap(Self.lines))).sorted()
        let results = try Self.merge(traces, into: folder.path("abc.db"))
        #expect(results.map(\.runsAdded) == [1, 1, 1] && results.map(\.runsKnown) == [0, 0, 0])
        #expect(try Self.lines(folder.path("abc.db")) == expected)
        _ = try Self.merge(traces.reversed(), into: folder.path("cba.db"))
        #expect(try Self.lines(folder.path("cba.db")) == expected)
        // In steps, by way of others, with what is there already.
        _ = try Self.merge([traces[0], traces[1]], into: folder.path("ab.db"))
        _ = try Self.merge(
            [traces[2], folder.path("ab.db"), traces[1], folder.path("abc.db")], into: folder.path("all.db"))
        #expect(try Self.lines(folder.path("all.db")) == expected)
        let store = try TraceStore.open(path: folder.path("all.db"))
        #expect(try store.rows("PRAGMA foreign_key_check").isEmpty)
        #expect(try store.texts("PRAGMA integrity_check") == ["ok"])
        #expect(try store.integers("SELECT count(*) FROM model") == [2])
    }

    @Test func aSecondTimeNothingIsLeftToAdd() async throws {
        let folder = try TemporaryFolder()
        let (a, all) = (folder.path("a.db"), folder.path("all.db"))
        try await Self.record(.gqa, "Once", to: a, in: folder)
        let first = try Self.merge([a], into: all)
        let before = try Self.lines(all)
        let again = try Self.merge([a, a], into: all)
        #expect(try Self.lines(all) == before)
        for result in again {
            #expect(result.rowsAdded == 0 && result.runsAdded == 0 && result.runsKnown == 1)
            #expect(result.rowsKnown == first[0].rowsAdded)
        }
    }

    /// The same prompt run twice is two runs.
    @Test func likeRunsStayApart() async throws {
        let folder = try TemporaryFolder()
        try await Self.record(.gqa, "Once", to: folder.path("a.db"), in: folder)
        try await Self.record(.gqa, "Once", to: folder.path("b.db"), in: folder)
        let results = try Self.merge([folder.path("a.db"), folder.path("b.db")], into: folder.path("all.db"))
        #expect(results.map(\.runsAdded) == [1, 1])
    }

    @Test func errorsOfWeightsAreKnownByTensorFormatAndReference() async throws {
        let folder = try TemporaryFolder()
        let model = try TinyModel.gqa.load()
        let errors = [
            ("blk.0.attn_q.weight", "Q4_0"), ("blk.0.attn_k.weight", "Q4_0"), ("blk.0.attn_q.weight", "Q8_0"),
        ]
        for (number, part) in [[0, 1], [1, 2]].enumerated() {
            let store = try TraceStore.create(path: folder.path("\(number).db"))
            try await store.record(part.map { Self.error(errors[$0].0, errors[$0].1, Double($0)) }, of: model)
            try store.close()
        }
        let results = try Self.merge([folder.path("0.db"), folder.path("1.db")], into: folder.path("all.db"))
        #expect(results[1].rowsAdded == 1)
        let store = try TraceStore.open(path: folder.path("all.db"))
        let rows = try store.texts(
            """
            SELECT weight.name || ' ' || e.type || ' ' || mse FROM quant_error AS e JOIN weight ON weight.id = weight_id
            ORDER BY mse
            """)
        #expect(
            rows == ["blk.0.attn_q.weight Q4_0 0.0", "blk.0.attn_k.weight Q4_0 1.0", "blk.0.attn_q.weight Q8_0 2.0"])
        #expect(try store.integers("SELECT count(*) FROM model") == [1])
    }

    /// What was merged while its run went on, or after it was killed, is replaced by the whole run; never the other way.
    @Test func aWholeRunReplacesItsBeginning() async throws {
        let folder = try TemporaryFolder()
        let (whole, cut) = (folder.path("whole.db"), folder.path("cut.db"))
        try await Self.record(.gqa, "Once", to: whole, in: folder)
        try FileManager.default.copyItem(atPath: whole, toPath: cut)
        let database = try DatabaseQueue(path: cut)
        try await database.write { db in
            try db.execute(
                sql: """
                    UPDATE run SET complete = 0, wall_ns = NULL;
                    UPDATE model SET sha256 = NULL;
                    DELETE FROM tensor WHERE op_id > 60;
                    DELETE FROM token WHERE position > 3;
                    DELETE FROM logit WHERE pass_id > 1
                    """)
        }
        try database.close()
        let all = folder.path("all.db")
        _ = try Self.merge([cut], into: all)
        #expect(try Self.lines(all) == Self.lines(cut))
        let result = try Self.merge([whole], into: all)
        #expect(result[0].runsAdded == 1)
        #expect(try Self.lines(all) == Self.lines(whole))
        _ = try Self.merge([cut], into: all)
        #expect(try Self.lines(all) == Self.lines(whole))
    }

    /// What was measured later about a run that is known already.
    @Test func rowsAddedLaterToAKnownRun() async throws {
        let folder = try TemporaryFolder()
        let (a, all) = (folder.path("a.db"), folder.path("all.db"))
        try await Self.record(.gqa, "Once", to: a, in: folder)
        _ = try Self.merge([a], into: all)
        let database = try DatabaseQueue(path: a)
        try await database.write { db in
            try db.execute(
                sql:
                    "INSERT INTO logit SELECT pass_id, position, 1, rank, token_id, piece, logit, probability FROM logit"
            )
        }
        try database.close()
        let result = try Self.merge([a], into: all)
        #expect(result[0].runsAdded == 0 && result[0].rowsAdded > 0)
        #expect(try Self.lines(all) == Self.lines(a))
    }

    @Test func faultsLeaveTheOutputAlone() async throws {
        let folder = try TemporaryFolder()
        let (a, all) = (folder.path("a.db"), folder.path("all.db"))
        try await Self.record(.gqa, "Once", to: a, in: folder)
        _ = try Self.merge([a], into: all)
        let before = try Self.lines(all)
        let link = folder.path("link.db")
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: all)
        let text = try folder.write("no trace", to: "text")
        for path in [link, text, folder.path("nowhere.db"), TinyModel.gqa.path] {
            #expect(throws: TraceError.self) { try Self.merge([path], into: all) }
        }
        #expect(try Self.lines(all) == before)
    }

    /// Every table of the schema is merged; a new one without its line in `MergedTable.all` would be lost.
    @Test func noTableIsForgotten() throws {
        let folder = try TemporaryFolder()
        try TraceStore.create(path: folder.path("empty.db")).close()
        let store = try TraceStore.open(path: folder.path("empty.db"))
        let tables = try store.texts("SELECT name FROM sqlite_schema WHERE type = 'table'").compactMap(\.self)
        #expect(Set(tables).subtracting(MergedTables.names).isEmpty)
        // Every reference that the schema declares is in the list, or ids would lead astray.
        for table in tables {
            let declared = try store.texts("SELECT \"from\" FROM pragma_foreign_key_list('\(table)')").compactMap(
                \.self)
            #expect(Set(declared).subtracting(MergedTables.references(of: table)).isEmpty, "\(table)")
        }
    }
}
