import Foundation
import GGUF
import TestSupport
import Testing

/// Models that cannot be read or run: status 1 and one line that names the file, what was found and what to do.
@Suite struct ModelFaultTests {
    static let commands = [
        ["inspect", "bad.gguf"], ["tokenize", "bad.gguf", "text"], ["graph", "bad.gguf"],
        ["trace", "bad.gguf", "--prompt", "text"], ["bench", "bad.gguf"],
    ]

    @Test(arguments: commands)
    func unreadableFiles(command: [String]) throws {
        let bench = try Workbench()
        expectComplaint(try bench.quipu(command), "bad.gguf: found no such file", "Check the path.")

        try FileManager.default.createDirectory(
            atPath: bench.folder.path("bad.gguf"), withIntermediateDirectories: true)
        expectComplaint(try bench.quipu(command), "bad.gguf: found a directory", "Name the .gguf file inside it.")
        try FileManager.default.removeItem(atPath: bench.folder.path("bad.gguf"))

        try bench.folder.write("", to: "bad.gguf")
        expectComplaint(try bench.quipu(command), "bad.gguf: found an empty file", "download")

        try bench.folder.write("{\"weights\": []}\n", to: "bad.gguf")
        expectComplaint(try bench.quipu(command), "bad.gguf, byte 0: found", "a text file", "magic \"GGUF\"")

        for length in [4, 20, 5000, 600_000] {
            try bench.bytes("model.gguf").prefix(length).write(to: URL(filePath: bench.folder.path("bad.gguf")))
            expectComplaint(try bench.quipu(command), "bad.gguf, byte ", "found the end of the file", "expected")
        }

        // A trace knows its model.
        try bench.addTrace("bad.gguf")
        let outcome = try bench.quipu(command)
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.errors.contains("bad.gguf is a trace; this is the model of its newest run"))
    }

    @Test func anotherArchitectureIsListedButNotRun() throws {
        let bench = try Workbench()
        try bench.writeModel { key, value in key == "general.architecture" ? .string("mamba") : value }
        #expect(try bench.quipu("inspect", "bad.gguf").status == 0)
        #expect(try bench.quipu("tokenize", "bad.gguf", "text").status == 0)
        expectComplaint(
            try bench.quipu("graph", "bad.gguf"), "bad.gguf: architecture 'mamba'", "llama", "quipu inspect")
        expectComplaint(try bench.quipu("trace", "bad.gguf", "-p", "x"), "bad.gguf: architecture 'mamba'")
        #expect(!bench.exists("trace.db"))
    }

    @Test func anUnknownPreTokenizerIsRefusedByName() throws {
        let bench = try Workbench(TinyModel.biases.path)
        try bench.writeModel { key, value in key == "tokenizer.ggml.pre" ? .string("martian") : value }
        #expect(try bench.quipu("inspect", "bad.gguf").status == 0)
        for command in [["tokenize", "bad.gguf", "x"], ["trace", "bad.gguf", "-p", "x"]] {
            expectComplaint(
                try bench.quipu(command), "bad.gguf: pre-tokenizer \"martian\"", "llama-bpe", "quipu inspect")
        }
    }

    @Test func aMissingTensorIsNamed() throws {
        let bench = try Workbench()
        try bench.writeModel(leavingOut: "blk.2.ffn_up.weight") { $1 }
        expectComplaint(
            try bench.quipu("trace", "bad.gguf", "-p", "x"), "bad.gguf: tensor 'blk.2.ffn_up.weight'", "missing")
    }

    @Test func theModelThatTheEnvironmentNames() throws {
        let bench = try Workbench()
        let named = try bench.start(["inspect"], environment: ["QUIPU_MODEL": "model.gguf"]).wait()
        #expect(named.status == 0 && named.output.hasPrefix("model.gguf\n"))
        let text = try bench.start(["tokenize", "Once"], environment: ["QUIPU_MODEL": "model.gguf"]).wait()
        #expect(text.output.contains("‹ Once›"))
    }

    @Test func aTensorThatIsNotThere() throws {
        let bench = try Workbench()
        expectComplaint(
            try bench.quipu("inspect", "model.gguf", "--bytes", "tok_embd.weight"),
            "model.gguf: there is no tensor 'tok_embd.weight'", "Did you mean token_embd.weight?")
        expectComplaint(
            try bench.quipu("inspect", "model.gguf", "--bytes", "output_norm.weight", "--offset", "256"),
            "model.gguf", "bytes 0 to 255", "256")
        expectComplaint(try bench.quipu("graph", "model.gguf", "--layer", "5"), "model.gguf", "layer 5", "0 to 4")
    }
}

extension Workbench {
    /// Writes `bad.gguf`: the model with other metadata.
    func writeModel(leavingOut tensor: String = "", _ change: (String, GGUFValue) -> GGUFValue) throws {
        let file = try GGUFFile(path: folder.path("model.gguf"))
        let entries = file.metadata.entries.map { Metadata.Entry(key: $0.key, value: change($0.key, $0.value)) }
        let tensors = file.tensors.filter { $0.name != tensor }.map { GGUFWriter.TensorEntry($0, of: file) }
        try GGUFWriter(metadata: Metadata(entries), tensors: tensors).write(
            to: folder.path("bad.gguf"), overwrite: true)
    }
}
