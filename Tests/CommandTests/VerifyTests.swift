import Foundation
import TestSupport
import Testing

@Suite struct VerifyTests {
    private func bench() throws -> Workbench {
        let bench = try Workbench()
        try bench.addTrace()
        return bench
    }

    @Test func aTraceReproduces() throws {
        let bench = try bench()
        let object = try bench.quipu("verify", "trace.db", "--model", "model.gguf", "--json").object()
        #expect((object["failed"] as? [Any])?.isEmpty == true)
        #expect(object["checked"] as? Int == (object["checked_values"] as! Int) + (object["checked_cells"] as! Int))
        #expect(object["checked_values"] as! Int > 10_000)
        let page = try bench.quipu("verify", "trace.db", "--model", "model.gguf")
        #expect(page.status == 0 && page.output.contains("Everything reproduces."))
    }

    @Test func whatDoesNotReproduceIsNamed() throws {
        let bench = try bench()
        try changeTrace(
            bench.folder.path("trace.db"),
            "UPDATE op_stat SET rms = 0 WHERE id = (SELECT id FROM op WHERE name = 'ffn_out-2' AND pass_id = 2)")
        let outcome = try bench.quipu("verify", "trace.db", "--model", "model.gguf", "--json")
        #expect(outcome.status == 2)
        let failed = try #require(try outcome.object()["failed"] as? [[String: Any]])
        #expect(failed.count == 1 && failed[0]["op"] as? String == "ffn_out-2" && failed[0]["step"] as? Int == 1)
        #expect(failed[0]["table"] as? String == "op" && failed[0]["column"] as? String == "rms")
        let page = try bench.quipu("verify", "trace.db", "--model", "model.gguf")
        #expect(page.status == 2 && page.output.contains("ffn_out-2, step 1\n  op.rms: recorded 0.0, recomputed "))
        for line in page.lines { #expect(line.count <= 80, "\(line)") }
    }

    /// What the run's metric says comes from the logits, which are made again.
    @Test func aMetricReproduces() throws {
        let bench = try Workbench()
        let made = try bench.quipu("trace", "model.gguf", "-p", "Once upon a time", "--metric", "#5 - #6", "-o", "m.db")
        #expect(made.status == 0)
        #expect(try bench.quipu("verify", "m.db").status == 0)
        try changeTrace(bench.folder.path("m.db"), "UPDATE run SET metric_value = metric_value + 1e-9")
        let outcome = try bench.quipu("verify", "m.db", "--json")
        let failed = try #require(try outcome.object()["failed"] as? [[String: Any]])
        #expect(outcome.status == 2 && failed.count == 1)
        #expect(failed[0]["table"] as? String == "run" && failed[0]["column"] as? String == "metric_value")
        try changeTrace(bench.folder.path("m.db"), "UPDATE run SET metric = '#nosuchword'")
        expectComplaint(try bench.quipu("verify", "m.db"), "run.metric", "nosuchword")
    }

    /// One bit of one weight, far from anything that a header tells.
    @Test func aChangedModelIsToldByItsHash() throws {
        let bench = try bench()
        var data = try Data(contentsOf: URL(filePath: TinyModel.stories.path))
        data[data.count - 100] ^= 1
        try data.write(to: URL(filePath: bench.folder.path("other.gguf")))
        let outcome = try bench.quipu("verify", "trace.db", "--model", "other.gguf", "--json")
        #expect(outcome.status == 2)
        let failed = try #require(try outcome.object()["failed"] as? [[String: Any]])
        #expect(
            failed.count == 1 && failed[0]["table"] as? String == "model" && failed[0]["column"] as? String == "sha256")
        let page = try bench.quipu("verify", "trace.db", "--model", "other.gguf")
        #expect(page.status == 2 && page.output.contains("its bytes have changed"))
    }

    /// The model was named by a relative path; so is nothing later.
    @Test func aTraceIsReadFromOtherFolders() throws {
        let bench = try Workbench()
        try bench.quipu("trace", "model.gguf", "-p", "Once", "-o", "trace.db")
        let outcome = try bench.shell("mkdir sub && cd sub && quipu verify ../trace.db")
        #expect(outcome.status == 0 && outcome.output.contains("Everything reproduces."), "\(outcome.errors)")
        // Both moved together, the model is found beside the trace.
        let moved = try bench.shell("mv trace.db model.gguf sub && quipu verify sub/trace.db")
        #expect(moved.status == 0 && moved.output.contains("evaluated again from sub/model.gguf"), "\(moved.errors)")
        _ = try bench.shell("mv sub/model.gguf other.gguf")
        expectComplaint(try bench.quipu("verify", "sub/trace.db"), "model.gguf", "no longer there", "--model")
        #expect(try bench.quipu("verify", "sub/trace.db", "--model", "other.gguf").status == 0)
    }

    /// A run with changes is made again with them.
    @Test func aChangedRunReproduces() throws {
        let bench = try bench()
        for (number, options) in [
            ["--set", "kq_soft_max-1[:,:,2]=0"], ["--scale", "ffn_out-2[:,0]=0.5"], ["--patch", "l_out-0=trace.db"],
            ["--weight", "blk.0.ffn_down.weight@row=0,column=1,value=0.5"],
        ].enumerated() {
            let name = "changed\(number).db"
            let traced = try bench.quipu(["trace", "--from", "trace.db", "-o", name] + options)
            #expect(traced.status == 0, "\(traced.errors)")
            let outcome = try bench.quipu("verify", name, "--json")
            #expect(outcome.status == 0, "\(options) \(outcome.errors)")
            let object = try outcome.object()
            #expect((object["failed"] as? [Any])?.isEmpty == true)
            let evaluated = try #require(object["evaluated"] as? [String: Int])
            #expect(evaluated["from_trace"] == object["operations"] as? Int && evaluated["from_model"] == 0)
        }
        let damage = "UPDATE tensor SET data = zeroblob(length(data)) WHERE op_id = (SELECT min(id) FROM op)"
        try changeTrace(bench.folder.path("changed0.db"), damage)
        let page = try bench.quipu("verify", "changed0.db")
        #expect(page.status == 2 && page.output.contains("embd[0,0], step 0\n"), "\(page.output)")
        #expect(page.output.contains(", 2 on inputs made\nfrom the model"))
        for line in page.lines { #expect(line.count <= 80, "\(line)") }
    }

    @Test func whatWasNotCapturedIsSaid() throws {
        let bench = try Workbench()
        try bench.quipu("trace", "model.gguf", "-p", "Once upon", "--generate", "2", "--capture", "last")
        let object = try bench.quipu("verify", "--json").object()
        let missing = try #require(object["not_checked"] as? [String: Int])
        #expect(missing["partial"]! > 0 && missing["not_captured"] == 0)
        #expect(try bench.quipu("verify").output.contains("Not checked: "))
    }

    @Test func aModelIsHeldAgainstItsChecks() throws {
        let bench = try Workbench(TinyModel.gqa.path)
        let sound = try bench.quipu("verify", "model.gguf", "--json")
        let none = try sound.object()["failed"] as? [Any]
        #expect(sound.status == 0 && none?.isEmpty == true)
        #expect(try sound.object()["checked"] as! Int > 10_000)
        var data = try bench.bytes("model.gguf")
        let offset = try #require(
            try bench.quipu("quant", "blocks", "model.gguf", "blk.0.attn_q.weight", "--row", "9", "--json").object()[
                "file_offset"] as? Int)
        data.replaceSubrange(offset..<offset + 2, with: [0, 0x7e])
        try data.write(to: URL(filePath: bench.folder.path("odd.gguf")))
        let odd = try bench.quipu("verify", "odd.gguf", "--json")
        let failed = try #require(try odd.object()["failed"] as? [[String: Any]])
        #expect(odd.status == 2 && failed.count == 1 && failed[0]["file_offset"] as? Int == offset)
        #expect(failed[0]["reason"] as? String == "the scale is nan" && failed[0]["row"] as? Int == 9)
        let page = try bench.quipu("verify", "odd.gguf")
        #expect(page.status == 2 && page.output.contains("blk.0.attn_q.weight\n  32 values not finite"))
    }

    @Test func whatIsWrongIsSaid() throws {
        let bench = try bench()
        expectComplaint(try bench.quipu("verify", "none.db"), "no such trace")
        expectComplaint(try bench.quipu("verify", "none.gguf"), "none.gguf: found no such file")
        expectComplaint(try bench.quipu("verify", "trace.db", "--run", "9"), "no run 9")
        expectComplaint(try bench.quipu("verify", "trace.db", "--model", "none.gguf"), "none.gguf")
        try bench.folder.write("GGUF\u{3}", to: "short.gguf")
        expectComplaint(try bench.quipu("verify", "short.gguf"), "short.gguf")
        expectComplaint(try Workbench().quipu("verify"), "no trace was named")
    }
}
