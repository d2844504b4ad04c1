import Foundation
import TestSupport
import Testing

/// `trace` with changes, and `diff`.
@Suite struct WhatIfTests {
    /// Every captured value, as the file has it.
    private static func values(_ bench: Workbench, _ trace: String) throws -> String {
        try bench.quipu("sql", trace, "SELECT op_id, chunk, hex(data) AS d FROM tensor ORDER BY 1, 2", "--json").output
    }

    @Test func emptyAndZeroChangesGiveTheSameTrace() throws {
        let bench = try Workbench()
        try bench.addTrace()
        let plain = try Self.values(bench, "trace.db")
        for (number, options) in [
            ["--set", ""], ["--scale", "ffn_out-0=1"], ["--patch", "l_out-0=trace.db"],
            ["--weight", "output_norm.weight@row=0,column=0,value*=1"],
        ].enumerated() {
            let name = "zero\(number).db"
            let outcome = try bench.quipu(["trace", "--from", "trace.db", "-o", name, "--json"] + options)
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(try outcome.object()["parent"] as? String == bench.folder.path("trace.db"))
            #expect(try Self.values(bench, name) == plain, "\(options)")
            let diff = try bench.quipu("diff", name)
            #expect(diff.status == 0 && diff.output.contains("Identical to the bit"), "\(diff.output)")
        }
    }

    @Test func aChangedRunIsTheSameWithAParentAndWithout() throws {
        let bench = try Workbench()
        try bench.addTrace()
        let change = ["--set", "kq_soft_max-3[:,:,1]=0"]
        let child = try bench.quipu(["trace", "--from", "trace.db", "-o", "child.db"] + change)
        #expect(child.output.contains("Changed: set kq_soft_max-3[:,:,1] = 0"))
        #expect(child.output.contains("taken from"))
        let alone = ["trace", "model.gguf", "-p", "Once upon a time", "-g", "4", "-o", "alone.db"]
        #expect(try bench.quipu(alone + change).status == 0)
        #expect(try Self.values(bench, "child.db") == Self.values(bench, "alone.db"))
        #expect(try bench.quipu("diff", "child.db", "alone.db").status == 0)
        let row = try bench.row("SELECT kind, target, spec FROM intervention", of: "child.db")
        #expect(row as? [String: String] == ["kind": "set", "target": "kq_soft_max-3[:,:,1]", "spec": "0"])
        // What is recorded is what was read on.
        let shown = try bench.quipu("show", "child.db", "kq_soft_max-3[:,:,1]", "--json").object()
        #expect((shown["values"] as? [Double])?.allSatisfy { $0 == 0 } ?? true)
    }

    @Test func differencesAreFoundWhereTheyBegin() throws {
        let bench = try Workbench()
        try bench.addTrace()
        try bench.quipu("trace", "--from", "trace.db", "--scale", "ffn_out-2=-3", "-o", "child.db")
        let outcome = try bench.quipu("diff", "child.db", "--json")
        #expect(outcome.status == 2)
        let object = try outcome.object()
        #expect(object["identical"] as? Bool == false)
        let first = try #require(object["first_divergence"] as? [String: Any])
        #expect(first["name"] as? String == "ffn_out-2" && first["layer"] as? Int == 2 && first["step"] as? Int == 0)
        // -3 x against x: an error of 4 x.
        #expect(abs((first["nmse"] as? Double ?? 0) - 16) < 1e-6)
        #expect(abs((first["cosine"] as? Double ?? 0) + 1) < 1e-6)
        let ops = try #require(object["ops"] as? [[String: Any]])
        #expect(
            ops.filter { $0["layer"] as? Int == 1 && $0["step"] as? Int == 0 }.allSatisfy {
                $0["identical"] as? Bool == true
            })
        let page = try bench.quipu("diff")
        #expect(page.status == 2)
        #expect(page.output.contains("First different: ffn_out-2 (layer 2, step 0"))
        #expect(page.output.contains("Identical there after layers 0 to 1."))
        // Paths are as long as they are.
        for line in page.lines where !line.contains(".db") { #expect(line.count <= 80, "\(line)") }
    }

    /// Zeros have no direction.
    @Test func aSilencedOperationHasNoCosine() throws {
        let bench = try Workbench()
        try bench.addTrace()
        try bench.quipu("trace", "--from", "trace.db", "--set", "ffn_out-2=0", "-o", "child.db")
        let first = try bench.quipu("diff", "child.db", "--json").object()["first_divergence"] as? [String: Any]
        #expect(first?["name"] as? String == "ffn_out-2" && first?["cosine"] is NSNull)
        #expect(try !bench.quipu("diff", "child.db").output.lowercased().contains("nan"))
    }

    /// The divergence that is shown, from the logits by themselves.
    @Test func predictionsAreThoseOfTheTraces() throws {
        let bench = try Workbench()
        try bench.addTrace()
        try bench.quipu("trace", "--from", "trace.db", "--set", "l_out-3=0", "-o", "child.db")
        let predictions = try #require(
            try bench.quipu("diff", "child.db", "--json").object()["predictions"] as? [[String: Any]])
        func logits(_ trace: String) throws -> [Double] {
            let row = try bench.row(
                """
                SELECT row(data, 0, ne0) AS l FROM op JOIN tensor ON op_id = op.id JOIN pass ON pass.id = pass_id
                WHERE op.name = 'result_output' AND step = 0
                """, of: trace)
            let text = try #require(row["l"] as? String)
            // What is written are the shortest digits of a Float, not of the Double that it is.
            return try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [Double])
                .map { Double(Float($0)) }
        }
        let (a, b) = (try logits("trace.db"), try logits("child.db"))
        func logProbabilities(_ logits: [Double]) -> [Double] {
            let total = log(logits.reduce(0) { $0 + exp($1) })
            return logits.map { $0 - total }
        }
        let (p, q) = (logProbabilities(a), logProbabilities(b))
        let kld = zip(p, q).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) }
        #expect(abs((predictions[0]["kld"] as? Double ?? -1) - kld) < 1e-9 * max(1, kld))
        let top = (a.firstIndex(of: a.max()!), b.firstIndex(of: b.max()!))
        #expect((predictions[0]["a"] as? [String: Any])?["token_id"] as? Int == top.0)
        #expect((predictions[0]["b"] as? [String: Any])?["token_id"] as? Int == top.1)
        #expect(predictions[0]["flipped"] as? Bool == (top.0 != top.1))
    }

    @Test func otherPromptsAndOtherCaptures() throws {
        let bench = try Workbench()
        try bench.addTrace()
        // As many tokens in another order.
        try bench.quipu("trace", "model.gguf", "-p", "Once a time upon", "-o", "other.db")
        let other = try bench.quipu("diff", "trace.db", "other.db")
        #expect(other.status == 2 && other.output.contains("compared position by position"), "\(other.errors)")
        try bench.quipu("trace", "model.gguf", "-p", "A", "-o", "a.db")
        expectComplaint(
            try bench.quipu("diff", "trace.db", "a.db"), "the prompt of trace.db has", "values cannot be paired")
        try bench.quipu("trace", "model.gguf", "-p", "Once upon a time", "-g", "4", "--capture", "stats", "-o", "s.db")
        let statistics = try bench.quipu("diff", "trace.db", "s.db")
        #expect(statistics.status == 0 && statistics.output.contains("only statistics were captured"))
        try bench.quipu("trace", "model.gguf", "-p", "Once upon a time", "-g", "4", "--capture", "last", "-o", "l.db")
        #expect(try bench.quipu("diff", "trace.db", "l.db").status == 0)
        try bench.quipu("trace", "model.gguf", "-p", "Once upon a time", "-g", "2", "-o", "two.db")
        let shorter = try bench.quipu("diff", "trace.db", "two.db")
        #expect(shorter.status == 2 && shorter.output.contains("The runs have 4 and 2 steps."))
    }

    @Test func aParentThatIsGone() throws {
        let bench = try Workbench()
        expectComplaint(try bench.quipu("diff", "none.db"), "none.db: there is no such trace")
        try bench.addTrace()
        expectComplaint(try bench.quipu("diff", "trace.db"), "has no parent", "name two traces")
        try bench.quipu("trace", "--from", "trace.db", "--set", "ffn_out-0=0", "-o", "child.db")
        try bench.quipu("trace", "model.gguf", "-p", "Once", "-o", "trace.db", "--force")
        expectComplaint(try bench.quipu("diff", "child.db"), "its parent, run ", "not there any more")
        try FileManager.default.removeItem(atPath: bench.folder.path("trace.db"))
        expectComplaint(try bench.quipu("diff", "child.db"), "its parent, run ", "not there any more")
        expectComplaint(try bench.quipu("trace", "--from", "trace.db"), "there is no such trace")
    }

    @Test(arguments: [
        (["--set", "ffn_oot-0=0"], "Did you mean ffn_out-0"), (["--set", "ffn_out-0"], "expected ADDRESS=NUMBER"),
        (["--set", "ffn_out-0=x"], "a number after ="), (["--set", "ffn_out-0=inf"], "a number after ="),
        (["--set", "ffn_out-0[9999]=0"], "lies outside"), (["--scale", "ffn_out-0[1=0"], "closing ]"),
        (["--set", "ffn_out-0@7=1"], "has step 0 only"), (["--patch", "l_out-0=none.db"], "no such trace"),
        (["--patch", "l_out-0"], "expected ADDRESS=TRACE"), (["--patch", "l_oot-0=trace.db"], "Did you mean l_out-0"),
        (["--patch", "l_out-0=trace.db"], "needs prompts of as many tokens"),
        (["--weight", "output_norm.weight"], "expected NAME@row=R"),
        (["--weight", "output_nrm.weight@row=0,column=0,value=1"], "Did you mean output_norm.weight"),
    ])
    func changesThatCannotBeMade(options: [String], part: String) throws {
        let bench = try Workbench()
        try bench.addTrace()
        expectComplaint(try bench.quipu(["trace", "model.gguf", "-p", "A", "-o", "new.db"] + options), part)
        #expect(!bench.exists("new.db"))
    }

    @Test func wrongUsage() throws {
        let bench = try Workbench()
        try bench.addTrace()
        expectComplaint(
            try bench.quipu("trace", "model.gguf"), "give --prompt, --chat, --file or --ids, --prompts, or --from",
            status: 64)
        expectComplaint(
            try bench.quipu("trace", "--from", "trace.db", "-p", "A"),
            "leave --prompt, --chat, --file and --ids out", status: 64)
        expectComplaint(
            try bench.quipu("trace", "--from", "trace.db", "-o", "trace.db", "--append"), "--from reads it")
        expectComplaint(try bench.quipu("diff", "trace.db", "--limit=-1"), "0 or more", status: 64)
        expectComplaint(try bench.quipu("diff", "trace.db", "--run-a", "1"), "two traces", status: 64)
        // Another model than the parent's.
        try FileManager.default.copyItem(atPath: TinyModel.gqa.path, toPath: bench.folder.path("other.gguf"))
        expectComplaint(
            try bench.quipu("trace", "other.gguf", "--from", "trace.db"), "not those that trace.db was recorded from")
    }
}
