import Foundation
import TestSupport
import Testing

/// Runs of one trace, and patches between runs of different lengths.
@Suite struct RunsTests {
    typealias Object = [String: Any]

    private static func values(_ bench: Workbench, _ trace: String, run: Int = 1) throws -> String {
        try bench.quipu(
            "sql", trace,
            """
            SELECT step, seq, chunk, hex(data) AS d FROM tensor JOIN op ON op.id = op_id JOIN pass ON pass.id = pass_id
            WHERE run_id = \(run) ORDER BY 1, 2, 3
            """, "--json"
        ).output
    }

    private static func row(_ bench: Workbench, _ trace: String, _ name: String, _ row: Int) throws -> String {
        let found = try bench.row(
            """
            SELECT hex(substr(data, \(row) * 4 * ne0 + 1, 4 * ne0)) AS r FROM op JOIN tensor ON op_id = op.id
            JOIN pass ON pass.id = pass_id WHERE op.name = '\(name)' AND step = 0
            """, of: trace)
        return try #require(found["r"] as? String)
    }

    @Test func aTokenTakesTheValuesOfAnother() throws {
        let bench = try Workbench()
        try bench.addTrace()
        try bench.quipu("trace", "model.gguf", "-p", "Lily had a very big red ball", "-o", "other.db")
        let patch = ["--patch", "l_out-2[:,2]=other.db[:,5]"]
        let child = try bench.quipu(["trace", "--from", "trace.db", "-o", "child.db"] + patch)
        #expect(child.status == 0, "\(child.errors)")
        for token in 0..<4 {
            let source = token == 2 ? ("other.db", 5) : ("trace.db", token)
            #expect(
                try Self.row(bench, "child.db", "l_out-2", token) == Self.row(bench, source.0, "l_out-2", source.1))
        }
        let prompt = ["trace", "model.gguf", "-p", "Once upon a time", "-g", "4", "-o", "alone.db"]
        #expect(try bench.quipu(prompt + patch).status == 0)
        #expect(try Self.values(bench, "child.db") == Self.values(bench, "alone.db"))
        // The trace holds what it took.
        try FileManager.default.removeItem(atPath: bench.folder.path("other.db"))
        #expect(try bench.quipu("verify", "child.db").status == 0)
        #expect(try bench.quipu("trace", "--from", "child.db", "-o", "again.db").status == 0)
        #expect(try Self.values(bench, "child.db") == Self.values(bench, "again.db"))
        // With itself, nothing changes; two tokens change places.
        try bench.quipu("trace", "--from", "trace.db", "--patch", "l_out-1[:,1:3]=trace.db[:,1:3]", "-o", "same.db")
        #expect(try bench.quipu("diff", "same.db").status == 0)
        try bench.quipu(
            "trace", "--from", "trace.db", "--patch", "l_out-1[:,1]=trace.db[:,2]", "--patch",
            "l_out-1[:,2]=trace.db[:,1]", "-o", "swapped.db")
        #expect(try Self.row(bench, "swapped.db", "l_out-1", 1) == Self.row(bench, "trace.db", "l_out-1", 2))
        #expect(try Self.row(bench, "swapped.db", "l_out-1", 2) == Self.row(bench, "trace.db", "l_out-1", 1))
    }

    @Test(arguments: [
        ("l_out-1[:,1:3]=other.db[:,2]", "of other extents"), ("l_out-1=other.db[:,2]", "of other extents"),
        ("l_out-1[:,1]=other.db[:,99]", "lies outside"), ("l_out-1[:,99]=other.db[:,1]", "lies outside"),
        ("l_out-1[:,1]=other.db[:,x]", "is no index"), ("l_out-1[:,1]=other.db#7[:,1]", "there is no run 7"),
        ("l_out-1=other.db", "elements on both sides"), ("l_out-1[:,1]=[:,1]", "no such trace"),
    ])
    func patchesThatDoNotFit(patch: String, part: String) throws {
        let bench = try Workbench()
        try bench.addTrace()
        try bench.quipu("trace", "model.gguf", "-p", "Lily had a very big red ball", "-o", "other.db")
        expectComplaint(try bench.quipu("trace", "--from", "trace.db", "--patch", patch, "-o", "new.db"), part)
        #expect(!bench.exists("new.db"))
    }

    @Test func oneRunOfSeveral() throws {
        let bench = try Workbench()
        let prompts = ["Once upon a time", "Lily had a ball", "Tom had a dog"]
        try bench.folder.write(prompts.map { "\"\($0)\"\n" }.joined(), to: "p.jsonl")
        #expect(try bench.quipu("trace", "model.gguf", "--prompts", "p.jsonl", "-g", "2", "-o", "all.db").status == 0)
        for (number, prompt) in prompts.enumerated() {
            let change = ["--set", "kq_soft_max-2[:,:,1]=0"]
            let child = try bench.quipu(
                ["trace", "--from", "all.db", "--run", "\(number + 1)", "-o", "child\(number).db", "--json"] + change)
            #expect(try child.object()["n_recalled"] as? Int ?? 0 > 0, "\(child.errors)")
            let alone = try bench.quipu(
                ["trace", "model.gguf", "-p", prompt, "-g", "2", "-o", "alone\(number).db"] + change)
            #expect(alone.status == 0, "\(alone.errors)")
            #expect(try Self.values(bench, "child\(number).db") == Self.values(bench, "alone\(number).db"))
            // The parent is that run.
            let diff = try bench.quipu("diff", "child\(number).db", "--json")
            let first = try diff.object()["first_divergence"] as? Object
            #expect(first?["name"] as? String == "kq_soft_max-2", "\(diff.errors)")
        }
        // A run of a trace is named where values come from.
        try bench.quipu(
            "trace", "--from", "all.db", "--run", "2", "--patch", "l_out-1[:,2]=all.db#1[:,1]", "-o", "p.db")
        try bench.quipu("trace", "model.gguf", "-p", prompts[0], "-o", "first.db")
        #expect(try Self.row(bench, "p.db", "l_out-1", 2) == Self.row(bench, "first.db", "l_out-1", 1))
        // And in sweeps.
        try bench.quipu("trace", "model.gguf", "-p", prompts[1], "-g", "2", "-o", "second.db")
        try bench.quipu("trace", "model.gguf", "-p", prompts[2], "-g", "2", "-o", "third.db")
        let (one, two) = (
            try bench.quipu("patch", "sweep", "all.db#2", "all.db#3", "--json").object(),
            try bench.quipu("patch", "sweep", "second.db", "third.db", "--json").object()
        )
        #expect(
            one["cells"] as? NSArray == two["cells"] as? NSArray && one["base"] as? Double == two["base"] as? Double)
        expectComplaint(try bench.quipu("trace", "--from", "all.db", "--run", "9", "-o", "x.db"), "there is no run 9")
        expectComplaint(try bench.quipu("patch", "sweep", "all.db#9", "all.db"), "there is no run 9")
        expectComplaint(
            try bench.quipu("trace", "model.gguf", "-p", "a", "--run", "1"), "--run goes with --from", status: 64)
    }
}
