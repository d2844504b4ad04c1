import TestSupport
import Testing

/// `explain logit --over-runs`: the mean over the runs of a trace is that of the runs one by one.
@Suite struct OverRunsTests {
    private func bench(metric: String? = nil) throws -> Workbench {
        let bench = try Workbench()
        try bench.folder.write(
            """
            {"prompt": "Once upon a time", "group": "story"}
            {"prompt": "The dog ran to", "group": "dog"}
            {"prompt": "Once there was a girl", "group": "story"}

            """, to: "prompts.jsonl")
        let words = ["trace", "model.gguf", "--prompts", "prompts.jsonl", "-o", "many.db"]
        #expect(try bench.quipu(words + (metric.map { ["--metric", $0] } ?? [])).status == 0)
        return bench
    }

    private func parts(_ object: [String: Any]) throws -> [[String: Any]] {
        try #require(object["parts"] as? [[String: Any]])
    }

    @Test func meansAreThoseOfTheRuns() throws {
        let bench = try bench(metric: "#5")
        var values: [String: [Double]] = [:]
        for run in 1...3 {
            let one = try bench.quipu("explain", "logit", "many.db", "--run", "\(run)", "--token-id", "5", "--json")
            for part in try parts(one.object()) {
                values[part["name"] as! String, default: []].append(part["value"] as! Double)
            }
        }
        let all = try bench.quipu("explain", "logit", "many.db", "--over-runs", "--json").object()
        #expect((all["runs"] as? [[String: Any]])?.map { $0["token_id"] as? Int } == [5, 5, 5])
        let found = try parts(all)
        #expect(Set(found.map { $0["name"] as! String }) == Set(values.keys))
        for part in found {
            let own = try #require(values[part["name"] as! String])
            let mean = own.reduce(0, +) / 3
            let sd = (own.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 2).squareRoot()
            // Sums of three numbers that went through JSON.
            #expect(abs((part["mean"] as! Double) - mean) <= 1e-12 * (1 + abs(mean)) && part["n"] as? Int == 3)
            #expect(abs((part["sd"] as! Double) - sd) <= 1e-12 * (1 + sd))
        }
    }

    @Test func groupsAndTokens() throws {
        let bench = try bench(metric: "#5 - #6")
        let story = try bench.quipu("explain", "logit", "many.db", "--over-runs", "--group", "story", "--json").object()
        let runs = try #require(story["runs"] as? [[String: Any]])
        #expect(runs.map { $0["run"] as? Int } == [1, 3] && runs.map { $0["against_id"] as? Int } == [6, 6])
        let page = try bench.quipu("explain", "logit", "many.db", "--over-runs")
        #expect(
            page.output.contains("3 runs, differences of logits") && page.output.contains("The heads that add most"))
        for line in page.lines { #expect(line.count <= 80, "\(line)") }
        expectComplaint(
            try bench.quipu("explain", "logit", "many.db", "--over-runs", "--group", "cat"), "'cat'", "'dog', 'story'")
        for wrong in [["--over-runs", "--step", "1"], ["--over-runs", "--run", "1"], ["--group", "story"]] {
            #expect(try bench.quipu(["explain", "logit", "many.db"] + wrong).status == 64)
        }
    }

    /// Without a metric, each run's most probable token.
    @Test func theMostProbableToken() throws {
        let bench = try bench()
        let all = try bench.quipu("explain", "logit", "many.db", "--over-runs", "--json").object()
        for run in try #require(all["runs"] as? [[String: Any]]) {
            let one = try bench.quipu("explain", "logit", "many.db", "--run", "\(run["run"] as! Int)", "--json")
                .object()
            #expect(run["token_id"] as? Int == one["token_id"] as? Int)
        }
    }
}
