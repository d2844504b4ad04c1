import Foundation
import TestSupport
import Testing

/// The page's file and its data; `Tests/Browser` looks at it in a browser.
@Suite struct ReportTests {
    /// The data that the page's script reads.
    private func data(in bench: Workbench, _ name: String = "report.html") throws -> [String: Any] {
        let page = String(decoding: try bench.bytes(name), as: UTF8.self)
        let opening = try #require(page.range(of: "<script type=\"application/json\" id=\"data\">"))
        let rest = page[opening.upperBound...]
        let text = rest[..<(try #require(rest.range(of: "</script>"))).lowerBound]
        return try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    @Test func aPageNeedsNothingElse() throws {
        let bench = try Workbench()
        try bench.addTrace("t.db")
        let outcome = try bench.quipu("report", "t.db")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output.hasPrefix("Written: report.html ("))
        let page = String(decoding: try bench.bytes("report.html"), as: UTF8.self)
        #expect(page.hasPrefix("<!DOCTYPE html>") && page.contains("<title>Quipu: Once upon a time</title>"))
        for outside in ["http://", "https://", " src=", "@import", "url(", "<link"] {
            let match = page.range(of: outside)
            // The namespace of SVG is a name, not an address that a browser goes to.
            let isName = match.map { page[$0.lowerBound...].hasPrefix("http://www.w3.org/2000/svg") } ?? true
            #expect(isName, "\(outside)")
        }
    }

    @Test func documentsSayWhereAndWhatIsLeftOut() throws {
        let bench = try Workbench()
        try bench.addTrace("t.db")
        let object = try bench.quipu("report", "t.db", "-o", "a.html", "--json").object()
        #expect(object["report"] as? String == "a.html" && object["trace"] as? String == "t.db")
        #expect(object["size_bytes"] as? Int == (try bench.bytes("a.html")).count)
        #expect((object["notes"] as? [String])?.contains { $0.contains("largest magnitude") } == true)
    }

    /// Text of the trace cannot end the script element it is in.
    @Test func textIsEscaped() throws {
        let bench = try Workbench()
        let prompt = "</script><b>\"&"
        try bench.quipu("trace", "model.gguf", "--prompt", prompt, "--output", "t.db")
        #expect(try bench.quipu("report", "t.db").status == 0)
        let run = try #require(try data(in: bench)["run"] as? [String: Any])
        #expect(run["prompt"] as? String == prompt)
        let page = String(decoding: try bench.bytes("report.html"), as: UTF8.self)
        #expect(page.contains("<title>Quipu: &lt;/script&gt;&lt;b&gt;&quot;&amp;</title>"))
        #expect(page.components(separatedBy: "</script>").count == 3)
    }

    /// Of a model with experts, every choice; of others, nothing.
    @Test func experts() throws {
        let bench = try Workbench(TinyModel.mixtral.path)
        try bench.quipu("trace", "model.gguf", "-p", "Once upon a time", "--generate", "2", "-o", "t.db")
        #expect(try bench.quipu("report", "t.db").status == 0)
        let experts = try #require(try data(in: bench)["experts"] as? [String: Any])
        let row = try bench.row("SELECT count(*) AS n, sum(expert) AS s FROM expert_choice", of: "t.db")
        let chosen = try #require(experts["expert"] as? [Int])
        #expect(chosen.count == row["n"] as? Int && chosen.reduce(0, +) == row["s"] as? Int)
        let dense = try Workbench()
        try dense.addTrace("t.db")
        try dense.quipu("report", "t.db")
        #expect(try data(in: dense)["experts"] == nil)
    }

    /// The numbers of `explain logit`, of two tokens.
    @Test(arguments: [TinyModel.stories, .mixtral])
    func attributionIsThatOfTheCommand(model: TinyModel) throws {
        let bench = try Workbench(model.path)
        try bench.quipu("trace", "model.gguf", "-p", "Once upon a time", "--generate", "2", "-o", "t.db")
        #expect(try bench.quipu("report", "t.db").status == 0)
        let attribution = try #require(try data(in: bench)["attribution"] as? [String: Any])
        let tokens = try #require(attribution["tokens"] as? [[String: Any]])
        #expect(tokens.count == 2)
        for token in tokens {
            let told = try bench.quipu(
                "explain", "logit", "t.db", "--token-id", "\(token["token_id"]!)", "--neurons", "0", "--json"
            ).object()
            func near(_ a: Double, _ b: Double) -> Bool { abs(a - b) <= 1e-5 * max(1, abs(b)) }
            #expect(near(token["logit"] as! Double, told["logit"] as! Double))
            let parts = try #require(told["parts"] as? [[String: Any]])
            let heads = try #require(token["heads"] as? [[Double]])
            for part in parts where part["head"] is Int {
                #expect(near(heads[part["layer"] as! Int][part["head"] as! Int], part["value"] as! Double))
            }
            let layers = try #require(told["layers"] as? [[String: Any]])
            let forward = try #require(token["feed_forward"] as? [Double])
            #expect(layers.count == forward.count)
            for (layer, value) in zip(layers, forward) { #expect(near(value, layer["feed_forward"] as! Double)) }
            let attention = try #require(token["attention"] as? [Double])
            let sum = (token["embedding"] as! Double) + forward.reduce(0, +) + attention.reduce(0, +)
            #expect(near(sum + (token["rest"] as! Double), token["logit"] as! Double))
        }
        // Without the model the page has no such view; with too little memory it says so.
        let small = try bench.quipu("report", "t.db", "-o", "s.html", "--max-memory", "20K")
        #expect(small.output.contains("attribution is left out"), "\(small.output)")
    }

    @Test func tablesAreAllThere() throws {
        let bench = try Workbench()
        try bench.addTrace("t.db")
        try bench.quipu("report", "t.db")
        let data = try data(in: bench)
        let passes = try #require(data["passes"] as? [[String: Any]])
        let counts = try bench.row(
            "SELECT (SELECT count(*) FROM pass) AS passes, (SELECT count(*) FROM op) AS ops, "
                + "(SELECT count(*) FROM weight) AS weights, (SELECT count(*) FROM token) AS tokens", of: "t.db")
        #expect(passes.count == counts["passes"] as? Int)
        let operations = passes.compactMap { ($0["operations"] as? [String: Any])?["ns"] as? [Int] }
        #expect(operations.reduce(0) { $0 + $1.count } == counts["ops"] as? Int)
        #expect(((data["weights"] as? [String: Any])?["name"] as? [String])?.count == counts["weights"] as? Int)
        #expect(((data["tokens"] as? [String: Any])?["piece"] as? [String])?.count == counts["tokens"] as? Int)
        // All passes of this model evaluate the same operations.
        #expect((data["graphs"] as? [Any])?.count == 1)
    }

    @Test func recordedErrorsComeBeforeMeasuredOnes() throws {
        let bench = try Workbench(TinyModel.kQuants.path)
        try bench.quipu("trace", "model.gguf", "--prompt", "a", "--output", "t.db")
        try bench.quipu("report", "t.db", "--as", "Q8_0,q4_0")
        let measured = try #require(try data(in: bench)["quantisation"] as? [String: Any])
        #expect(measured["is_recorded"] as? Bool == false)
        #expect((measured["formats"] as? [String]).map(Set.init) == ["Q8_0", "Q4_0"])
        try bench.quipu("quant", "errors", "model.gguf", "--as", "Q5_1", "--output", "t.db")
        try bench.quipu("report", "t.db", "--force")
        let recorded = try #require(try data(in: bench)["quantisation"] as? [String: Any])
        #expect(recorded["is_recorded"] as? Bool == true && recorded["formats"] as? [String] == ["Q5_1"])
        let errors = try #require(recorded["errors"] as? [String: Any])
        let row = try bench.row("SELECT count(*) AS n, sum(rmse) AS sum FROM quant_error", of: "t.db")
        let rmse = try #require(errors["rmse"] as? [Double])
        #expect(rmse.count == row["n"] as? Int)
        // Rounded to six digits each.
        let sum = try #require(row["sum"] as? Double)
        #expect(abs(rmse.reduce(0, +) - sum) < 1e-5 * sum)
    }

    @Test func aModelThatIsGoneIsSaid() throws {
        let bench = try Workbench()
        try bench.addTrace("t.db")
        try FileManager.default.moveItem(
            atPath: bench.folder.path("model.gguf"), toPath: bench.folder.path("moved.gguf"))
        let outcome = try bench.quipu("report", "t.db")
        #expect(outcome.status == 0 && outcome.output.contains("Of the weights"))
        var quantisation = try #require(try data(in: bench)["quantisation"] as? [String: Any])
        #expect((quantisation["missing"] as? String)?.contains("report --model") == true)
        #expect((quantisation["tensors"] as? [Any])?.isEmpty == true)
        try bench.quipu("report", "t.db", "--model", "moved.gguf", "--force")
        quantisation = try #require(try data(in: bench)["quantisation"] as? [String: Any])
        #expect(quantisation["missing"] == nil && (quantisation["tensors"] as? [Any])?.isEmpty == false)
        // Who names a file wants that one.
        let before = try bench.bytes("report.html")
        let other = try bench.quipu("report", "t.db", "--model", TinyModel.gqa.path, "--force")
        expectComplaint(other, TinyModel.gqa.path, "other tensors")
        expectComplaint(
            try bench.quipu("report", "t.db", "--model", "none.gguf", "--force"), "none.gguf", "no such file")
        #expect(try bench.bytes("report.html") == before)
    }

    @Test(arguments: ["none", "stats", "last"])
    func tracesWithLessInThem(capture: String) throws {
        let bench = try Workbench()
        try bench.quipu(
            "trace", "model.gguf", "--prompt", "Once upon", "--capture", capture, "--generate", "2", "--output", "t.db")
        let outcome = try bench.quipu("report", "t.db")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let data = try data(in: bench)
        let passes = try #require(data["passes"] as? [[String: Any]])
        #expect(passes.allSatisfy { ($0["operations"] == nil) == (capture == "none") })
        #expect((data["attention"] == nil) == (capture == "none"))
        let patterns = (data["attention"] as? [String: Any])?["patterns"] as? [Any]
        #expect((patterns?.isEmpty ?? true) == (capture != "last"))
    }

    /// Other runs beside the page's are compared as `diff` compares them.
    @Test func otherRuns() throws {
        let bench = try Workbench()
        try bench.addTrace("t.db")
        let changed = try bench.quipu("trace", "--from", "t.db", "--scale", "ffn_out-1=0", "-o", "child.db")
        #expect(changed.status == 0)
        #expect(try bench.quipu("report", "t.db", "--against", "child.db", "--against", "t.db#1").status == 0)
        let found = try #require(try data(in: bench)["comparisons"] as? [[String: Any]])
        let told = try bench.quipu("diff", "t.db", "child.db", "--json").object()
        let first = try #require(told["first_divergence"] as? [String: Any])
        #expect(found.count == 2 && found[1]["is_identical"] as? Bool == true && found[1]["first"] == nil)
        #expect((found[0]["first"] as? [String: Any])?["name"] as? String == first["name"] as? String)
        #expect(
            found[0]["flips"] as? Int == told["flips"] as? Int && found[0]["steps"] as? Int == told["steps"] as? Int)
        try bench.quipu("trace", "model.gguf", "--prompt", "Once", "--output", "short.db")
        expectComplaint(try bench.quipu("report", "t.db", "--against", "short.db", "-o", "s.html"), "cannot be paired")
        expectComplaint(try bench.quipu("report", "t.db", "--against", "none.db", "-o", "s.html"), "none.db")
        expectComplaint(try bench.quipu("report", "t.db", "--against", "child.db#9", "-o", "s.html"), "9")
        #expect(!bench.exists("s.html"))
    }

    @Test func onlyAPageIsReplaced() throws {
        let bench = try Workbench()
        try bench.addTrace("t.db")
        try bench.quipu("report", "t.db")
        let before = try bench.bytes("report.html")
        expectComplaint(try bench.quipu("report", "t.db", "-o", "-"), "give it a name, as in -o report.html")
        #expect(!bench.exists("-"))
        expectComplaint(try bench.quipu("report", "t.db"), "report.html exists already", "--force")
        #expect(try bench.bytes("report.html") == before)
        #expect(try bench.quipu("report", "t.db", "--force").status == 0)
        for file in ["t.db", "model.gguf"] {
            let bytes = try bench.bytes(file)
            expectComplaint(try bench.quipu("report", "t.db", "-o", file, "--force"), "\(file): found something else")
            #expect(try bench.bytes(file) == bytes)
        }
    }

    @Test func faultsOfTheInput() throws {
        let bench = try Workbench()
        expectComplaint(try bench.quipu("report"), "no trace was named")
        expectComplaint(try bench.quipu("report", "nowhere.db"), "there is no such trace")
        expectComplaint(try bench.quipu("report", "model.gguf"), "a GGUF model")
        try bench.addTrace("t.db")
        expectComplaint(try bench.quipu("report", "t.db", "-o", "no/such.html"), "no folder")
        expectComplaint(try bench.quipu("report", "t.db", "--run", "7"), "7")
        expectComplaint(try bench.quipu("report", "t.db", "--as", "Q9"), "Q9")
        expectComplaint(try bench.quipu("report", "t.db", "--model", "t.db"), "t.db")
        #expect(!bench.exists("report.html"))
    }

    @Test(.enabled(if: Places.runsSmolLM2, Comment(rawValue: Places.smolLM2Hint)))
    func aLongPromptOfARealModelStaysSmall() throws {
        let bench = try Workbench(Places.smolLM2)
        let prompt = String(repeating: "The river runs from the mountain to the sea. ", count: 20)
        try bench.quipu("trace", "model.gguf", "--prompt", prompt, "--generate", "2", "--output", "t.db")
        let object = try bench.quipu("report", "t.db", "--json").object()
        #expect(try #require(object["size_bytes"] as? Int) < 5_000_000)
        let notes = try #require(object["notes"] as? [String])
        #expect(
            notes.contains { $0.contains("Attention patterns") } && notes.contains { $0.contains("Summaries of heads") }
        )
    }
}
