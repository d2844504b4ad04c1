import Foundation
import TestSupport
import Testing

@Suite struct LensTests {
    private func bench() throws -> Workbench {
        let bench = try Workbench()
        try bench.addTrace()
        return bench
    }

    private func positions(_ outcome: Outcome) throws -> [[String: Any]] {
        try #require(try outcome.object()["positions"] as? [[String: Any]], "\(outcome.errors)")
    }

    /// What evaluates whole passes again refuses before, by the option's name; a report leaves its lens out.
    @Test func tooMuchMemoryIsRefused() throws {
        let bench = try bench()
        try bench.quipu("trace", "model.gguf", "-p", "Once upon a time", "--capture", "stats", "-o", "stats.db")
        for command in [
            ["lens", "stats.db"], ["explain", "logit", "stats.db"],
            ["explain", "element", "stats.db", "ffn_out-0[1,2]"],
            ["attention", "stats.db"], ["verify", "stats.db"],
            ["propagate", "model.gguf", "-p", "Once upon a time"],
        ] {
            let outcome = try bench.quipu(command + ["--max-memory", "20K"])
            #expect(outcome.status == 1 && outcome.output == "", "\(command)")
            #expect(outcome.errors.contains("--max-memory") && outcome.errors.contains("memory"), "\(outcome.errors)")
            let malformed = try bench.quipu(command + ["--max-memory", "much"])
            #expect(malformed.status == 64 && malformed.errors.contains("--max-memory takes a number"), "\(command)")
        }
        let report = try bench.quipu("report", "stats.db", "--max-memory", "20K")
        #expect(report.status == 0 && report.output.contains("logit lens is left out"), "\(report.output)")
        #expect(try bench.quipu("lens", "stats.db", "--max-memory", "1G").status == 0)
    }

    @Test func onePositionInFull() throws {
        let page = try bench().quipu("lens", "trace.db")
        #expect(page.status == 0 && page.errors == "")
        #expect(page.lines[0] == "Logit lens of trace.db")
        // Three of the four generated tokens were evaluated.
        #expect(page.lines[1] == "position 7, step 3: what comes after")
        #expect(page.lines.contains { $0.hasPrefix("layer  first ") })
        let rows = page.lines.filter { $0.hasPrefix("embd ") || $0.first?.isNumber == true }
        #expect(rows.map { $0.prefix(5).trimmingCharacters(in: .whitespaces) } == ["embd", "0", "1", "2", "3", "4"])
        for line in page.lines { #expect(line.count <= 80, "\(line)") }
    }

    /// After the last layer the lens says what the run recorded, to the last digit of the document.
    @Test func lastLayerIsTheRecordedOutput() throws {
        let bench = try bench()
        let found = try positions(bench.quipu("lens", "trace.db", "--positions", "4:", "--json", "--top", "20"))
        #expect(found.map { $0["position"] as? Int } == [4, 5, 6, 7])
        for position in found {
            let layers = try #require(position["layers"] as? [[String: Any]])
            #expect(layers.map { $0["layer"] as? Int } == [-1, 0, 1, 2, 3, 4])
            let top = try #require(layers.last?["top"] as? [[String: Any]])
            let step = try #require(position["step"] as? Int)
            let sql =
                "SELECT token_id, logit FROM logit JOIN pass ON pass.id = pass_id WHERE step = \(step) ORDER BY rank"
            let rows = try #require(
                try bench.quipu("sql", "trace.db", sql, "--json").object()["rows"] as? [[String: Any]])
            #expect(top.map { $0["token_id"] as? Int } == rows.map { $0["token_id"] as? Int })
            #expect(top.map { $0["logit"] as? Double } == rows.map { $0["logit"] as? Double })
            #expect(layers.last?["rank"] as? Int == 0)
        }
    }

    @Test func severalPositionsAreAGrid() throws {
        let bench = try bench()
        let page = try bench.quipu("lens", "trace.db", "--all")
        #expect(page.lines.contains { $0.hasPrefix("   at 0        1   ") })
        #expect(page.lines.contains { $0.hasPrefix("token ") } && page.output.contains("█"))
        for line in page.lines { #expect(line.count <= 80, "\(line)") }
        let followed = try bench.quipu("lens", "trace.db", "--positions", "0,2", "--token", "#3")
        #expect(followed.output.contains("Rank of ") && followed.lines.contains { $0.hasPrefix("   at 0        2") })
        #expect(try positions(bench.quipu("lens", "trace.db", "--positions", "0,2:4,-1", "--json")).count == 4)
    }

    @Test func followsATokenByTextOrNumber() throws {
        let bench = try bench()
        func followed(_ name: String) throws -> Int? {
            let layers = try positions(bench.quipu("lens", "trace.db", "--token", name, "--json"))[0]["layers"]
            return ((layers as? [[String: Any]])?.first?["followed"] as? [String: Any])?["token_id"] as? Int
        }
        let ids = try #require(
            try bench.quipu("tokenize", "model.gguf", "Once", "--no-add-special", "--json").object()["ids"] as? [Int])
        #expect(try followed("#\(ids[0])") == ids[0])
        let piece = try #require(
            try positions(bench.quipu("lens", "trace.db", "--token", "#300", "--json"))[0]["layers"] as? [[String: Any]]
        )
        let text = try #require((piece[0]["followed"] as? [String: Any])?["piece"] as? String)
        #expect(try followed(text) == 300)
    }

    @Test func recordsOnceHoweverOften() throws {
        let bench = try bench()
        func count(_ condition: String) throws -> Int? {
            try bench.row("SELECT count(*) AS n FROM logit WHERE \(condition)", of: "trace.db")["n"] as? Int
        }
        let before = try count("lens_layer IS NULL")
        for _ in 0..<2 {
            let outcome = try bench.quipu("lens", "trace.db", "--all", "--record")
            #expect(outcome.status == 0 && outcome.errors.contains("added 48 readings of the lens"))
        }
        #expect(try count("lens_layer IS NOT NULL") == 8 * 6 * 20)
        #expect(try count("lens_layer IS NULL") == before)
        // What the last layer says at a pass's last position is the real output, row for row.
        #expect(
            try count(
                """
                lens_layer = 4 AND EXISTS (SELECT 1 FROM logit AS r WHERE r.lens_layer IS NULL AND r.pass_id = logit.pass_id
                AND r.position = logit.position AND r.rank = logit.rank AND r.logit = logit.logit
                AND r.token_id = logit.token_id)
                """) == before)
    }

    @Test func problemsOfTheInput() throws {
        let bench = try bench()
        expectComplaint(
            try bench.quipu("lens", "trace.db", "--positions", "12"),
            "--positions 12: the run evaluated positions 0 to 7")
        expectComplaint(try bench.quipu("lens", "trace.db", "--positions", "x"), "Usage", status: 64)
        expectComplaint(try bench.quipu("lens", "trace.db", "--top", "0"), "--top takes 1 to 1000", status: 64)
        expectComplaint(try bench.quipu("lens", "no.db"), "no.db: there is no such trace")
        expectComplaint(try bench.quipu("lens", "model.gguf"), "found a GGUF model")
        expectComplaint(try bench.quipu("lens", "trace.db", "--token", "Once upon"), "is not one token but", "as #")
        expectComplaint(try bench.quipu("lens", "trace.db", "--token", "#512"), "ids are 0 to 511")
        expectComplaint(try bench.quipu("lens", "trace.db", "--run", "9"), "there is no run 9")
        expectComplaint(
            try bench.quipu("lens", "trace.db", "--model", TinyModel.gqa.path), "its bytes are not those", "--model")
        expectComplaint(try Workbench().quipu("lens"), "no trace was named")
    }
}
