import Foundation
import GGUF
import TestSupport
import Testing

/// `imatrix` against the real llama-imatrix: the same bytes.
@Suite struct ImatrixTests {
    private static let options = ["--file", "text.txt", "--chunk", "32", "--chunks", "3", "--json"]

    private func bench(_ fixture: String = "tiny-mixtral.gguf") throws -> Workbench {
        let bench = try Workbench(Places.fixture(fixture))
        try bench.addText()
        return bench
    }

    @Test(arguments: [
        "tiny-gqa-q4_1.gguf", "tiny-mixtral.gguf", "tiny-deepseek2.gguf", "tiny-qwen2moe.gguf", "tiny-gpt-oss.gguf",
        "tiny-gemma2.gguf",
    ])
    func theFileIsLlamaImatrixs(fixture: String) throws {
        let bench = try bench(fixture)
        let outcome = try bench.quipu(["imatrix", "model.gguf", "-o", "im.gguf"] + Self.options)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let golden = try Data(contentsOf: URL(filePath: Places.fixture("golden/imatrix-\(fixture)")))
        #expect(try bench.bytes("im.gguf") == golden)
        let object = try outcome.object()
        #expect(object["n_chunks"] as? Int == 3 && object["n_tokens"] as? Int == 96)
        #expect(try bench.files == ["im.gguf", "model.gguf", "text.txt"])
    }

    @Test func threadsMakeNoDifference() throws {
        let bench = try bench()
        for threads in ["1", "3"] {
            let command = ["imatrix", "model.gguf", "-o", "\(threads).gguf", "--threads", threads]
            #expect(try bench.quipu(command + Self.options).status == 0)
        }
        #expect(try bench.bytes("1.gguf") == bench.bytes("3.gguf"))
    }

    /// Experts that no token was sent to are said; the file is one that all commands take.
    @Test func everyCommandTakesIt() throws {
        let bench = try Workbench(TinyModel.kQuants.path)
        try bench.addText()
        #expect(try bench.quipu(["imatrix", "model.gguf", "-o", "im.gguf"] + Self.options).status == 0)
        for command in [
            ["quantize", "model.gguf", "out.gguf", "IQ2_XXS", "--allow-requantize"],
            ["quant", "errors", "model.gguf", "--as", "IQ2_XXS"],
            ["quant", "compare", "model.gguf", "blk.0.attn_q.weight", "--as", "IQ2_XXS"],
            [
                "quant", "table", "model.gguf", "--types", "Q2_K", "--file", "text.txt", "--chunk", "32", "--chunks",
                "1",
            ],
        ] {
            let outcome = try bench.quipu(command + ["--imatrix", "im.gguf"])
            #expect(outcome.status == 0, "\(command): \(outcome.errors)")
        }
    }

    /// Two texts one after the other are both together.
    @Test func earlierMatricesAreAddedTo() throws {
        let bench = try bench()
        let text = ["--file", "text.txt", "--chunk", "32", "--json"]
        let first = ["imatrix", "model.gguf", "-o", "one.gguf", "--chunks", "1"]
        #expect(try bench.quipu(first + text).status == 0)
        let second = [
            "imatrix", "model.gguf", "-o", "two.gguf", "--skip", "1", "--chunks", "2", "--in-file", "one.gguf",
        ]
        let object = try bench.quipu(second + text).object()
        #expect(object["n_chunks"] as? Int == 3 && object["datasets"] as? [String] == ["text.txt", "text.txt"])
        #expect(try bench.quipu(["imatrix", "model.gguf", "-o", "all.gguf", "--chunks", "3"] + text).status == 0)
        func sums(_ name: String) throws -> [String: [Float]] {
            let file = try GGUFFile(path: bench.folder.path(name))
            return Dictionary(uniqueKeysWithValues: file.tensors.map { ($0.name, file.values(of: $0).floats()) })
        }
        #expect(try sums("two.gguf") == sums("all.gguf"))
    }

    /// A run that was stopped is gone on with, and ends in the same bytes.
    @Test func aRunIsResumed() throws {
        let bench = try bench()
        let whole = ["imatrix", "model.gguf", "--file", "text.txt", "--chunk", "32"]
        #expect(try bench.quipu(whole + ["-o", "whole.gguf", "--chunks", "200"]).status == 0)
        // What a run leaves that is stopped after the first chunks: found by stopping one.
        let run = try bench.start(whole + ["-o", "im.gguf", "--chunks", "200", "--threads", "1"])
        let partial = bench.folder.path("im.gguf.partial")
        for _ in 0..<2000 where !FileManager.default.fileExists(atPath: partial) { usleep(1000) }
        usleep(50_000)
        kill(run.process.processIdentifier, SIGINT)
        let stopped = try run.wait()
        try #require(stopped.status == 130, "\(stopped.errors)")
        #expect(stopped.errors.contains("--resume"))
        #expect(!FileManager.default.fileExists(atPath: bench.folder.path("im.gguf")))
        let again = whole + ["-o", "im.gguf", "--chunks", "200"]
        expectComplaint(try bench.quipu(again), "im.gguf.partial", "--resume")
        expectComplaint(
            try bench.quipu(whole + ["-o", "im.gguf", "--chunks", "199", "--resume"]), "im.gguf.partial",
            "begun with another")
        let resumed = try bench.quipu(again + ["--resume", "--json"])
        #expect(resumed.status == 0, "\(resumed.errors)")
        #expect(try bench.bytes("im.gguf") == bench.bytes("whole.gguf"))
        #expect(!FileManager.default.fileExists(atPath: partial))
    }

    @Test func whatIsWrongIsSaid() throws {
        let bench = try bench()
        func expect(_ options: [String], _ parts: String..., status: Int32 = 1) throws {
            let before = try bench.contents
            let outcome = try bench.quipu(["imatrix", "model.gguf"] + options)
            for part in parts { expectComplaint(outcome, part, status: status) }
            #expect(try bench.contents == before, "\(options)")
        }
        try expect(["--file", "none.txt"], "none.txt: found no such file")
        try expect(["--file", "."], ".: found a directory")
        try expect(["--file", "text.txt", "--chunk", "8"], "chunks of 8 tokens are too short", "16 or more")
        try expect(["--file", "text.txt", "--chunk", "100000"], "was trained for")
        try expect(["--file", "text.txt", "--chunk", "32", "--skip", "1000000"], "more than the 1000000 to leave out")
        try expect(["--file", "text.txt", "--chunk", "32", "-o", "text.txt"], "text.txt", "read as well")
        try expect(["--file", "text.txt", "--chunk", "32", "-o", "model.gguf"], "model.gguf", "read as well")
        try expect(["--file", "text.txt", "--chunk", "32", "-o", "no/im.gguf"], "no/im.gguf")
        try expect(["--file", "text.txt", "--chunk", "32", "--in-file", "none.gguf"], "none.gguf: found no such file")
        try expect(["--file", "text.txt", "--chunk", "32", "--in-file", "model.gguf"], "found no keys 'imatrix.…'")
        try bench.folder.write("mine", to: "im.gguf")
        try expect(["--file", "text.txt", "--chunk", "32", "-o", "im.gguf"], "im.gguf is there already", "--force")
        try bench.folder.write("mine", to: "x.gguf.partial")
        try expect(["--file", "text.txt", "--chunk", "32", "-o", "x.gguf"], "x.gguf.partial")
        try bench.writeImportance(["blk.0.attn_q.weight": 7])
        try expect(
            ["--file", "text.txt", "--chunk", "32", "--in-file", "imatrix.gguf", "-o", "y.gguf"],
            "'blk.0.attn_q.weight'")
        for wrong in [[], ["--file", "text.txt", "--chunks", "0"], ["--file", "text.txt", "--skip=-1"]] {
            try expect(wrong, "Usage: ", status: 64)
        }
        expectComplaint(try bench.quipu("imatrix", "none.gguf", "--file", "text.txt"), "none.gguf: found no such file")
    }
}
