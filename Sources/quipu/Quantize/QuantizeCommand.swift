import ArgumentParser
import ComputeGraph
import Foundation
import GGUF
import LlamaModel
import Presentation
import Quantizing
import Tensors

struct QuantizeCommand: AsyncParsableCommand, StopsInOrder {
    static let configuration = CommandConfiguration(
        commandName: "quantize",
        abstract: "Write a model in another format, with llama.cpp's mixes and fallbacks, byte for byte.",
        usage: "quipu quantize <in> <out> <type> [options]\nquipu quantize [<in>] <type> --dry-run [options]",
        discussion: """
            Types: \(QuantizationMix.available.map(\.fileType.name).joined(separator: ", ")), and COPY.

            Of llama-quantize's options, --prune-layers and --keep-split are not offered: all layers go into one file.

            Example:
              quipu quantize model.gguf model-q4.gguf Q4_K_M

            Example:
              quipu quantize model.gguf Q4_K_M --dry-run
            """)

    @Argument(
        help: ArgumentHelp("The model, the file to write, and the file type.", valueName: "in> <out> <type"),
        completion: .model)
    var arguments: [String]
    @Flag(help: "Write nothing: list sizes, bits per weight and the error of each tensor. OUT and IN may be left out.")
    var dryRun = false
    @Flag(help: "Replace the file if it is there.") var force = false
    @OptionGroup(title: "Types") var types: QuantizeTypeOptions
    @OptionGroup var threads: ThreadOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    @Option(
        help: ArgumentHelp(
            "Metadata to write in place of the model's; TYPE is int, float, bool or str. May be repeated.",
            valueName: "key=type:value"))
    var overrideKv: [String] = []
    /// `nil` for the model that is used when none is named.
    private var input: String? { arguments.count == 1 ? nil : arguments[0] }
    private var output: String? { arguments.count == 3 ? arguments[1] : nil }

    func validate() throws {
        // Writing, all three are named: one left out could make the model the file to write.
        if dryRun, arguments.count < 3 {
            _ = try LeadingFile(arguments, file: "model", rest: "a file type")
        } else if arguments.count != 3 {
            throw ValidationError("give the model, the file to write, and the file type")
        }
    }

    func run() async throws {
        let start = ContinuousClock.now
        let mix = try fileType()
        if let output, !dryRun {
            try Self.check(output, isNeither: [input, types.imatrix, types.tensorTypeFile].compactMap { $0 })
        }
        let file = try ModelArgument.open(input)
        if let output, !dryRun {
            try Self.check(output, isNeither: file.parts.map(\.path))
            if !force, FileManager.default.fileExists(atPath: output) {
                throw InputError("\(output) is there already; write to another path, or give --force to replace it")
            }
        }
        let importance = try types.importance()
        if let importance, !file.tensors.contains(where: { importance.values[$0.name] != nil }) {
            throw QuantizeProblem.importanceOfOthers(
                file: importance.path, model: file.path, count: importance.values.count)
        }
        var options = try types.options()
        options.metadata = try overrideKv.map { try MetadataOverride(parsing: $0) }
        let plan =
            try mix.map { try QuantizationPlan(file, as: $0, options, hasImportance: importance != nil) }
            ?? QuantizationPlan(copying: file)
        for unused in plan.unusedOverrides {
            Terminal.complain(
                "quipu: warning: --tensor-type \(unused.pattern)=\(unused.type) is found in no tensor's name and does "
                    + "nothing. `quipu inspect` lists the names.")
        }
        let progress = WorkProgress(verb: dryRun ? "measuring" : "quantising")
        defer { progress.clear() }
        let quantizer = ModelQuantizer(
            file: file, plan: plan, importance: importance, overrides: options.metadata,
            workers: Workers(threads: threads.count)
        ) { try progress.update(done: $0, total: $1) }

        guard let output, !dryRun else {
            let errors = try quantizer.errors()
            progress.clear()
            return try printing.print(
                QuantizeReport(plan, of: file, output: nil, errors: errors, lacksImportance: importance == nil))
        }
        try quantizer.check(allowsRequantizing: options.allowsRequantizing)
        try quantizer.write(to: output, overwrite: force)
        progress.clear()
        let elapsed = start.duration(to: .now).nanoseconds
        try printing.print(QuantizeReport(plan, of: file, output: output, wallNs: elapsed))
    }

    /// - Returns: `nil` for COPY.
    private func fileType() throws -> QuantizationMix? {
        let name = arguments.last!
        if name.uppercased() == "COPY" { return nil }
        guard let mix = QuantizationMix.named(name) else {
            let known = QuantizationMix.available.map(\.fileType.name) + ["COPY"]
            throw QuantizeProblem.fileType(found: name, known: known)
        }
        return mix
    }

    /// - Throws: `QuantizeProblem` if `path` is one of the files, by whatever name.
    static func check(_ path: String, isNeither files: [String]) throws {
        var (one, other) = (stat(), stat())
        guard stat(path, &one) == 0 else { return }
        for file in files where stat(file, &other) == 0 && (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino) {
            throw QuantizeProblem.sameFile(path)
        }
    }
}

/// Which tensor gets which type.
struct QuantizeTypeOptions: ParsableArguments {
    @Flag(help: "All tensors in one type, as far as their rows allow: no mix.") var pure = false
    @Option(
        help: ArgumentHelp(
            "The type of the tensors in whose name a regular expression, in lower case, is found. May be repeated; the first match counts.",
            valueName: "regex=type"))
    var tensorType: [String] = []
    @Option(
        help: ArgumentHelp(
            "A file of such pairs, between spaces or on lines; they come after those of --tensor-type.",
            valueName: "file"))
    var tensorTypeFile: String?
    @Option(
        help: ArgumentHelp(
            "The type of output.weight, or of the token embeddings that serve as output.", valueName: "type"))
    var outputTensorType: String?
    @Option(help: ArgumentHelp("The type of the token embeddings.", valueName: "type")) var tokenEmbeddingType: String?
    @Flag(help: "Leave output.weight as it is.") var leaveOutputTensor = false
    @Flag(help: "Quantise again what is quantised already.") var allowRequantize = false
    @Option(
        help: ArgumentHelp("How much each column matters, as llama.cpp's llama-imatrix writes it.", valueName: "file"),
        completion: .file())
    var imatrix: String?
    @Option(
        help: ArgumentHelp(
            "Use the importance matrix only for tensors in whose name this text is found. May be repeated.",
            valueName: "text"))
    var includeWeights: [String] = []
    @Option(
        help: ArgumentHelp(
            "Do not use the importance matrix for tensors in whose name this text is found. May be repeated.",
            valueName: "text"))
    var excludeWeights: [String] = []

    func validate() throws {
        if imatrix == nil, !(includeWeights + excludeWeights).isEmpty {
            throw ValidationError("--include-weights and --exclude-weights go with --imatrix")
        }
        if !includeWeights.isEmpty, !excludeWeights.isEmpty {
            throw ValidationError("give --include-weights or --exclude-weights, not both")
        }
    }

    /// - Returns: `nil` if none is given, or it is to be used for no tensor.
    func importance() throws -> ImportanceMatrix? {
        guard let imatrix else { return nil }
        let matrix = try ImportanceMatrix(path: imatrix)
        if !includeWeights.isEmpty { return try matrix.including(includeWeights) }
        return excludeWeights.isEmpty ? matrix : try matrix.excluding(excludeWeights)
    }

    func options() throws -> QuantizeOptions {
        var options = QuantizeOptions()
        options.isPure = pure
        options.overrides = try tensorType.map { try TypeOverride(parsing: $0) }
        if let tensorTypeFile {
            options.overrides += try TypeOverride.list(
                String(decoding: try InputFile.bytes(tensorTypeFile), as: UTF8.self), from: tensorTypeFile)
        }
        options.outputType = try outputTensorType.map { try TensorType.writable(named: $0) }
        options.embeddingType = try tokenEmbeddingType.map { try TensorType.writable(named: $0) }
        options.leavesOutput = leaveOutputTensor
        options.allowsRequantizing = allowRequantize
        return options
    }
}
