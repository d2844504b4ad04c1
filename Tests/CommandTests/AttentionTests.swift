import Foundation
import TestSupport
import Testing

@Suite struct AttentionTests {
    private func bench() throws -> Workbench {
        let bench = try Workbench()
        try bench.addTrace()
        return bench
    }

    private func heads(_ outcome: Outcome) throws -> [[String: Any]] {
        try #require(try outcome.object()["heads"] as? [[String: Any]], "\(outcome.errors)")
    }

    @Test func allHeadsInATable() throws {
        let bench = try bench()
        let page = try bench.quipu("attention", "trace.db")
        #expect(page.status == 0 && page.errors == "")
        #expect(page.lines[0] == "Attention heads of trace.db")
        #expect(page.output.contains("over 8 tokens of the trace, as recorded"))
        // 40 heads, with the KV head that each reads.
        #expect(page.lines.count { $0.contains(#/^[0-4]\.[0-7]    [0-3]  /#) } == 40)
        for line in page.lines { #expect(line.count <= 80, "\(line)") }
        #expect(try heads(bench.quipu("attention", "trace.db", "--layer", "2", "--json")).count == 8)
    }

    @Test func aHeadAsPictureAndNumbers() throws {
        let bench = try bench()
        let page = try bench.quipu("attention", "trace.db", "0.3")
        #expect(page.lines[0] == "Head 0.3 of trace.db, reads KV head 1, as recorded")
        // The first token can look at itself only.
        #expect(page.lines.contains { $0.hasPrefix("   0 <s>") && $0.hasSuffix(" @              ") })
        #expect(page.output.contains(" 0  '<s>'"))
        for line in page.lines { #expect(line.count <= 80, "\(line)") }
        #expect(try bench.quipu("attention", "trace.db", "--layer", "0", "--head", "3").output == page.output)

        let head = try heads(bench.quipu("attention", "trace.db", "0.3", "--json"))[0]
        let pattern = try #require(head["pattern"] as? [[Double]])
        #expect(pattern.map(\.count) == Array(1...8))
        // Row 3 as `show` has it.
        let values = try #require(
            try bench.quipu("show", "trace.db", "kq_soft_max-0[:,3,3]", "--json").object()["values"] as? [Double])
        #expect(pattern[3] == Array(values.prefix(4)))
        #expect(head["kv_head"] as? Int == 1 && head["entropy_bits"] is Double && head["induction"] != nil)
    }

    @Test func aGroupIsTheHeadsOfAKVHead() throws {
        let bench = try bench()
        let found = try heads(bench.quipu("attention", "trace.db", "--layer", "1", "--group", "2", "--json"))
        #expect(found.map { $0["head"] as? Int } == [4, 5] && found.allSatisfy { $0["kv_head"] as? Int == 2 })
        let page = try bench.quipu("attention", "trace.db", "--layer", "1", "--group", "2")
        #expect(page.output.contains("Head 1.4 of") && page.output.contains("Head 1.5 of"))
    }

    @Test func rowsThatWereAskedFor() throws {
        let page = try bench().quipu("attention", "trace.db", "0.3", "--positions", "-1")
        #expect(page.lines.count { $0.contains(#/^   \d /#) } == 1)
        #expect(page.lines.contains { $0.hasPrefix("   7 ") })
    }

    /// Without captured values the model is evaluated again, and says the same.
    @Test func whatWasNotCapturedIsEvaluatedAgain() throws {
        let bench = try bench()
        try bench.quipu("trace", "model.gguf", "-p", "Once upon a time", "-g", "4", "-o", "s.db", "--capture", "stats")
        let again = try bench.quipu("attention", "s.db", "2.1", "--json")
        #expect(again.output.contains("evaluated again from the model"))
        let patterns = try [again, bench.quipu("attention", "trace.db", "2.1", "--json")].map {
            try #require(try heads($0)[0]["pattern"] as? [[Double]])
        }
        #expect(patterns[0] == patterns[1])
        // It is the last trace written, too.
        #expect(try heads(bench.quipu("attention", "2.1", "--json"))[0]["pattern"] as? [[Double]] == patterns[0])
        try FileManager.default.removeItem(atPath: bench.folder.path("model.gguf"))
        expectComplaint(try bench.quipu("attention", "s.db", "2.1"), "is no longer there", "--model")
        #expect(try bench.quipu("attention", "trace.db", "2.1").status == 0)
    }

    /// The previous-token and induction heads that models/README.md names.
    @Test func headsOfTheEmbeddedModel() throws {
        let bench = try Workbench(Places.microWorld)
        let page = try bench.quipu("attention", "--scores", "model.gguf")
        #expect(page.output.contains("over 16 sequences of 24 random tokens said twice"))
        let found = try heads(bench.quipu("attention", "--scores", "model.gguf", "--json"))
        func labelled(_ label: String) -> [String] {
            found.filter { ($0["labels"] as? [String])?.contains(label) ?? false }
                .map { "\($0["layer"] as? Int ?? -1).\($0["head"] as? Int ?? -1)" }
        }
        #expect(labelled("previous token") == ["1.0", "1.1", "1.3", "1.4", "1.5", "1.7"])
        #expect(labelled("induction") == (0..<8).map { "2.\($0)" })
        #expect(labelled("sink") == ["3.4", "3.5", "3.6", "3.7"])
    }

    @Test func problemsOfTheInput() throws {
        let bench = try bench()
        expectComplaint(
            try bench.quipu("attention", "trace.db", "9.0"), "there is no layer 9; the model has layers 0 to 4")
        expectComplaint(
            try bench.quipu("attention", "trace.db", "0.8"), "there is no head 8; the model has heads 0 to 7")
        expectComplaint(
            try bench.quipu("attention", "trace.db", "--layer", "0", "--group", "4"), "there is no KV head 4")
        expectComplaint(try bench.quipu("attention", "no.db"), "no.db: there is no such trace")
        expectComplaint(try bench.quipu("attention", "trace.db", "two"), "'two' is no head", status: 64)
        expectComplaint(try bench.quipu("attention", "trace.db", "--head", "1"), "give --layer too", status: 64)
        expectComplaint(
            try bench.quipu("attention", "trace.db", "0.1", "--group", "1"), "not both", status: 64)
        expectComplaint(
            try bench.quipu("attention", "trace.db", "0.1", "--layer", "1"), "give the head once", status: 64)
        expectComplaint(
            try bench.quipu("attention", "trace.db", "--scores", "model.gguf"), "takes no trace", status: 64)
        expectComplaint(try bench.quipu("attention", "--scores", "no.gguf"), "no.gguf")
        expectComplaint(
            try bench.quipu("attention", "trace.db", "0.1", "--positions", "8"), "positions 0 to 7")
        expectComplaint(try Workbench().quipu("attention"), "no trace was named")
    }
}
