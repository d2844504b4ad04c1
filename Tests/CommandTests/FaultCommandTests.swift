import TestSupport
import Testing

/// `lesson fault`, from the file to the answer.
@Suite struct FaultCommandTests {
    @Test func aLearnerFindsWhatDiffLeadsTo() throws {
        let bench = try Workbench()
        #expect(try bench.quipu("lesson", "start", "1", "--model", "model.gguf").status == 0)
        let made = try bench.quipu("lesson", "fault", "--kind", "heads", "--seed", "3")
        #expect(made.status == 0 && made.output.contains("quipu diff right.db wrong.db"))
        for (model, trace) in [("model.gguf", "right.db"), ("fault.gguf", "wrong.db")] {
            #expect(try bench.quipu("trace", model, "-p", "Once upon a time", "-o", trace).status == 0)
        }
        let diff = try bench.quipu("diff", "right.db", "wrong.db", "--json")
        #expect(diff.status == 2)
        let first = try #require(diff.object()["first_divergence"] as? [String: Any])
        let name = try #require(first["name"] as? String)
        #expect(name.hasPrefix("Qcur-"))
        let layer = name.dropFirst("Qcur-".count).prefix { $0.isNumber }
        let right = try bench.quipu("lesson", "fault", "--found", "blk.\(layer).attn_q.weight", "--json").object()
        #expect(right["is_right"] as? Bool == true && (right["says"] as? String)?.contains("are exchanged") == true)
        let wrong = try bench.quipu("lesson", "fault", "--found", "output_norm.weight")
        #expect(wrong.status == 0 && wrong.output.contains("No.") && wrong.output.contains("is as it was"))
    }

    @Test func mistakesAreSaid() throws {
        let bench = try Workbench()
        #expect(try bench.quipu("lesson", "start", "1", "--model", "model.gguf").status == 0)
        expectComplaint(try bench.quipu("lesson", "fault", "--found", "x"), "fault.gguf", "no such file")
        #expect(try bench.quipu("lesson", "fault").status == 0)
        let before = try bench.bytes("fault.gguf")
        expectComplaint(try bench.quipu("lesson", "fault"), "fault.gguf", "--force")
        #expect(try bench.bytes("fault.gguf") == before)
        #expect(try bench.quipu("lesson", "fault", "--force", "--kind", "scale", "--seed", "1").status == 0)
        #expect(try bench.bytes("fault.gguf") != before)
        expectComplaint(
            try bench.quipu("lesson", "fault", "model.gguf", "--found", "x"), "model.gguf", "nothing that differs")
        expectComplaint(
            try bench.quipu("lesson", "fault", TinyModel.gqa.path, "--found", "x"), "found other tensors")
        #expect(try bench.quipu("lesson", "fault", "--found", "x", "--seed", "1").status == 64)
        #expect(try bench.quipu("lesson", "fault", "--kind", "bogus").status == 64)
        #expect(try bench.quipu("lesson", "fault", "--found", "blk.0.atn_q").output.contains("blk.0.attn_q.weight"))
    }
}
