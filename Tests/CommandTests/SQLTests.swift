import Foundation
import Testing

@Suite struct SQLTests {
    private func bench() throws -> Workbench {
        let bench = try Workbench()
        try bench.addTrace("t.db")
        return bench
    }

    @Test(arguments: [
        ("selec 1", "syntax error"), ("", "the statement is empty"), ("SELECT * FROM ops", "There are attention_head"),
        ("SELECT rsm FROM op", "op.rms"), ("SELECT 1; SELECT 2", "one at a time"),
        ("SELECT 1; DROP TABLE op", "one at a time"),
        ("DELETE FROM run", "only reads"), ("UPDATE run SET prompt = ''", "only reads"),
        ("DROP TABLE op", "only reads"),
        ("CREATE TABLE x (y)", "only reads"), ("PRAGMA user_version = 7", "only reads"), ("BEGIN", "only reads"),
        ("ATTACH 'x.db' AS x", "only reads"), ("VACUUM INTO 'x.db'", "only reads"), ("REINDEX", "only reads"),
        ("SELECT dot(row(data, 0, 2), row(data, 0, 3)) FROM tensor", "a has 2 elements, b has 3"),
    ])
    func whatItRefuses(statement: String, part: String) throws {
        let bench = try bench()
        let before = try bench.bytes("t.db")
        expectComplaint(try bench.quipu("sql", "t.db", statement), "t.db: ", part)
        #expect(try bench.bytes("t.db") == before)
        #expect(!bench.exists("x.db"))
    }

    @Test func pagesAlignNumbersAndShowWhatIsNoText() throws {
        let page = try bench().quipu(
            "sql", "t.db",
            """
            SELECT 'a' AS word, 1 AS n, NULL AS absent_, 0.1 AS x, x'00ff' AS data
            UNION ALL SELECT 'two' || char(10) || 'lines', 1234, NULL, -12345.678, NULL;
            """)
        let lines = [
            "word          n  absent_           x  data",
            "a             1  NULL            0.1  <2 bytes>",
            "two⏎lines  1234  NULL     -12345.678  NULL",
            "2 rows",
        ]
        #expect(page.output == lines.joined(separator: "\n") + "\n")
    }

    @Test func whatDoesNotFitIsSaid() throws {
        let page = try bench().quipu("sql", "t.db", "SELECT * FROM op LIMIT 2").output
        #expect(page.contains("left out: ") && page.contains("--json"))
        #expect(page.hasSuffix("2 rows\n"))
    }

    @Test func documentsHoldEveryValue() throws {
        let outcome = try bench().quipu(
            "sql", "t.db", "SELECT 1 AS a, 2 AS a, NULL AS b, 'x' AS c, x'00ff' AS d, 1e308 * 10 AS e", "--json")
        let object = try outcome.object()
        #expect(object["columns"] as? [String] == ["a", "a_2", "b", "c", "d", "e"])
        let row = try #require((object["rows"] as? [[String: Any]])?.first)
        #expect(row["a"] as? Int == 1 && row["a_2"] as? Int == 2 && row["b"] is NSNull)
        #expect(row["c"] as? String == "x" && row["d"] as? String == "AP8=" && row["e"] as? String == "inf")
    }

    /// A weighted sum and the values that `show` prints agree with what SQL reads out of the blobs.
    @Test func functionsReadBlobs() throws {
        let bench = try bench()
        let values = try #require(
            try bench.quipu("show", "t.db", "Qcur-0#0[:,0:2]", "--json").object()["values"] as? [Double])
        let row = try bench.row(
            """
            SELECT f32(data, 1) AS one, row(data, 1, 64) AS second, dot(row(data, 0, 64), row(data, 1, 64)) AS product,
                f32(data, 320) AS outside
            FROM tensor JOIN op ON op.id = op_id JOIN pass ON pass.id = pass_id
            WHERE op.name = 'Qcur-0' AND op.kind = 'MUL_MAT' AND step = 0
            """, of: "t.db")
        #expect((row["one"] as? Double).map(Float.init) == Float(values[1]))
        let second =
            try JSONSerialization.jsonObject(with: Data(try #require(row["second"] as? String).utf8)) as? [Double]
        #expect(second?.map(Float.init) == values[64..<128].map(Float.init))
        let product = zip(values[..<64], values[64...]).reduce(0) { $0 + $1.0 * $1.1 }
        #expect(abs(try #require(row["product"] as? Double) - product) < 1e-4 * abs(product))
        #expect(row["outside"] is NSNull)
    }

    /// More rows than are looked at before the first is written: nothing is lost or doubled between them.
    @Test func rowsAreWrittenAsTheyCome() throws {
        let bench = try bench()
        let count = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 20000) SELECT i FROM c"
        let page = try bench.quipu("sql", "t.db", count)
        #expect(page.lines.count == 20_003 && page.output.hasSuffix("20000 rows\n"))
        #expect(page.lines[1...20_000].enumerated().allSatisfy { Int($1.drop { $0 == " " }) == $0 + 1 })
        let rows = try #require(try bench.quipu("sql", "t.db", count, "--json").object()["rows"] as? [[String: Int]])
        #expect(rows.map { $0["i"] } == (1...20_000).map { $0 })
        #expect(try bench.quipu("sql", "t.db", "SELECT 1 AS a WHERE 0", "--json").object()["rows"] as? [Int] == [])
    }

    /// A statement without an end, and a reader that has enough.
    @Test func aReaderThatGoesAwayEndsIt() throws {
        let endless = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT i FROM c"
        for format in ["", "--json"] {
            let outcome = try bench().shell("quipu sql t.db '\(endless)' \(format) | head -3")
            #expect(outcome.status == 0 && outcome.lines.count >= 3 && outcome.errors.isEmpty)
        }
    }
}
