import Analysis
import ArgumentParser
import ComputeGraph
import GGUF
import LlamaModel
import Presentation
import Quantization
import Recording
import Tensors

struct QuantCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quant",
        abstract: "What quantisation does to weights.",
        discussion: """
            Example:
              quipu quant errors model.gguf --as Q4_0,Q4_K
            """,
        subcommands: [QuantErrorsCommand.self, QuantCompareCommand.self, QuantBlocksCommand.self])
}

struct QuantErrorsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "errors",
        abstract: "Which layer, tensor and role loses the most.",
        usage: "quipu quant errors [MODEL] [options]",
        discussion: """
            With --reference, the file's tensors against the same tensors of a file of higher precision. Without it, what
            each format would do to the file's own weights, as they decode: --as names formats, all by default.

            Example:
              quipu quant errors model.gguf --as Q4_0,Q4_1,Q8_0
            """)

    @Argument(help: ModelArgument.help) var model: String?
    @Option(help: "A file of the same model in higher precision.") var reference: String?
    @Option(name: .customLong("as"), help: "Formats to try, separated by commas. (default: all that can be written)")
    var formats: String?
    @Option(help: "Tensors to list.") var limit = 20
    @Option(name: .shortAndLong, help: "Add the errors to a trace, or to a new file: table quant_error.")
    var output: String?
    @OptionGroup var threads: ThreadOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if reference != nil, formats != nil { throw ValidationError("give --reference or --as, not both") }
        if limit < 0 { throw ValidationError("--limit takes 0 or more") }
    }

    func run() async throws {
        let file = try ModelArgument.open(model)
        let quant = QuantErrors(workers: Workers(threads: threads.count)) { done, total in
            Terminal.status("\(done * 100 / max(1, total)) % of \(total) weights")
        }
        // Before the work: a model that cannot be recorded is told at once.
        let recorded = try output.map { _ in try Llama(file: file) }
        let errors: [TensorError]
        if let reference {
            errors = try quant.errors(of: file, against: try GGUFFile(path: reference))
        } else {
            errors = try quant.errors(of: file, as: try QuantFormats.parse(formats))
        }
        Terminal.status("")
        guard !errors.isEmpty else {
            throw QuantErrorProblem.nothingToCompare(
                file: file.path, advice: "It has no matrix whose rows the formats' blocks divide.")
        }
        if let output, let recorded {
            let store = try TraceStore.create(path: output, .appending)
            try await store.record(errors.map { $0.record(reference: reference ?? "self") }, of: recorded)
            try store.close()
        }
        let against = reference ?? "its own weights, as they decode, written again in each format"
        try printing.print(QuantErrorsReport(file: file.path, reference: against, errors: errors, limit: limit))
    }
}

struct QuantCompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "All formats side by side on one tensor: error against bits per weight.",
        usage: "quipu quant compare [MODEL] TENSOR [options]",
        discussion: """
            The tensor's own weights, as they decode, are written in each format and read back.

            Example:
              quipu quant compare model.gguf blk.0.attn_q.weight
            """)

    @Argument(
        help: ArgumentHelp("The model and the tensor, or the tensor with $QUIPU_MODEL.", valueName: "model> <tensor"))
    var arguments: [String]
    @Option(name: .customLong("as"), help: "Formats to try, separated by commas. (default: all that can be written)")
    var formats: String?
    @OptionGroup var threads: ThreadOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if !(1...2).contains(arguments.count) { throw ValidationError("give a model and a tensor, or a tensor") }
    }

    func run() throws {
        let file = try ModelArgument.open(arguments.count == 2 ? arguments[0] : nil)
        let info = try ModelArgument.tensor(arguments.last!, in: file)
        let quant = QuantErrors(workers: Workers(threads: threads.count))
        let fitting = try QuantFormats.parse(formats).filter { info.shape.ne0 % $0.type.blockElements == 0 }
        let errors = try fitting.map { format in
            TensorError(info, type: format.type, try quant.errors(of: info, in: file, as: format))
        }
        guard !errors.isEmpty else {
            throw QuantErrorProblem.nothingToCompare(
                file: file.path,
                advice: "Rows of '\(info.name)' have \(info.shape.ne0) values, which the formats' blocks do not divide."
            )
        }
        try printing.print(QuantCompareReport(file: file.path, tensor: info, errors: errors))
    }
}

/// Formats as users name them.
enum QuantFormats {
    /// Formats that `quant` writes: those of weights, without an importance matrix.
    static var all: [any EncodableFormat] {
        BlockFormats.weights.compactMap { $0 as? any EncodableFormat }.filter {
            $0.type != .f32 && $0.importance != .required
        }
    }

    /// `Q4_0,q4_k` or, without a list, all.
    static func parse(_ list: String?) throws -> [any EncodableFormat] {
        guard let list else { return all }
        var formats: [any EncodableFormat] = []
        for name in list.split(separator: ",", omittingEmptySubsequences: false) {
            guard let format = all.first(where: { $0.type.name.lowercased() == name.lowercased() }) else {
                throw QuantErrorProblem.notEncodable(type: String(name), known: all.map(\.type.name))
            }
            // Twice the same would count twice in the errors of layers.
            if !formats.contains(where: { $0.type == format.type }) { formats.append(format) }
        }
        return formats
    }
}
