import Foundation
import TestSupport
import Testing

/// `trace --prompts`, `--track` and `--metric`.
@Suite struct TracePromptsTests {
    typealias Object = [String: Any]

    /// What is said of a token before it comes is what table `token` says of it when it has come.
    @Test func followedTokensHaveTheProbabilitiesTheyComeWith() throws {
        let bench = try Workbench()
        let ids = try #require(
            try bench.quipu("trace", "model.gguf", "-p", "Once upon a time", "-g", "4", "--json").object()[
                "generated_ids"] as? [Int])
        let options = ["trace", "model.gguf", "-p", "Once upon a time", "-g", "4", "--logits", "all", "-o", "new.db"]
        let prompt = try #require(
            try bench.quipu("tokenize", "model.gguf", "Once upon a time", "--json").object()["ids"] as? [Int])
        let all = prompt + ids
        let object = try bench.quipu(options + Set(all).flatMap { ["--track", "#\($0)"] } + ["--json"]).object()
        let tracked = try #require(object["tracked"] as? [Object])
        // After each token but the last one, which is not evaluated.
        #expect(tracked.count == (all.count - 1) * Set(all).count)
        let rows = try #require(
            try bench.quipu(
                "sql", "new.db",
                """
                SELECT t.position, t.token_id, t.logprob, t.rank, k.rank AS tracked_rank, k.probability, k.piece,
                    t.piece AS own FROM token AS t JOIN tracked AS k ON k.position = t.position - 1
                    AND k.token_id = t.token_id AND k.run_id = t.run_id
                """, "--json"
            ).object()["rows"] as? [Object])
        #expect(rows.count == all.count - 1)
        for row in rows {
            #expect(
                row["rank"] as? Int == row["tracked_rank"] as? Int && row["piece"] as? String == row["own"] as? String)
            let (logprob, probability) = (row["logprob"] as! Double, row["probability"] as! Double)
            #expect(abs(exp(logprob) / probability - 1) < 1e-12)
        }
        #expect(try bench.quipu("verify", "new.db").status == 0)
        try changeTrace(bench.folder.path("new.db"), "UPDATE tracked SET rank = rank + 1 WHERE position = 2")
        let broken = try bench.quipu("verify", "new.db")
        #expect(broken.status == 2 && broken.output.contains("tracked"), "\(broken.status) \(broken.output)")
    }

    @Test func aPageShowsThem() throws {
        let bench = try Workbench()
        let page = try bench.quipu(
            "trace", "model.gguf", "-p", "Once upon a time", "-g", "3", "--track", ",", "--track", ",", "--metric",
            "',' - '.'")
        #expect(page.status == 0 && page.output.contains("4  Tokens that were followed"), "\(page.errors)")
        #expect(page.lines.count { $0.contains("‹,›") && $0.contains("%") && $0.contains("‹") } >= 3)
        #expect(page.output.contains("',' - '.' = "))
        for line in page.lines { #expect(line.count <= 80, "\(line)") }
        expectComplaint(
            try bench.quipu("trace", "model.gguf", "-p", "a", "--track", "once upon"), "--track 'once upon'",
            "is not one token but")
        expectComplaint(try bench.quipu("trace", "model.gguf", "-p", "a", "--track", "#99999"), "ids are 0 to")
        expectComplaint(
            try bench.quipu("trace", "model.gguf", "-p", "a", "--metric", "once"), "Usage: ", status: 64)
    }

    private static let lines = """
        {"prompt": "Once upon a time", "group": "open", "metric": "',' - ' there'"}

        {"prompt": "The dog ran to", "group": "dog"}
        {"ids": [1, 403, 407], "group": "open"}
        "Lily said"

        """

    @Test(arguments: ["all", "none"])
    func eachLineIsARunAsItWouldBeAlone(capture: String) throws {
        let bench = try Workbench()
        try bench.folder.write(Self.lines, to: "p.jsonl")
        let outcome = try bench.quipu(
            "trace", "model.gguf", "--prompts", "p.jsonl", "-g", "3", "--metric", "'.'", "--track", ",", "--capture",
            capture, "-o", "all.db", "--json")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let object = try outcome.object()
        let runs = try #require(object["runs"] as? [Object])
        #expect(runs.map { $0["line"] as? Int } == [1, 3, 4, 5] && runs.map { $0["run"] as? Int } == [1, 2, 3, 4])
        let alone = [
            ["-p", "Once upon a time", "--metric", "',' - ' there'"], ["-p", "The dog ran to", "--metric", "'.'"],
            ["--ids", "1,403,407", "--metric", "'.'"], ["-p", "Lily said", "--metric", "'.'"],
        ]
        for (number, options) in alone.enumerated() {
            let trace = "one\(number).db"
            let one = try bench.quipu(
                ["trace", "model.gguf", "-g", "3", "--track", ",", "--capture", capture, "-o", trace, "--json"]
                    + options
            ).object()
            let run = runs[number]
            #expect(run["generated_ids"] as? [Int] == one["generated_ids"] as? [Int])
            #expect(run["metric_value"] as? Double == one["metric_value"] as? Double)
            #expect((run["tracked"] as? NSArray) == (one["tracked"] as? NSArray))
            for query in [
                "SELECT prompt, metric, metric_value, capture, seed, complete FROM run WHERE id = %",
                "SELECT position, token_id, logprob, rank FROM token WHERE run_id = % ORDER BY 1",
                "SELECT position, token_id, rank, logit, probability FROM tracked WHERE run_id = % ORDER BY 1",
                "SELECT step, rank, token_id, logit FROM logit JOIN pass ON pass.id = pass_id WHERE run_id = % ORDER BY 1, 2",
                """
                SELECT step, seq, chunk, hex(data) AS d FROM tensor JOIN op ON op.id = op_id JOIN pass ON pass.id = pass_id
                WHERE run_id = % ORDER BY 1, 2, 3
                """,
            ] {
                let together = try bench.quipu("sql", "all.db", query.replacing("%", with: "\(number + 1)"), "--json")
                let apart = try bench.quipu("sql", trace, query.replacing("%", with: "1"), "--json")
                let (x, y) = (try together.object()["rows"], try apart.object()["rows"])
                #expect((x as? NSArray) == (y as? NSArray), "\(query)")
            }
        }
        // One file: a model, its runs, all of them complete; what reads traces reads it.
        let row = try bench.row(
            "SELECT count(*) AS n, sum(complete) AS c, count(DISTINCT model_id) AS m, count(prompt_group) AS g FROM run",
            of: "all.db")
        #expect(row as? [String: Int] == ["n": 4, "c": 4, "m": 1, "g": 3])
        #expect(try bench.quipu("verify", "all.db", "--run", "2").status == 0)
        // Groups: means of what their runs have.
        let groups = try #require(object["groups"] as? [Object])
        #expect(groups.map { $0["group"] as? String } == ["open", "dog", nil])
        let values = runs.map { $0["metric_value"] as! Double }
        #expect(abs((groups[0]["mean"] as! Double) - (values[0] + values[2]) / 2) < 1e-12)
        #expect(abs((groups[0]["standard_error"] as! Double) - abs(values[0] - values[2]) / 2) < 1e-12)
        #expect(groups[1]["standard_error"] is NSNull && groups[0]["n"] as? Int == 2)
        // The metric is what the recorded logits say: ',' and ' there' are tokens of their own.
        if capture == "all" {
            func id(_ text: String) throws -> Int {
                let pieces = try bench.quipu(
                    "trace", "model.gguf", "-p", "a", "--track", text, "--json", "-o", "t.db", "--force")
                return ((try pieces.object()["tracked"] as! [Object])[0]["token_id"] as! Int)
            }
            let logits = try bench.row(
                """
                SELECT f32(data, \(try id(","))) - f32(data, \(try id(" there"))) AS d FROM op
                JOIN tensor ON op_id = op.id JOIN pass ON pass.id = pass_id
                WHERE op.name = 'result_output' AND step = 0 AND run_id = 1
                """, of: "all.db")
            #expect(logits["d"] as? Double == values[0])
        }
        let page = try bench.quipu(
            "trace", "model.gguf", "--prompts", "p.jsonl", "--metric", "'.'", "--track", ",", "-o", "all.db", "--force")
        #expect(page.status == 0 && page.output.contains("(4 runs,") && page.output.contains("± one se"))
        for line in page.lines where !line.contains(".db") { #expect(line.count <= 80, "\(line)") }
    }

    @Test(arguments: [
        ("", "found no line"), ("{\"prompt\": \"a\"}\n{", "p.jsonl: line 2: found what is no JSON"),
        ("[1]", "line 1: found JSON of another kind"), ("\n7", "line 2: found JSON of another kind"),
        ("{\"promt\": \"a\"}", "line 1: found the key \"promt\", expected prompt, ids, chat"),
        ("{\"group\": \"a\"}", "line 1: found none, expected one of \"prompt\", \"ids\" and \"chat\""),
        ("{\"prompt\": \"a\", \"ids\": [1]}", "found \"prompt\" and \"ids\""),
        ("{\"prompt\": 3}", "line 1: \"prompt\" is no text"), ("{\"prompt\": null}", "\"prompt\" is null"),
        ("{\"ids\": [1.5]}", "\"ids\" is no array of token ids"), ("{\"ids\": []}", "\"ids\" is no array"),
        ("{\"ids\": [1, 99999]}", "line 1: model.gguf: --ids: number 2 is 99999"),
        ("{\"prompt\": \"a\", \"system\": \"b\"}", "\"system\" goes with \"chat\""),
        ("{\"chat\": \"a\"}", "line 1: "), ("{\"prompt\": \"a\", \"metric\": \"b\"}", "line 1: "),
        ("{\"prompt\": \"a\", \"metric\": \"'once upon'\"}", "is not one token"),
        ("{\"prompt\": \"a\", \"group\": []}", "\"group\" is no text"),
        ("\"a\"\n\"\(String(repeating: "once upon a time ", count: 300))\"", "line 2: "),
    ])
    func linesThatCannotBeRun(text: String, part: String) throws {
        let bench = try Workbench()
        try bench.folder.write(text, to: "p.jsonl")
        expectComplaint(try bench.quipu("trace", "model.gguf", "--prompts", "p.jsonl", "-o", "new.db"), "p.jsonl", part)
        #expect(!bench.exists("new.db"))
    }

    @Test func manyAtOnce() throws {
        let bench = try Workbench()
        try bench.folder.write(Self.lines, to: "p.jsonl")
        expectComplaint(try bench.quipu("trace", "model.gguf", "--prompts", "none.jsonl"), "none.jsonl")
        for more in [["-p", "a"], ["--from", "trace.db"], ["--file", "a"], ["--ids", "1"]] {
            expectComplaint(
                try bench.quipu(["trace", "model.gguf", "--prompts", "p.jsonl"] + more), "--prompts has all prompts",
                status: 64)
        }
        // Changes are made in each run, and checked for each.
        let changed = try bench.quipu(
            "trace", "model.gguf", "--prompts", "p.jsonl", "--set", "l_out-1[:,3]=0", "-o", "new.db")
        expectComplaint(changed, "p.jsonl: line 4: ", "lies outside")
        #expect(!bench.exists("new.db"))
        #expect(
            try bench.quipu("trace", "model.gguf", "--prompts", "p.jsonl", "--set", "l_out-1=0", "-o", "new.db").status
                == 0)
        #expect(try bench.row("SELECT count(*) AS n FROM intervention", of: "new.db")["n"] as? Int == 4)
        // What the estimate says comes true within a tenth, of many runs too.
        let prompts = String(repeating: "\"Once upon a time there was a dog\"\n", count: 20)
        try bench.folder.write(prompts, to: "many.jsonl")
        for capture in ["stats", "all"] {
            let options = ["trace", "model.gguf", "--prompts", "many.jsonl", "-g", "3", "--capture", capture, "--json"]
            let said = try bench.quipu(options + ["--estimate"]).object()
            let made = try bench.quipu(options + ["-o", "\(capture).db"]).object()
            let ratio = Double(said["size_bytes"] as! Int) / Double(made["size_bytes"] as! Int)
            #expect((0.9...1.1).contains(ratio) && said["prompts"] as? Int == 20, "\(capture) \(ratio)")
        }
        expectComplaint(
            try bench.quipu("trace", "model.gguf", "--prompts", "many.jsonl", "--max-size", "1M", "-o", "x.db"),
            "--max-size")
        // From a pipe, and added to a trace that is there.
        let piped = try bench.shell("cat p.jsonl | quipu trace model.gguf --prompts - -o new.db --append --json")
        #expect(piped.status == 0, "\(piped.errors)")
        #expect(try bench.row("SELECT count(*) AS n FROM run", of: "new.db")["n"] as? Int == 8)
        let bad = try bench.shell("echo '{' | quipu trace model.gguf --prompts - -o y.db")
        expectComplaint(bad, "standard input: line 1: ")
    }

    @Test func conversations() throws {
        let bench = try Workbench()
        try bench.addChatModel()
        try bench.folder.write("{\"chat\": \"Who are you?\", \"system\": \"Be brief.\"}\n", to: "p.jsonl")
        let object = try bench.quipu(
            "trace", "chat.gguf", "--prompts", "p.jsonl", "-g", "2", "-o", "a.db", "--json"
        ).object()
        let alone = try bench.quipu(
            "trace", "chat.gguf", "--chat", "Who are you?", "--system", "Be brief.", "-g", "2", "-o", "b.db", "--json"
        ).object()
        let run = try #require((object["runs"] as? [Object])?.first)
        #expect(run["generated_ids"] as? [Int] == alone["generated_ids"] as? [Int])
        #expect(run["prompt_tokens"] as? Int == (alone["prompt_ids"] as? [Int])?.count)
    }

    /// Experts, windows, latent attention.
    @Test(arguments: ["tiny-mixtral", "tiny-gemma3", "tiny-deepseek2", "tiny-gpt-oss"])
    func otherArchitectures(name: String) throws {
        let bench = try Workbench(Places.fixture("\(name).gguf"))
        try bench.folder.write(
            "{\"ids\": [3, 4, 5], \"group\": 1}\n{\"ids\": [5, 4, 3, 2], \"group\": 2}\n", to: "p.jsonl")
        let outcome = try bench.quipu(
            "trace", "model.gguf", "--prompts", "p.jsonl", "-g", "3", "--metric", "#7 - #8", "--track", "#9", "-o",
            "a.db", "--logits", "all", "--json")
        let runs = try #require(try outcome.object()["runs"] as? [Object], "\(outcome.errors)")
        // One for each token of the prompt but the first, and one for each pass, of which a last token ends the run.
        for (number, run) in zip(1..., runs) {
            let passes =
                try bench.row("SELECT count(*) AS n FROM pass WHERE run_id = \(number)", of: "a.db")["n"] as? Int
            #expect((run["tracked"] as? [Object])?.count == [3, 4][number - 1] - 1 + (try #require(passes)))
        }
        #expect(runs.count == 2)
        #expect(try bench.quipu("verify", "a.db").status == 0)
    }
}
