import Foundation
import TestSupport
import Testing

@Suite struct MergeCommandTests {
    @Test func tracesBecomeOne() throws {
        let bench = try Workbench()
        try bench.addTrace("a.db")
        try bench.quipu("trace", "model.gguf", "--prompt", "Lily", "--output", "b.db")
        let outcome = try bench.quipu("merge", "all.db", "a.db", "b.db", "--json")
        let object = try outcome.object()
        #expect(object["output"] as? String == "all.db" && object["runs"] as? Int == 2)
        let inputs = try #require(object["inputs"] as? [[String: Any]])
        #expect(inputs.compactMap { $0["runs_added"] as? Int } == [1, 1])
        #expect(inputs.allSatisfy { ($0["rows_added"] as? Int ?? 0) > 100 })
        let again = try bench.quipu("merge", "all.db", "a.db")
        #expect(again.lines[1].split(separator: " ").dropFirst().prefix(3) == ["0", "1", "0"])
        #expect(again.output.contains("Written: all.db (") && again.output.hasSuffix("2 runs\n"))
        // The output is a trace like any other.
        #expect(try bench.quipu("ops", "all.db", "--run", "2").status == 0)
        #expect(try bench.quipu("report", "all.db", "--run", "1").status == 0)
    }

    @Test func faultsOfTheInput() throws {
        let bench = try Workbench()
        try bench.addTrace("a.db")
        let before = try bench.bytes("a.db")
        expectComplaint(try bench.quipu("merge", "all.db", "a.db", "nowhere.db"), "nowhere.db: there is no such trace")
        #expect(!bench.exists("all.db"))
        expectComplaint(try bench.quipu("merge", "a.db", "a.db"), "a.db is the output itself")
        expectComplaint(try bench.quipu("merge", "model.gguf", "a.db"), "model.gguf: found a GGUF model")
        expectComplaint(try bench.quipu("merge", "no/all.db", "a.db"), "no folder")
        try before.prefix(before.count / 2).write(to: URL(filePath: bench.folder.path("half.db")))
        expectComplaint(
            try bench.quipu("merge", "all.db", "half.db"), "half.db: the file was cut off or damaged", "trace again")
        #expect(!bench.exists("all.db"))
        expectComplaint(try bench.quipu("merge", "all.db"), "Missing expected argument", status: 64)
        #expect(try bench.bytes("a.db") == before)
    }
}
