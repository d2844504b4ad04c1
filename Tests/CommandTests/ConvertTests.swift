import Foundation
import GGUF
import TestSupport
import Testing

/// Files from before GGUF.
@Suite struct ConvertTests {
    private func bench(_ old: LegacyModel = .ggjt(3)) throws -> Workbench {
        let bench = try Workbench()
        try bench.addOldModel(old)
        return bench
    }

    @Test func inspectListsThem() throws {
        let bench = try bench(.ggml)
        let page = try bench.quipu("inspect", "old.bin", "--tensors").output
        #expect(page.contains("A llama in ggml") && page.contains("n_embd   64"))
        #expect(page.contains("the scores of the tokens") && page.contains("layers.4.feed_forward.w2.weight"))
        let object = try bench.quipu("inspect", "old.bin", "--json").object()
        #expect(object["format"] as? String == "ggml" && (object["header"] as? [String: Int])?["n_head"] == 8)
        let tensors = try #require(object["tensors"] as? [[String: Any]])
        #expect(tensors.count == 48 && tensors[0]["shape"] as? [Int] == [64, 512])
    }

    /// What is written runs, and says what the model it was made of says.
    @Test func convertedModelsRun() throws {
        let bench = try bench()
        let outcome = try bench.quipu(
            "convert", "old.bin", "new.gguf", "--context", "128", "--kv-heads", "4", "--epsilon", "1e-5", "--json")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try outcome.object()["n_ff"] as? Int == 172)
        func answer(_ model: String) throws -> [String: Any] {
            try bench.quipu("trace", model, "--prompt", "Once upon a time", "-g", "4", "--capture", "none", "--json")
                .object()
        }
        let (new, old) = (try answer("new.gguf"), try answer("model.gguf"))
        #expect(new["generated_ids"] as? [Int] == old["generated_ids"] as? [Int])
        let logits = [new, old].map { ($0["top"] as? [[String: Any]])?.compactMap { $0["logit"] as? Double } }
        #expect(logits[0] == logits[1] && logits[0]?.isEmpty == false)
    }

    /// The two files that the first lesson shows hold the same weights: one is made of the other.
    @Test func theLessonsTwoFilesAreTwins() throws {
        let bench = try Workbench()
        let models = Places.package.appending(path: "models")
        let outcome = try bench.quipu(
            "convert", models.appending(path: "before-gguf.bin").path, "new.gguf", "--context", "128", "--epsilon",
            "1e-5")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try bench.bytes("new.gguf") == Data(contentsOf: models.appending(path: "before-gguf.gguf")))
    }

    @Test func nothingIsOverwrittenUnasked() throws {
        let bench = try bench()
        let model = try bench.bytes("model.gguf")
        expectComplaint(try bench.quipu("convert", "old.bin", "model.gguf"), "model.gguf is there already")
        expectComplaint(try bench.quipu("convert", "old.bin", "old.bin", "--force"), "the old file itself")
        #expect(try bench.bytes("model.gguf") == model)
        try bench.folder.write("x", to: "new.gguf")
        #expect(try bench.quipu("convert", "old.bin", "new.gguf", "--force").status == 0)
    }

    @Test func filesThatAreNoOldModels() throws {
        let bench = try bench()
        expectComplaint(try bench.quipu("convert", "none.bin", "new.gguf"), "none.bin: found no such file")
        expectComplaint(try bench.quipu("convert", "model.gguf", "new.gguf"), "GGUF already")
        expectComplaint(try bench.quipu("trace", "old.bin", "--prompt", "x"), "a GGJT file", "quipu convert")
        var cut = Array(try bench.bytes("old.bin"))
        cut.removeLast(100)
        try Data(cut).write(to: URL(filePath: bench.folder.path("cut.bin")))
        expectComplaint(try bench.quipu("convert", "cut.bin", "new.gguf"), "cut.bin, byte", "the end of the file")
        expectComplaint(try bench.quipu("inspect", "cut.bin"), "cut.bin, byte", "the end of the file")
        expectComplaint(try bench.quipu("convert", "old.bin", "new.gguf", "--kv-heads", "2"), "4 heads of 8")
        #expect(!bench.exists("new.gguf"))
    }

    @Test func oldImportanceMatrices() throws {
        let bench = try bench()
        let name = Array("blk.0.attn_q.weight".utf8)
        let values = (0..<64).flatMap { LegacyModel.little(Float($0 * $0).bitPattern) }
        let bytes =
            LegacyModel.little(1) + LegacyModel.little(UInt32(name.count)) + name + LegacyModel.little(2)
            + LegacyModel.little(64) + values
        try Data(bytes).write(to: URL(filePath: bench.folder.path("imatrix.dat")))
        #expect(try bench.quipu("inspect", "imatrix.dat").output.contains("blk.0.attn_q.weight"))
        #expect(try bench.quipu("quantize", "model.gguf", "a.gguf", "Q4_0").status == 0)
        #expect(try bench.quipu("quantize", "model.gguf", "b.gguf", "Q4_0", "--imatrix", "imatrix.dat").status == 0)
        let (a, b) = (try GGUFFile(path: bench.folder.path("a.gguf")), try GGUFFile(path: bench.folder.path("b.gguf")))
        func bits(_ file: GGUFFile, _ name: String) -> [UInt8] {
            file.values(of: file.tensor(named: name)!).withBytes { $0.withUnsafeBytes { Array($0) } }
        }
        #expect(bits(a, "blk.0.attn_q.weight") != bits(b, "blk.0.attn_q.weight"))
        #expect(bits(a, "blk.1.attn_q.weight") == bits(b, "blk.1.attn_q.weight"))
        expectComplaint(try bench.quipu("trace", "imatrix.dat", "--prompt", "x"), "an importance matrix", "--imatrix")
    }
}
