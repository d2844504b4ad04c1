import ArgumentParser
import Foundation
import GGUF
import Presentation
import Quantizing

struct ConvertCommand: AsyncParsableCommand, StopsInOrder {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Write a llama from before GGUF (ggml, ggmf, ggjt) as GGUF.",
        usage: "quipu convert OLD NEW [options]",
        discussion: """
            Block layouts that have changed since are converted, or refused by name. Feed-forward width and KV heads are \
            derived from the tensors' shapes; context and epsilon are in no such file, and are yours to say.

            Example:
              quipu convert old.bin new.gguf --context 2048 --epsilon 1e-6
            """)

    @Argument(help: "The old file.", completion: .file()) var old: String
    @Argument(help: "The GGUF file to write.", completion: .model) var new: String
    @Option(help: "Positions the model was trained for: 2048 for LLaMA, 4096 for Llama 2.")
    var context = LegacyConversion.Options().context
    @Option(help: "KV heads, to hold against the shapes. (default: what the shapes say)") var kvHeads: Int?
    @Option(help: "What norms add to the mean square: 1e-6 for LLaMA, 1e-5 for Llama 2.")
    var epsilon = LegacyConversion.Options().epsilon
    @Option(help: "The model's name in the new file. (default: the old file's)") var name: String?
    @Flag(help: "Replace the file if it is there.") var force = false
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if !(1...1 << 31).contains(context) { throw ValidationError("--context takes 1 to 2147483648") }
        if !(epsilon > 0 && epsilon < 1) { throw ValidationError("--epsilon takes more than 0, less than 1") }
        if let kvHeads, kvHeads < 1 { throw ValidationError("--kv-heads takes 1 or more") }
    }

    func run() async throws {
        guard !Self.isSameFile(old, new) else {
            throw InputError("\(new): found the old file itself, expected another to write to. Nothing was changed.")
        }
        if !force, FileManager.default.fileExists(atPath: new) {
            throw InputError("\(new) is there already; write to another path, or give --force to replace it")
        }
        let file = try LegacyFile(path: old)
        var options = LegacyConversion.Options()
        (options.context, options.epsilon, options.kvHeads) = (context, epsilon, kvHeads)
        options.name = name ?? URL(fileURLWithPath: old).deletingPathExtension().lastPathComponent
        let conversion = try LegacyConversion(file, options)
        defer { Terminal.status("") }
        try conversion.write(to: new, overwrite: force) { done, total in
            try Task.checkCancellation()
            Terminal.status("converting tensor \(done + 1) of \(total)")
        }
        Terminal.status("")
        let size = try FileManager.default.attributesOfItem(atPath: new)[.size] as? Int ?? 0
        try printing.print(
            ConvertReport(conversion, options, output: new, sizeBytes: size, program: Quipu.calledAs))
    }

    private static func isSameFile(_ a: String, _ b: String) -> Bool {
        var (one, other) = (stat(), stat())
        guard stat(a, &one) == 0, stat(b, &other) == 0 else { return false }
        return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
    }
}
