import Foundation
import TestSupport
import Testing

/// `patch sweep --to` against runs that `trace --patch` makes step by step.
@Suite struct PathSweepTests {
    typealias Object = [String: Any]

    /// The embedded model has 4 layers, 8 heads of 32 values, 2 KV heads.
    @Test(arguments: [("query", "Qcur-3[:,6]"), ("key", "Kcur-3[:,1]"), ("value", "Vcur-3[:,1]")])
    func aCellIsTwoRunsOneAfterTheOther(input: String, address: String) throws {
        let bench = try Workbench.withPair()
        let sweep = try bench.quipu(
            "patch", "sweep", "a.db", "b.db", "--to", "3.6", "--through", input, "--metric", "#300 - #301", "--json",
            "--record")
        let object = try sweep.object()
        let cells = try #require(object["cells"] as? [Object], "\(sweep.errors)")
        #expect(cells.count == 3 * 8 && object["to"] as? String == "3.6 \(input)")
        var changes: [Double] = []
        for (layer, head) in [(0, 0), (0, 5), (1, 3), (2, 7)] {
            let part = "kqv_out-\(layer)[\(head * 32):\(head * 32 + 32)]=b.db"
            let kept = (layer + 1..<3).flatMap { ["--patch", "kqv_out-\($0)=a.db"] }
            let first = try bench.quipu(
                ["trace", "--from", "a.db", "--patch", part, "-o", "first.db", "--force"] + kept)
            #expect(first.status == 0, "\(first.errors)")
            let second = try bench.quipu(
                "trace", "--from", "a.db", "--patch", "\(address)=first.db", "--metric", "#300 - #301", "-o",
                "second.db",
                "--force", "--json")
            let expected = try #require(try second.object()["metric_value"] as? Double, "\(second.errors)")
            let cell = try #require(cells.first { $0["layer"] as? Int == layer && $0["index"] as? Int == head })
            #expect(cell["value"] as? Double == expected)
            changes.append(expected - (object["base"] as! Double))
        }
        // It does something.
        #expect(changes.contains { $0 != 0 })
        let row = try bench.row("SELECT count(*) AS n, min(receiver) AS r FROM sweep", of: "a.db")
        #expect(row["n"] as? Int == 24 && row["r"] as? String == "3.6 \(input)")
        #expect(try bench.quipu("merge", "all.db", "a.db").status == 0)
        #expect(try bench.row("SELECT count(*) AS n FROM sweep", of: "all.db")["n"] as? Int == 24)
    }

    @Test func aPageSaysIt() throws {
        let bench = try Workbench.withPair()
        let page = try bench.quipu("patch", "sweep", "a.db", "b.db", "--to", "2.1")
        #expect(page.status == 0 && page.output.contains("query of head 2.1"), "\(page.errors)")
        for line in page.lines { #expect(line.count <= 80, "\(line)") }
        // With itself, nothing changes.
        let same = try bench.quipu("patch", "sweep", "a.db", "a.db", "--to", "2.1", "--through", "value", "--json")
            .object()
        #expect((same["cells"] as? [Object])?.allSatisfy { $0["value"] as? Double == 0 } ?? false)
    }

    @Test(arguments: [
        ("9.0", "the model has layers 0 to 3"), ("2.8", "the layer has heads 0 to 7"),
        ("0.1", "no head is before layer 0"),
    ])
    func headsThatCannotReceive(head: String, part: String) throws {
        expectComplaint(
            try Workbench.withPair().quipu("patch", "sweep", "a.db", "b.db", "--to", head), "--to \(head) query", part)
    }

    @Test func wrongUsage() throws {
        let bench = try Workbench.withPair()
        for options in [
            ["--to", "2"], ["--through", "key"], ["--to", "2.1", "--through", "keys"],
            ["--to", "2.1", "--over", "layers"],
        ] {
            expectComplaint(try bench.quipu(["patch", "sweep", "a.db", "b.db"] + options), "Usage: ", status: 64)
        }
    }

    /// Experts and windows; latent attention by queries.
    @Test(arguments: ["tiny-mixtral", "tiny-gemma3", "tiny-gpt-oss", "tiny-deepseek2"])
    func otherArchitectures(name: String) throws {
        let bench = try Workbench.withPair(Places.fixture("\(name).gguf"))
        for input in ["query", "key", "value"] {
            let outcome = try bench.quipu(
                "patch", "sweep", "a.db", "b.db", "--to", "1.1", "--through", input, "--json")
            if name == "tiny-deepseek2", input != "query" {
                expectComplaint(outcome, "latent attention has no keys and values of single heads")
            } else {
                #expect(outcome.status == 0, "\(outcome.errors)")
            }
        }
    }
}
