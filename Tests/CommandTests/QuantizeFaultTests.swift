import Foundation
import GGUF
import TestSupport
import Testing

/// What `quantize` refuses: one line that says why, and no file, whole or partial, is left.
@Suite struct QuantizeFaultTests {
    /// Expects the command to be refused, and the folder to be as it was.
    private func expectRefusal(
        _ bench: Workbench, _ arguments: [String], _ parts: String..., status: Int32 = 1,
        location: SourceLocation = #_sourceLocation
    ) throws {
        let before = try bench.contents
        let outcome = try bench.quipu(["quantize"] + arguments)
        expectComplaint(outcome, status: status, location: location)
        for part in parts { #expect(outcome.errors.contains(part), "\(outcome.errors)", sourceLocation: location) }
        #expect(try bench.contents == before, "\(arguments)", sourceLocation: location)
    }

    @Test(arguments: [
        (["Q4_9"], "'Q4_9' is no file type", "Q4_K_M"), ([""], "'' is no file type", "COPY"),
        (["Q4_0", "--tensor-type", "attn_v"], "'attn_v'", "REGEX=TYPE"),
        (["Q4_0", "--tensor-type", "=Q8_0"], "'=Q8_0'", "REGEX=TYPE"),
        (["Q4_0", "--tensor-type", "(=Q8_0"], "'('", "regular expression"),
        (["Q4_0", "--tensor-type", "attn_v=Q9_0"], "'Q9_0' is no type", "Q8_0"),
        (["Q4_0", "--tensor-type", "attn_v="], "'' is no type", "Q8_0"),
        (["Q4_0", "--output-tensor-type", "Q8_K"], "'Q8_K' is no type", "Q8_0"),
        (["Q4_0", "--token-embedding-type", "I32"], "'I32' is no type", "Q8_0"),
        (["Q4_0", "--token-embedding-type", "Q4_K"], "rows of 64", "no multiple"),
        (["Q4_0", "--tensor-type", "attn_q=Q1_0"], "rows of 64", "name another"),
        (["Q4_0", "--tensor-type-file", "none.txt"], "none.txt: found no such file", "Check the path"),
        (["Q4_0", "--tensor-type-file", "."], ".: found a directory", "file"),
        (["Q4_0", "--tensor-type-file", "types.txt"], "types.txt, line 3", "'ffn_up'"),
        (["Q4_0", "--override-kv", "general.name"], "'general.name'", "KEY=int:N"),
        (["Q4_0", "--override-kv", "=int:1"], "'=int:1'", "KEY=int:N"),
        (["Q4_0", "--override-kv", "a=int:-1"], "'a=int:-1'", "0 to 4294967295"),
        (["Q4_0", "--override-kv", "a=float:nan"], "'a=float:nan'", "float:X"),
        (["Q4_0", "--override-kv", "a=bool:yes"], "'a=bool:yes'", "bool:true"),
        (["Q4_0", "--override-kv", "a=u64:1"], "'a=u64:1'", "str:TEXT"),
        (["Q4_0", "--override-kv", "split.count=int:2"], "'split.count'", "cannot be chosen"),
        (["Q4_0", "--override-kv", "llama.block_count=str:five"], "model.gguf", "'llama.block_count'"),
        (["Q4_0", "--imatrix", "none.gguf"], "none.gguf: found no such file", "Check the path"),
        (["Q4_0", "--imatrix", "types.txt"], "types.txt, byte 0", "magic"),
        (["Q4_0", "--imatrix", "model.gguf"], "model.gguf: found no keys 'imatrix.…'", "llama-imatrix"),
    ])
    func wrongWords(arguments: [String], part: String, advice: String) throws {
        let bench = try Workbench()
        try bench.folder.write("attn_q=Q8_0\n\nattn_k=Q8_0 ffn_up\n", to: "types.txt")
        try expectRefusal(bench, ["model.gguf", "out.gguf"] + arguments, part, advice)
    }

    @Test(arguments: [
        [], ["model.gguf"], ["model.gguf", "Q4_0"], ["model.gguf", "out.gguf", "Q4_0", "2"],
        ["model.gguf", "out.gguf", "Q4_0", "--threads", "0"], ["model.gguf", "out.gguf", "Q4_0", "--bogus"],
        ["model.gguf", "out.gguf", "Q4_0", "--include-weights", "attn"],
        ["model.gguf", "out.gguf", "Q4_0", "--exclude-weights", "attn"],
        ["model.gguf", "out.gguf", "Q4_0", "--imatrix", "m", "--include-weights", "a", "--exclude-weights", "b"],
        ["model.gguf", "--dry-run"],
    ])
    func wrongUsage(arguments: [String]) throws {
        try expectRefusal(try Workbench(), arguments, "Usage: quipu quantize", status: 64)
    }

    /// What would be ignored without a word.
    @Test func optionsThatWouldDoNothing() throws {
        let bench = try Workbench()
        try bench.writeImportance(["encoder.0.attn_q.weight": 64])
        let command = ["model.gguf", "out.gguf", "Q8_0"]
        try expectRefusal(
            bench, command + ["--imatrix", "imatrix.gguf"], "imatrix.gguf: its one tensor is not in model.gguf")
        let outcome = try bench.quipu(["quantize"] + command + ["--tensor-type", "attn_z=Q6_K"])
        #expect(
            outcome.status == 0 && outcome.errors.contains("--tensor-type attn_z=Q6_K is found in no tensor's name"))
    }

    @Test(arguments: [
        "(.*.*.*.*.*.*.*.*)*zz", "(.*)+x", "((a|a)*)*", "(.|.)*zz", "(.?.?)*z", ".*.*.*.*.*z", "(a{0,9}){0,9}",
    ])
    func expressionsThatTakeForEver(pattern: String) throws {
        try expectRefusal(
            try Workbench(), ["model.gguf", "out.gguf", "Q4_0", "--tensor-type", pattern + "=Q8_0"], "may take for ever"
        )
    }

    @Test func theInputIsNeverTheOutput() throws {
        let bench = try Workbench()
        let copy = bench.folder.path("copy.gguf")
        try FileManager.default.copyItem(atPath: TinyModel.stories.path, toPath: copy)
        try FileManager.default.linkItem(atPath: copy, toPath: bench.folder.path("hard.gguf"))
        try FileManager.default.createSymbolicLink(atPath: bench.folder.path("soft.gguf"), withDestinationPath: copy)
        for output in ["copy.gguf", "./copy.gguf", "hard.gguf", "soft.gguf"] {
            for options in [[], ["--force"]] {
                try expectRefusal(bench, ["copy.gguf", output, "Q4_0"] + options, output, "another name")
            }
        }
        try bench.writeImportance(["blk.0.attn_q.weight": 64])
        try bench.folder.write("attn_q=Q8_0", to: "types.txt")
        for (option, file) in [("--imatrix", "imatrix.gguf"), ("--tensor-type-file", "types.txt")] {
            try expectRefusal(bench, ["copy.gguf", file, "Q4_0", "--force", option, file], file, "another name")
        }
    }

    @Test func unreadableModels() throws {
        let bench = try Workbench()
        try expectRefusal(bench, ["none.gguf", "out.gguf", "Q4_0"], "none.gguf: found no such file", "Check the path.")
        try expectRefusal(bench, [".", "out.gguf", "Q4_0"], ".: found a directory")
        for length in [0, 4, 5000, 600_000] {
            try bench.bytes("model.gguf").prefix(length).write(to: URL(filePath: bench.folder.path("bad.gguf")))
            try expectRefusal(bench, ["bad.gguf", "out.gguf", "Q4_0"], "bad.gguf")
        }
        for key in ["general.architecture", "llama.block_count"] {
            try FileManager.default.removeItem(atPath: bench.folder.path("bad.gguf"))
            try bench.writeModel { $0 == key ? .bool(true) : $1 }
            try expectRefusal(bench, ["bad.gguf", "out.gguf", "Q4_0"], "bad.gguf: the key '\(key)'")
        }
    }

    @Test func placesThatCannotBeWritten() throws {
        let bench = try Workbench()
        try FileManager.default.createDirectory(
            atPath: bench.folder.path("folder"), withIntermediateDirectories: false)
        for options in [[], ["--force"]] {
            try expectRefusal(bench, ["model.gguf", "folder", "Q4_0"] + options, "folder")
        }
        try expectRefusal(bench, ["model.gguf", "no/folder/out.gguf", "Q4_0"], "no/folder/out.gguf")
        try expectRefusal(bench, ["model.gguf", "model.gguf/out.gguf", "Q4_0"], "model.gguf/out.gguf")
        try expectRefusal(bench, ["model.gguf", "", "Q4_0"], "quipu: ")
        if FileManager.default.fileExists(atPath: "/sys") {
            // Not even root may create files here.
            try expectRefusal(bench, ["model.gguf", "/sys/out.gguf", "Q4_0"], "/sys/out.gguf")
        }
    }

    @Test(.enabled(if: geteuid() != 0, "root may write everywhere"))
    func foldersThatMayOnlyBeRead() throws {
        let bench = try Workbench()
        let folder = bench.folder.path("locked")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        chmod(folder, 0o555)
        defer { chmod(folder, 0o755) }
        try expectRefusal(bench, ["model.gguf", "locked/out.gguf", "Q4_0"], "locked/out.gguf")
    }

    /// Found on the way: what was written until then goes.
    @Test(arguments: [Float.nan, .infinity, -.infinity])
    func weightsThatAreNoNumbers(value: Float) throws {
        let bench = try Workbench()
        // Both are copied as they are by some types: a norm by all, a matrix by F32.
        for tensor in ["blk.4.ffn_up.weight", "blk.4.ffn_norm.weight"] {
            try bench.writeModel(with: [63: value], in: tensor)
            for type in ["Q4_0", "Q6_K", "F16", "F32", "COPY"] {
                try expectRefusal(
                    bench, ["bad.gguf", "out.gguf", type], "bad.gguf: tensor '\(tensor)' holds \(value) at element 63")
            }
        }
        try bench.writeModel(with: [100: value], in: "blk.0.attn_q.weight")
        try expectRefusal(
            bench, ["bad.gguf", "Q4_0", "--dry-run"], "tensor 'blk.0.attn_q.weight' holds \(value) at element 100")
        // What is there under the name stays.
        try bench.folder.write("mine", to: "out.gguf")
        try expectRefusal(bench, ["bad.gguf", "out.gguf", "Q4_0", "--force"], "at element 100")
    }

    @Test func weightsTooLargeForTheirScale() throws {
        let bench = try Workbench()
        try bench.writeModel(with: [100: 1e30], in: "blk.0.attn_q.weight")
        try expectRefusal(
            bench, ["bad.gguf", "out.gguf", "Q4_0"], "'blk.0.attn_q.weight' holds 1e+30 at element 100", "--tensor-type"
        )
        #expect(try bench.quipu("quantize", "bad.gguf", "out.gguf", "Q4_0", "--tensor-type", "attn_q=BF16").status == 0)
    }

    /// As llama.cpp: a tensor that would change must not be quantised already; copies are fine.
    @Test func quantisingTwice() throws {
        let bench = try Workbench(TinyModel.gqa.path)
        try expectRefusal(
            bench, ["model.gguf", "out.gguf", "Q8_0"], "model.gguf: tensor", "is Q4_1 already", "--allow-requantize")
        #expect(try bench.quipu("quantize", "model.gguf", "out.gguf", "Q4_1", "--pure").status == 0)
        #expect(try bench.tensors("out.gguf") == bench.tensors("model.gguf"))
        #expect(try bench.quipu("quantize", "model.gguf", "out2.gguf", "Q8_0", "--allow-requantize").status == 0)
    }

    @Test func importancesThatAreMissingOrWrong() throws {
        let bench = try Workbench(TinyModel.kQuants.path)
        let command = ["model.gguf", "out.gguf", "IQ2_XXS", "--allow-requantize"]
        try expectRefusal(bench, command, "tensor 'blk.0.", "would become IQ2_XXS", "give one with --imatrix")
        let query = "blk.0.attn_q.weight"
        try bench.writeImportance(["blk.0.attn_k.weight": 256])
        let matrix = command + ["--imatrix", "imatrix.gguf"]
        try expectRefusal(bench, matrix, "the one given has no entry")
        try expectRefusal(bench, matrix + ["--include-weights", "attn_z"], "imatrix.gguf", "'attn_z'", "blk.0.attn_k")
        try expectRefusal(bench, matrix + ["--exclude-weights", "attn_z"], "imatrix.gguf", "'attn_z'", "blk.0.attn_k")
        try bench.writeImportance([query: 64])
        try expectRefusal(
            bench, ["model.gguf", "out.gguf", "Q5_K_S", "--allow-requantize", "--imatrix", "imatrix.gguf"],
            "imatrix.gguf: 64 importances for tensor '\(query)', expected 256", "another model")
        try bench.writeImportance([query: 256]) { $0 == 9 ? .nan : 1 }
        try expectRefusal(bench, matrix, "imatrix.gguf: the importance of column 9 of tensor '\(query)' is nan")
        // A plan without importances says what it lacks.
        let plan = try bench.quipu("quantize", "model.gguf", "IQ2_XXS", "--dry-run", "--allow-requantize", "--json")
        #expect(try plan.object()["needs_importance"] as? Bool == true)
    }

    /// Ctrl-C takes the unfinished file away and leaves what was there.
    @Test(.enabled(if: Places.runsSmolLM2, "\(Places.smolLM2Hint)"), arguments: [SIGINT, SIGTERM])
    func stopped(signal: Int32) throws {
        let bench = try Workbench(Places.smolLM2)
        try bench.folder.write("mine", to: "out.gguf")
        let run = try bench.start([
            "quantize", "model.gguf", "out.gguf", "IQ3_S", "--allow-requantize", "--force", "--threads", "1",
        ])
        let deadline = Date.now + 20
        while Date.now < deadline, try !bench.files.contains(where: { $0.hasSuffix(".partial") }) { usleep(1000) }
        #expect(try bench.files.count == 3)
        kill(run.process.processIdentifier, signal)
        #expect(try run.wait().status == 130)
        #expect(try bench.files == ["model.gguf", "out.gguf"])
        #expect(try bench.bytes("out.gguf") == Data("mine".utf8))
    }
}

extension Workbench {
    /// Every file of the folder with its bytes.
    var contents: [String: Data] {
        get throws {
            try Dictionary(uniqueKeysWithValues: files.filter { $0 != "folder" }.map { ($0, try bytes($0)) })
        }
    }
}
