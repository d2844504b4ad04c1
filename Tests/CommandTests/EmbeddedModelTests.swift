import Foundation
import TestSupport
import Testing

/// The model that comes with the program: used when none is named, found wherever the program is.
@Suite struct EmbeddedModelTests {
    static let note = "quipu: note: no model was named; this is the embedded one, micro-world-f16.gguf\n"
    /// The file in the repository, of which the build makes a copy beside the program.
    static let original = Places.package.appending(path: "models/micro-world-f16.gguf").path
    static let resources = URL(filePath: Workbench.binary).deletingLastPathComponent()
        .appending(path: "quipu_EmbeddedModel.resources")

    /// What follows the command's name, and the place for a model in it.
    static let commands = [
        (["inspect"], []), (["tokenize"], ["Mia has the ball."]), (["tokenize"], ["--file", "text.txt"]),
        (["graph"], ["--layer", "0"]), (["quant", "errors"], ["--as", "Q4_K,Q8_0"]),
        (["quant", "compare"], ["blk.0.attn_k.weight", "--as", "Q4_0"]),
        (["quant", "blocks"], ["output.weight", "--row", "3"]), (["explain", "weight"], ["output.weight", "3", "40"]),
        (["quantize"], ["Q4_K_M", "--dry-run"]), (["perplexity"], ["--chunks", "2"]),
    ]

    @Test(arguments: commands)
    func isUsedWhenNoneIsNamed(command: [String], rest: [String]) throws {
        let bench = try Workbench()
        try bench.folder.write("Tom is at the lake.", to: "text.txt")
        let path = Self.resources.appending(path: "micro-world-f16.gguf").path
        let named = try bench.quipu(command + [path] + rest)
        #expect(named.status == 0 && named.errors == "", "\(named.errors)")
        #expect(named.output.count > 10)
        let unnamed = try bench.quipu(command + rest)
        #expect(unnamed.status == 0 && unnamed.errors == Self.note)
        #expect(unnamed.output == named.output)

        let preferred = try bench.quipu(command + rest, environment: ["QUIPU_MODEL": path])
        #expect(preferred.status == 0 && preferred.errors == "" && preferred.output == named.output)
    }

    @Test func isTheOneInTheRepository() throws {
        let copy = Self.resources.appending(path: "micro-world-f16.gguf").path
        #expect(FileManager.default.contentsEqual(atPath: copy, andPath: Self.original))
    }

    /// A model that comes with the program needs no path, unless a file of the user's has its name.
    @Test func othersHaveNames() throws {
        let bench = try Workbench()
        let names = [
            "micro-world": "micro-world-f16", "micro-world-qat-q2_k": "micro-world-qat-q2_k",
            "micro-world-experts": "micro-world-experts-q8_0",
        ]
        for (name, file) in names {
            let named = try bench.quipu("inspect", name, "--json")
            #expect(named.errors == "" && named.status == 0)
            #expect(try named.object()["file"] as? String == Self.resources.appending(path: "\(file).gguf").path)
        }
        try FileManager.default.copyItem(
            atPath: TinyModel.stories.path, toPath: bench.folder.path("micro-world-experts"))
        #expect(try bench.quipu("inspect", "micro-world-experts", "--json").object()["n_tensors"] as? Int == 48)
        expectComplaint(try bench.quipu("inspect", "micro-world-expert"), "micro-world-expert", "no such file")
    }

    @Test func answersFromTheStory() throws {
        let bench = try Workbench()
        let prompt = "Mia has the red ball. Tom is at the lake. Who has the ball?"
        let trace = try bench.quipu("trace", "--prompt", prompt, "--generate", "2", "--json")
        #expect(trace.status == 0 && trace.errors == Self.note)
        #expect(try trace.object()["generated_text"] as? String == " Mia.")
        let measured = try bench.quipu("bench", "-p", "8", "-n", "2", "-r", "1")
        #expect(measured.status == 0 && measured.errors == Self.note)
    }

    @Test func isFoundThroughALinkAndAfterAMove() throws {
        let bench = try Workbench()
        try FileManager.default.createSymbolicLink(
            atPath: bench.folder.path("link"), withDestinationPath: Workbench.binary)
        let linked = try bench.shell("./link inspect --json")
        #expect(linked.status == 0 && linked.errors == Self.note)
        #expect(try linked.object()["n_tensors"] as? Int == 39)

        try bench.addProgram()
        let folder = bench.folder.path("moved/\(Self.resources.lastPathComponent)")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        // Another model under the name shows that the program does not look where it was built.
        try FileManager.default.copyItem(atPath: TinyModel.stories.path, toPath: folder + "/micro-world-f16.gguf")
        let moved = try bench.shell("moved/quipu inspect --json")
        #expect(moved.status == 0 && moved.errors == Self.note)
        #expect(try moved.object()["file"] as? String == folder + "/micro-world-f16.gguf")
        #expect(try moved.object()["n_tensors"] as? Int == 48)
    }

    @Test func isFoundWhereMakeInstallPutsIt() throws {
        let bench = try Workbench()
        for folder in ["prefix/bin", "prefix/share/quipu/models", "path"] {
            try FileManager.default.createDirectory(
                atPath: bench.folder.path(folder), withIntermediateDirectories: true)
        }
        try FileManager.default.copyItem(atPath: Workbench.binary, toPath: bench.folder.path("prefix/bin/quipu"))
        let model = bench.folder.path("prefix/share/quipu/models/micro-world-f16.gguf")
        try FileManager.default.copyItem(atPath: TinyModel.stories.path, toPath: model)
        try FileManager.default.copyItem(
            atPath: Places.package.appending(path: "lessons").path,
            toPath: bench.folder.path("prefix/share/quipu/lessons"))
        try FileManager.default.createSymbolicLink(
            atPath: bench.folder.path("path/q"), withDestinationPath: "../prefix/bin/quipu")
        for program in ["prefix/bin/quipu", "path/q"] {
            let inspected = try bench.shell("\(program) inspect --json")
            #expect(try inspected.object()["file"] as? String == model, "\(inspected.errors)")
            let list = try bench.shell("\(program) lesson list --json")
            #expect(list.status == 0 && list.output.contains("grouped-query-attention"), "\(list.errors)")
        }
    }

    @Test func leftBehindIsSaid() throws {
        let bench = try Workbench()
        try bench.addProgram()
        for command in ["inspect", "trace -p x", "tokenize x", "graph", "bench", "quant blocks --audit"] {
            expectComplaint(
                try bench.shell("moved/quipu \(command)"), "moved/\(Self.resources.lastPathComponent)/micro-world-f16",
                "found no such file", "nor \(bench.folder.path("share/quipu/models/micro-world-f16.gguf"))",
                "together with its folders", "QUIPU_MODEL")
        }
        expectComplaint(
            try bench.shell("moved/quipu lesson list"), "moved/quipu_Lessons.resources/lessons/course.yml",
            "nor \(bench.folder.path("share/quipu/lessons/course.yml"))")
        #expect(!bench.exists("trace.db"))
        let named = try bench.shell("moved/quipu inspect model.gguf && QUIPU_MODEL=model.gguf moved/quipu inspect")
        #expect(named.status == 0 && named.errors == "")
    }
}

extension Workbench {
    /// A copy of the program in a folder of its own, `moved`.
    fileprivate func addProgram() throws {
        try FileManager.default.createDirectory(atPath: folder.path("moved"), withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: Self.binary, toPath: folder.path("moved/quipu"))
    }
}
