import Foundation
import GGUF
import TestSupport
import Testing

/// `quant recommend` as a user runs it.
@Suite struct RecommendTests {
    typealias Object = [String: Any]

    private static let options = ["--file", "text.txt", "--chunk", "64", "--chunks", "2", "--held-out-chunks", "4"]

    private func bench() throws -> Workbench {
        let bench = try Workbench(ScoringTests.micro)
        try bench.addText()
        return bench
    }

    /// The plan fits, is what `quantize` writes with the file, and diverges as `compare` says.
    @Test func aPlanIsProved() throws {
        let bench = try bench()
        let command = ["quant", "recommend", "model.gguf", "--budget", "4.6bpw", "-o", "plan.txt", "--json"]
        let outcome = try bench.quipu(command + Self.options + ["--types", "Q3_K,Q4_K,Q6_K,Q8_0"])
        let object = try outcome.object()
        let rows = try #require(object["plan"] as? [Object])
        #expect(rows.map { $0["name"] as? String }.prefix(2) == ["recommended", "by weight error"] && rows.count == 4)
        #expect(rows.last?["name"] as? String == "control")
        let budget = try #require(object["budget_bytes"] as? Int)
        for row in rows where row["name"] as? String != nil {
            #expect(try #require(row["size_bytes"] as? Int) <= budget, "\(row)")
        }
        let tensors = try #require(object["tensors"] as? [Object])
        #expect(tensors.count == 30)
        let lines = try String(decoding: bench.bytes("plan.txt"), as: UTF8.self).split(separator: "\n")
        #expect(lines.count == 30)
        // Every measured figure is one: nothing was left to estimates in a model this small.
        let choice = try #require(object["choice"] as? Object)
        #expect(choice["n_measured"] as? Int == choice["n_measurable"] as? Int)
        #expect(try #require(choice["gap"] as? Double) < 0.05)

        let type = try #require(object["file_type"] as? String)
        let quantized = try bench.quipu(
            "quantize", "model.gguf", "out.gguf", type, "--tensor-type-file", "plan.txt", "--json")
        #expect(quantized.status == 0, "\(quantized.errors)")
        let file = try GGUFFile(path: bench.folder.path("out.gguf"))
        let types = Dictionary(uniqueKeysWithValues: file.tensors.map { ($0.name, $0.type.name) })
        for tensor in tensors { #expect(types[tensor["name"] as! String] == tensor["type"] as? String) }
        let size = file.tensors.reduce(0) { $0 + $1.type.rowBytes($1.shape.ne0)! * $1.shape.rows }
        #expect(size == rows[0]["size_bytes"] as? Int)
        // The held-out text begins where the measured one ends.
        let all = try bench.quipu(
            "compare", "model.gguf", "out.gguf", "--file", "text.txt", "--chunk", "64", "--chunks", "6", "--json"
        ).object()
        #expect(all["kld"] != nil)
        let held = try #require(object["held_out"] as? Object)
        #expect(held["n_chunks"] as? Int == 4)
    }

    /// What one tensor costs is what a whole pass with it says.
    @Test func oneTensorIsWhatSensitivitySays() throws {
        let bench = try bench()
        let recommended = try bench.quipu(
            ["quant", "recommend", "model.gguf", "--budget", "4.6bpw", "--types", "Q4_K,Q8_0", "--json"] + Self.options
        ).object()
        let sensitivity = try bench.quipu(
            "quant", "sensitivity", "model.gguf", "--type", "Q4_K", "--file", "text.txt", "--chunk", "64", "--chunks",
            "2", "--json"
        ).object()
        let measured = Dictionary(
            uniqueKeysWithValues: try #require(sensitivity["tensors"] as? [Object]).map {
                ($0["name"] as! String, $0["kld"] as! Double)
            })
        var compared = 0
        for tensor in try #require(recommended["tensors"] as? [Object]) {
            let option = try #require((tensor["options"] as? [Object])?.first { $0["type"] as? String == "Q4_K" })
            guard option["measured"] as? Bool == true else { continue }
            #expect(option["kld_mean"] as? Double == measured[tensor["name"] as! String], "\(tensor["name"]!)")
            compared += 1
        }
        #expect(compared == 30)
    }

    @Test func aPageSaysWhetherItGains() throws {
        let bench = try bench()
        let page = try bench.quipu(
            ["quant", "recommend", "model.gguf", "--budget", "Q4_0", "--by", "error", "--types", "Q4_0,Q8_0"]
                + Self.options)
        #expect(page.status == 0, "\(page.errors)")
        for line in page.lines { #expect(line.count <= 80, "\(line)") }
        #expect(page.output.contains("gains nothing") || page.output.contains("times as much"))
        // Nothing but the mix itself fits: all of it in one type.
        let same = try bench.quipu(
            ["quant", "recommend", "model.gguf", "--budget", "Q8_0", "--types", "Q8_0", "--against", "Q8_0"]
                + Self.options)
        #expect(same.output.contains("gains nothing"))
    }

    /// Without time, all is estimated from nothing but errors, and that is said.
    @Test func timeIsKept() throws {
        let bench = try bench()
        let object = try bench.quipu(
            ["quant", "recommend", "model.gguf", "--budget", "5bpw", "--time", "0s", "--json"] + Self.options
        ).object()
        let choice = try #require(object["choice"] as? Object)
        #expect(choice["n_measured"] as? Int == 0)
    }

    /// Without a proof, which takes longest of a large model, the plan is the same, and nothing is said to be proved.
    @Test func aPlanWithoutAProof() throws {
        let bench = try bench()
        let command = ["quant", "recommend", "model.gguf", "--budget", "5bpw", "--types", "Q4_0,Q8_0"] + Self.options
        let proved = try bench.quipu(command + ["--json"]).object()
        let plain = try bench.quipu(command + ["--held-out-chunks", "0", "--json"]).object()
        #expect(plain["held_out"] is NSNull && plain["gains"] is NSNull)
        #expect((plain["plan"] as? [Object])?.isEmpty == true && (proved["plan"] as? [Object])?.count == 4)
        func types(_ object: Object) throws -> [String?] {
            try #require(object["tensors"] as? [Object]).map { $0["type"] as? String }
        }
        #expect(try types(plain) == types(proved))
        // The roles were measured as well as their tensors, so it is known how far a role misses them.
        let choice = try #require(plain["choice"] as? Object)
        #expect(try #require(choice["role_factor"] as? Double) > 1 && choice["error_uncertainty"] as? Double == 0)
        let page = try bench.quipu(command + ["--held-out-chunks", "0"])
        #expect(page.output.contains("not proved") && !page.output.contains("held-out"))
        let both = try bench.quipu(command + ["--held-out-chunks", "0", "--against", "Q4_0"])
        expectComplaint(both, "makes no proof", status: 64)
    }

    @Test func experts() throws {
        let bench = try Workbench(Places.fixture("tiny-mixtral.gguf"))
        try bench.addText()
        let outcome = try bench.quipu(
            "quant", "recommend", "model.gguf", "--budget", "8bpw", "--types", "Q4_0,Q8_0", "--file", "text.txt",
            "--chunk", "32", "--chunks", "1", "--held-out-chunks", "1", "--json")
        let tensors = try #require(try outcome.object()["tensors"] as? [Object])
        // Rows of 24: what llama.cpp writes where no block divides them.
        let down = tensors.first { ($0["name"] as! String).hasSuffix("ffn_down_exps.weight") }
        #expect(down?["type"] as? String == "F16")
    }

    @Test func whatIsWrongIsSaid() throws {
        let bench = try bench()
        func expect(_ options: [String], _ parts: String..., status: Int32 = 1) throws {
            let before = try bench.contents
            let outcome = try bench.quipu(["quant", "recommend", "model.gguf"] + options)
            for part in parts { expectComplaint(outcome, part, status: status) }
            #expect(try bench.contents == before, "\(options)")
        }
        let text = ["--file", "text.txt", "--chunk", "64", "--chunks", "1"]
        try expect(["--budget", "1bpw"] + text, "--budget 1bpw", "expected at least the")
        try expect(["--budget", "1B"] + text, "--budget 1B", "expected at least the")
        try expect(["--budget", "5bpw", "--types", "Q4_9"] + text, "'Q4_9' is no type", "Q4_0")
        try expect(["--budget", "5bpw", "--against", "Q4_9"] + text, "'Q4_9' is no file type")
        try expect(["--budget", "5bpw", "--imatrix", "none.gguf"] + text, "none.gguf: found no such file")
        try expect(["--budget", "5bpw", "--held-out", "none.txt"] + text, "none.txt: found no such file")
        try expect(["--budget", "5bpw", "--file", "none.txt"], "none.txt: found no such file")
        try expect(["--budget", "5bpw", "-o", "text.txt"] + text, "text.txt", "read as well")
        try bench.folder.write("mine", to: "plan.txt")
        try expect(["--budget", "5bpw", "-o", "plan.txt"] + text, "plan.txt is there already", "--force")
        let short = ["--budget", "5bpw", "--file", "text.txt", "--chunk", "64", "--chunks", "100000"]
        try expect(short, "to leave out")
        for wrong in [
            ["--budget", "5"], ["--budget", "-1bpw"], ["--budget", "MB"], ["--budget", "5bpw", "--time", "ten"],
            ["--budget", "5bpw", "--chunks", "0"], [],
        ] {
            try expect(wrong + (wrong.contains("--chunks") ? ["--file", "text.txt"] : text), "Usage: ", status: 64)
        }
    }
}
