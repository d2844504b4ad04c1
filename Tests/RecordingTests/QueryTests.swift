import Foundation
import Recording
import TestSupport
import Tensors
import Testing

@Suite struct QueryTests {
    private func literal(_ values: [Float]) -> String {
        "x'"
            + values.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) } }
            .map { String(format: "%02x", $0) }.joined() + "'"
    }

    private func withEmptyTrace<Result>(_ body: (TraceStore) throws -> Result) throws -> Result {
        let folder = try TemporaryFolder()
        try TraceStore.create(path: folder.path("t.db")).close()
        return try withExtendedLifetime(folder) { try body(TraceStore.open(path: folder.path("t.db"))) }
    }

    @Test func functionsReadBlobs() throws {
        let (a, b) = (literal([1.5, -2, .pi, Float(bitPattern: 100), 3, 4]), literal([2, 0.5, 0, 0, -1, 10]))
        try withEmptyTrace { (store: TraceStore) throws -> Void in
            func value(_ sql: String) throws -> TraceStore.SQLValue { try store.rows("SELECT " + sql)[0][0] }
            #expect(try value("f32(\(a), 0)") == .real(1.5))
            #expect(try value("f32(\(a), 2)") == .real(Double(Float.pi)))
            #expect(try value("f32(\(a), 3)") == .real(Double(Float(bitPattern: 100))))
            for outside in ["6", "-1", "9223372036854775807", "NULL", "'x'"] {
                #expect(try value("f32(\(a), \(outside))") == .null)
            }
            #expect(try value("f32(NULL, 0)") == .null)
            // 1, -2, 65504, the smallest subnormal, infinity.
            let halves = "x'003c00c0ff7b0100007c'"
            #expect(try value("f16(\(halves), 0)") == .real(1) && value("f16(\(halves), 1)") == .real(-2))
            #expect(try value("f16(\(halves), 2)") == .real(65504) && value("f16(\(halves), 3)") == .real(0x1p-24))
            #expect(try value("f16(\(halves), 4)") == .real(.infinity) && value("f16(\(halves), 5)") == .null)
            #expect(try value("row(\(a), 0, 2)") == .text("[1.5,-2.0]"))
            #expect(try value("row(\(a), 2, 2)") == .text("[3.0,4.0]"))
            for outside in [
                "row(\(a), 3, 2)", "row(\(a), -1, 2)", "row(\(a), 0, 0)", "row(\(a), 0, 7)",
                "row(\(a), 9223372036854775807, 3)",
            ] {
                #expect(try value(outside) == .null, "\(outside)")
            }
            #expect(try value("row(\(literal([.nan, 1])), 0, 2)") == .text("[null,1.0]"))
            #expect(try value("dot(\(a), \(b))") == .real(3 - 1 - 3 + 40))
            #expect(try value("dot(row(\(a), 0, 2), row(\(b), 0, 2))") == .real(3 - 1))
            #expect(try value("dot(\(a), NULL)") == .null)
            let error = #expect(throws: TraceError.self) { _ = try value("dot(\(a), x'00000000')") }
            #expect(error?.description.contains("a has 6 elements, b has 1") == true)
        }
    }

    /// A score of the recorded attention, by hand: key row times query row is the value that `MUL_MAT` got.
    @Test func aScoreByHand() async throws {
        let recorded = try await Recorded(generate: 1, Capture(.all))
        let query = """
            WITH x AS (SELECT data FROM tensor JOIN op ON op.id = op_id WHERE name = 'result_norm'),
                 y AS (SELECT sum, rms, n FROM op WHERE name = 'result_norm')
            SELECT dot(x.data, x.data), y.rms * y.rms * y.n FROM x, y
            """
        let row = try recorded.store.rows(query)[0]
        #expect(abs(row[0].real! - row[1].real!) < 1e-9 * row[1].real!)
    }

    @Test func columnsAndRowsComeAsTheyAre() async throws {
        let recorded = try await Recorded(generate: 1, Capture(.stats))
        var columns: [String] = []
        var rows: [[TraceStore.SQLValue]] = []
        try recorded.store.query(
            "SELECT seq, name AS n, sum / 1.0, NULL, x'00ff' FROM op ORDER BY seq LIMIT 2", columns: { columns = $0 },
            row: { rows.append($0) })
        #expect(columns == ["seq", "n", "sum / 1.0", "NULL", "x'00ff'"])
        #expect(
            rows.count == 2 && rows[0][0] == 0 && rows[0][1] == .text("embd")
                && rows[0][3...] == [.null, .blob(Data([0, 255]))])
        // A reader that has seen enough stops by throwing.
        struct Enough: Error {}
        var seen = 0
        #expect(throws: Enough.self) {
            try recorded.store.query(
                "SELECT * FROM op", columns: { _ in },
                row: { _ in
                    seen += 1
                    if seen == 3 { throw Enough() }
                })
        }
        #expect(seen == 3)
        // And the store works on.
        #expect(try recorded.store.integers("SELECT count(*) FROM run") == [1])
    }

    @Test func statementsThatWriteAreRefused() async throws {
        let folder = try TemporaryFolder()
        let recorded = try await Recorded(generate: 1, Capture(.stats), in: folder)
        let before = try Data(contentsOf: URL(filePath: recorded.path))
        let other = folder.path("other.db")
        for sql in [
            "INSERT INTO run SELECT * FROM run", "DELETE FROM op", "UPDATE run SET complete = 0", "DROP TABLE op",
            "CREATE TABLE mine (x)", "CREATE TEMP TABLE mine (x)", "ALTER TABLE op ADD COLUMN x", "VACUUM", "REINDEX",
            "ANALYZE",
            "PRAGMA user_version = 7", "ATTACH '\(other)' AS other", "ATTACH '\(recorded.path)' AS again",
            "/* */ attach ':memory:' AS m", "VACUUM INTO '\(other)'",
            "WITH x AS (SELECT 1) INSERT INTO token SELECT 1, 99, 1, 'x', 'prompt', NULL, NULL FROM x",
            "SELECT 1; DROP TABLE op", "BEGIN IMMEDIATE",
        ] {
            #expect(throws: (any Error).self, "\(sql)") { try recorded.store.rows(sql) }
        }
        #expect(try Data(contentsOf: URL(filePath: recorded.path)) == before)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["trace.db"])
        #expect(
            try recorded.store.integers("SELECT count(*) FROM pragma_database_list WHERE name NOT IN ('main', 'temp')")
                == [0])
        #expect(try recorded.store.integers("SELECT complete FROM run") == [1])
    }

    @Test(arguments: ["SELEC 1", "SELECT nothing FROM op", "SELECT * FROM nowhere", "", "SELECT f32(1)"])
    func mistakesAreWorded(sql: String) async throws {
        let store = try await Recorded(generate: 1, Capture(.none)).store
        let error = #expect(throws: TraceError.self) { try store.rows(sql) }
        #expect(error?.description.hasPrefix(store.path) == true)
    }

    @Test func operationsAreFoundByAddress() async throws {
        let store = try await Recorded(generate: 2, Capture(.stats)).store
        let run = try store.run()
        func operation(_ address: String, step: Int = 0) throws -> RecordedOperation {
            try store.operation(TensorAddress(address), run: run, step: step)
        }
        #expect(try operation("Qcur-0").kind == "ROPE")
        #expect(
            try ["Qcur-0#0", "Qcur-0#1", "Qcur-0#2"].map { try operation($0).kind } == ["MUL_MAT", "RESHAPE", "ROPE"])
        #expect(try operation("l_out-1", step: 1).shape.ne1 == 1)
        #expect(throws: TraceError.noOccurrence(name: "Qcur-0", asked: 3, count: 3)) { try operation("Qcur-0#3") }
        let error = #expect(throws: TraceError.self) { try operation("qcur-0") }
        guard case .noOperation("qcur-0", let suggestions)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(suggestions.first == "Qcur-0" && suggestions.count <= 3)
        #expect(nearest(to: "zzzzzzzz", in: ["kq-0", "embd"]).isEmpty)
    }
}
