import Foundation
import TestSupport
import Testing

/// `step`: line by line through a pipe, and keys on a pseudo-terminal.
@Suite struct StepTests {
    private func stepped(_ bench: Workbench, _ commands: String, _ options: String...) throws -> Outcome {
        try bench.start(["step", "trace.db"] + options, input: commands).wait()
    }

    private func bench() throws -> Workbench {
        let bench = try Workbench()
        try bench.addTrace()
        return bench
    }

    @Test func walksByLinesWithoutEscapes() throws {
        let outcome = try stepped(try bench(), "n\nN\n# a comment\n\ngoto kq_soft_max-0\nheat\np 10000\nq\nn\n")
        #expect(outcome.status == 0 && outcome.errors == "", "\(outcome.errors)")
        #expect(!outcome.output.contains("\u{1B}"))
        for part in [
            "op 0 of 186", "op 1 of 186", "kq_soft_max-0   SOFT_MAX", "position right", "nothing comes before it",
        ] {
            #expect(outcome.output.contains(part), "\(part)")
        }
        // Once: a comment and an empty line say nothing.
        #expect(outcome.output.components(separatedBy: "op 1 of 186").count == 2)
        for line in outcome.lines { #expect(line.count <= 80, "\(line)") }
    }

    @Test func goesOnWhereItWasLeft() throws {
        let bench = try bench()
        _ = try stepped(bench, "goto kqv-1\nbreak kind ROPE\n")
        let again = try stepped(bench, "break\n")
        #expect(
            again.output.hasPrefix("pass 0") && again.output.contains("kqv-1   MUL_MAT")
                && again.output.contains("kind ROPE"))
        #expect(again.errors.contains("Where you left it"))
        #expect(try stepped(bench, "", "--restart").output.contains("op 0 of 186"))
    }

    @Test func mistakesAreSaidAndTheWalkGoesOn() throws {
        let outcome = try stepped(
            try bench(),
            "gotoo 3\nwatch resid[3 > 5\nrwatch\ngoto nothing-7\nsql DELETE FROM op\nbreak kind ROP\nn 0\nn\n")
        #expect(outcome.status == 1)
        for part in [
            "'gotoo' is no command. Did you mean goto?", "character 9: expected ]", "rwatch: give a condition",
            "no operation is called 'nothing-7'", "only reads", "Did you mean ROPE?", "1 or more",
        ] { #expect(outcome.errors.contains(part), "\(part): \(outcome.errors)") }
        #expect(outcome.output.contains("op 1 of 186"))
    }

    /// `why` names the element to ask about next, until only the file is left.
    @Test func whyLeadsOn() throws {
        let bench = try bench()
        var asked = "why attn_out-0[3,2]"
        var names: [String] = []
        for _ in 0..<20 {
            let page = try stepped(bench, "\(asked)\n", "--restart").output
            let answer = try #require(page.firstMatch(of: /\n\n(\S+)( \(\S+\))*\[[0-9,]+\] = \S+\n/), "\(page)")
            names.append(String(answer.output.1))
            guard let next = page.firstMatch(of: /`(why [^`]+)` goes on from the largest term/) else { break }
            asked = String(next.output.1)
        }
        #expect(names.contains("kq_soft_max-0") && names.contains("norm-0#0") && names.last == "embd", "\(names)")
    }

    @Test func oneDocumentForPrograms() throws {
        let object = try stepped(try bench(), "goto kqv-0\ninputs\nfoo\nwatch rms > 0.01\nwhy\n", "--json").object()
        let replies = try #require(object["replies"] as? [[String: Any]])
        #expect(replies.map { $0["command"] as? String } == ["goto kqv-0", "inputs", "foo", "watch rms > 0.01", "why"])
        let location = try #require(replies[0]["place"] as? [String: Any])
        #expect((location["op"] as? [String: Any])?["name"] as? String == "kqv-0")
        #expect(((replies[1]["result"] as? [String: Any])?["inputs"] as? [Any])?.count == 2)
        #expect(replies[2]["error"] is String && replies[0]["error"] is NSNull)
        let why = try #require(replies[4]["result"] as? [String: Any])
        #expect(try abs(#require(why["recorded"] as? Double) - #require(why["recomputed"] as? Double)) < 1e-4)
    }

    @Test func aPromptIsRecordedFirst() throws {
        let bench = try Workbench()
        let outcome = try bench.start(["step", "model.gguf", "--prompt", "Once", "-o", "t.db"], input: "n\n").wait()
        #expect(outcome.status == 0 && outcome.errors.contains("recorded t.db") && bench.exists("t.db"))
        expectComplaint(try bench.quipu("step", "model.gguf"), "a GGUF model")
        expectComplaint(try bench.quipu("step", "none.db"), "no such trace")
        expectComplaint(try bench.quipu("step", "none.gguf", "--prompt", "a"), "none.gguf")
        expectComplaint(try bench.quipu("step", "t.db", "--run", "7"), "no run 7")
        expectComplaint(try bench.quipu("step", "model.gguf", "--prompt", "a", "-o", "t.db"), "exists already")
        _ = try bench.quipu("trace", "model.gguf", "-p", "a", "--capture", "none", "-o", "n.db")
        expectComplaint(try bench.quipu("step", "n.db"), "recorded no operations")
        #expect(try bench.quipu("step", "t.db", "-o", "x.db").status == 64)
    }

    /// Real keys on a pseudo-terminal; the terminal is as before, whatever ends the program.
    @Test(arguments: ["quit", "interrupt", "terminate", "resize"])
    func keysOnATerminal(scenario: String) throws {
        let bench = try bench()
        let script = Places.package.appending(path: "Tests/CommandTests/step_on_a_terminal.py").path
        let outcome = try bench.shell("python3 '\(script)' '\(Workbench.binary)' trace.db \(scenario)")
        #expect(outcome.status == 0 && outcome.output == "ok\n", "\(outcome.output)\(outcome.errors)")
    }
}
