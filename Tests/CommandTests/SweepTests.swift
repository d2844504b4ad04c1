import Foundation
import TestSupport
import Testing

/// `patch sweep` and `ablate sweep` against `trace --patch` and `trace --set`.
@Suite struct SweepTests {
    typealias Object = [String: Any]

    private func cells(_ object: Object) throws -> [Object] { try #require(object["cells"] as? [Object]) }

    /// The logit of a token at the end of the prompt, of a trace.
    private func logit(_ bench: Workbench, _ trace: String, _ token: Int) throws -> Double {
        let shown = try bench.quipu("show", trace, "result_output[\(token)]", "--json").object()
        return try #require((shown["values"] as? [Any])?.compactMap { $0 as? Double }.first)
    }

    /// Each cell is what a whole run with that change says; `show` prints a Float's shortest digits.
    @Test func aCellIsARunWithThatChange() throws {
        let bench = try Workbench.withPair()
        let heads = try bench.quipu("patch", "sweep", "a.db", "b.db", "--metric", "#300 - #301", "--json").object()
        let all = try cells(heads)
        #expect(all.count == 4 * 8)
        for (layer, head) in [(0, 0), (1, 5), (3, 7)] {
            let (from, to) = (head * 32, head * 32 + 32)
            let run = try bench.quipu(
                "trace", "--from", "a.db", "--patch", "kqv_out-\(layer)[\(from):\(to)]=b.db", "-o", "c.db", "--force")
            #expect(run.status == 0, "\(run.errors)")
            let expected = try logit(bench, "c.db", 300) - logit(bench, "c.db", 301)
            let cell = try #require(all.first { $0["layer"] as? Int == layer && $0["index"] as? Int == head })
            #expect(abs(try #require(cell["value"] as? Double) - expected) < 1e-6)
        }
        let share = try #require(heads["evaluated_share"] as? Double)
        #expect(share < 0.7)
        let zero = try bench.quipu(
            "ablate", "sweep", "a.db", "--over", "layers", "--metric", "#300 - #301", "--json"
        ).object()
        let run = try bench.quipu("trace", "--from", "a.db", "--set", "ffn_out-2=0", "-o", "c.db", "--force")
        #expect(run.status == 0, "\(run.errors)")
        let expected = try logit(bench, "c.db", 300) - logit(bench, "c.db", 301)
        let cell = try #require(try cells(zero).first { $0["layer"] as? Int == 2 && $0["index"] as? Int == 1 })
        #expect(abs(try #require(cell["value"] as? Double) - expected) < 1e-6)
    }

    @Test func cellsAreRecorded() throws {
        let bench = try Workbench.withPair()
        for _ in 0..<2 {
            let sweep = try bench.quipu("patch", "sweep", "a.db", "b.db", "--over", "layers", "--record", "--json")
            #expect(sweep.status == 0 && sweep.errors.contains("table sweep"), "\(sweep.errors)")
            let row = try bench.row(
                "SELECT count(*) AS n, sum(value) AS sum, min(source) AS source FROM sweep", of: "a.db")
            #expect(row["n"] as? Int == 8 && row["source"] as? String == "b.db")
            let sum = try cells(try sweep.object()).reduce(0) { $0 + ($1["value"] as! Double) }
            #expect(abs(try #require(row["sum"] as? Double) - sum) < 1e-9)
        }
        #expect(try bench.quipu("verify", "a.db").status == 0)
        #expect(try bench.quipu("merge", "all.db", "a.db", "b.db").status == 0)
        #expect(try bench.row("SELECT count(*) AS n FROM sweep", of: "all.db")["n"] as? Int == 8)
    }

    /// The stream of all later layers at the last position is all that a prediction is made of.
    @Test func theStreamAtTheEndIsAll() throws {
        let bench = try Workbench.withPair()
        let object = try bench.quipu("patch", "sweep", "a.db", "b.db", "--over", "positions", "--json").object()
        let other = try #require(object["other"] as? Double)
        let last = try cells(object).filter { $0["layer"] as? Int == 3 }
        #expect(last.count == 1)
        #expect(abs(try #require(last[0]["value"] as? Double) - other) < 1e-12)
        // What is the same in both prompts changes nothing: the position before the first difference.
        let first = try #require(try cells(object).first { $0["layer"] as? Int == 0 && $0["index"] as? Int == 0 })
        #expect(try #require(first["value"] as? Double) < 1e-12)
    }

    @Test func positionsAreChosen() throws {
        let bench = try Workbench.withPair()
        func values(_ positions: String) throws -> [Double] {
            try cells(
                bench.quipu("ablate", "sweep", "a.db", "--positions", positions, "--with", "mean", "--json").object()
            ).compactMap { $0["value"] as? Double }
        }
        #expect(try values("-1") != values(":"))
        let page = try bench.quipu("ablate", "sweep", "a.db", "--over", "heads", "--metric", "#300")
        #expect(page.status == 0 && page.output.contains("layers down"))
        for line in page.lines { #expect(line.count <= 80, "\(line)") }
    }

    @Test func expertsAreTakenAway() throws {
        let bench = try Workbench.withPair(Places.fixture("tiny-mixtral.gguf"))
        let object = try bench.quipu("ablate", "sweep", "a.db", "--over", "experts", "--json").object()
        #expect(try cells(object).contains { ($0["value"] as! Double) > 0 })
        let dense = try Workbench.withPair()
        expectComplaint(
            try dense.quipu("ablate", "sweep", "a.db", "--over", "experts"), "model.gguf: found no experts to change")
    }

    /// Windows and latent attention: parts are found by their roles.
    @Test(arguments: ["tiny-gemma3.gguf", "tiny-deepseek2.gguf", "tiny-gpt-oss.gguf"])
    func architectures(fixture: String) throws {
        let bench = try Workbench.withPair(Places.fixture(fixture))
        for over in ["heads", "layers", "positions"] {
            let object = try bench.quipu("patch", "sweep", "a.db", "b.db", "--over", over, "--json").object()
            #expect(try !cells(object).isEmpty, "\(over)")
        }
    }

    /// Indirect object identification: head 23.3 moves the name.
    @Test(.enabled(if: Places.runsSmolLM2, "\(Places.smolLM2Hint)"))
    func theHeadThatMovesTheName() throws {
        let bench = try Workbench(Places.smolLM2)
        for (name, giver) in [("a", "John"), ("b", "Mary")] {
            let prompt = "When Mary and John went to the store, \(giver) gave a drink to"
            let trace = ["trace", "model.gguf", "-p", prompt, "--capture", "none", "-o", "\(name).db"]
            #expect(try bench.quipu(trace).status == 0)
        }
        let object = try bench.quipu(
            "patch", "sweep", "a.db", "b.db", "--metric", "' Mary' - ' John'", "--positions", "-1", "--json"
        ).object()
        let all = try cells(object)
        #expect(all.count == 30 * 9)
        let worst = try #require(all.min { ($0["change"] as! Double) < ($1["change"] as! Double) })
        #expect(worst["layer"] as? Int == 23 && worst["index"] as? Int == 3)
        // From where the name is likeliest to where the other one is.
        #expect(abs(try #require(object["base"] as? Double) - 6.08) < 0.01)
        #expect(abs(try #require(worst["value"] as? Double) + 0.79) < 0.01)
    }

    @Test func whatIsWrongIsSaid() throws {
        let bench = try Workbench.withPair()
        #expect(try bench.quipu("trace", "model.gguf", "-p", "Mia has", "-o", "short.db").status == 0)
        expectComplaint(try bench.quipu("patch", "sweep", "a.db", "short.db"), "a.db", "short.db", "as many tokens")
        expectComplaint(try bench.quipu("patch", "sweep", "a.db", "none.db"), "none.db")
        expectComplaint(try bench.quipu("patch", "sweep", "a.db", "model.gguf"), "model.gguf")
        expectComplaint(try bench.quipu("ablate", "sweep", "a.db", "--metric", "'nosuchword'"), "--metric 'nosuchword'")
        expectComplaint(try bench.quipu("ablate", "sweep", "a.db", "--metric", "#999999"), "--metric #999999")
        expectComplaint(try bench.quipu("ablate", "sweep", "a.db", "--positions", "99"), "--positions 99")
        expectComplaint(try bench.quipu("ablate", "sweep", "a.db", "--metric", "' a' ' b'"), "is not one token")
        for wrong in ["Mary", "", "+", "' a' -", "#", "'"] {
            expectComplaint(try bench.quipu("ablate", "sweep", "a.db", "--metric", wrong), "Usage: ", status: 64)
        }
        let other = try Workbench.withPair(TinyModel.stories.path)
        expectComplaint(
            try bench.quipu("patch", "sweep", "a.db", other.folder.path("a.db")), "different models")
    }
}
