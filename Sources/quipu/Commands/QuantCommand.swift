import Analysis
import ArgumentParser
import ComputeGraph
import GGUF
import Presentation
import Quantization
import Tensors

struct QuantCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quant",
        abstract: "What quantisation does to weights.",
        discussion: """
            Example:
              quipu quant errors model.gguf --as Q4_0,Q4_K
            """,
        subcommands: [QuantErrorsCommand.self, QuantCompareCommand.self])
}

struct QuantErrorsCommand: ParsableCommand {
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
    @OptionGroup var threads: ThreadOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if reference != nil, formats != nil { throw ValidationError("give --reference or --as, not both") }
        if limit < 0 { throw ValidationError("--limit takes 0 or more") }
    }

    func run() throws {
        let file = try ModelArgument.open(model)
        let quant = QuantErrors(workers: Workers(threads: threads.count)) { done, total in
            Terminal.status("\(done * 100 / max(1, total)) % of \(total) weights")
        }
        defer { Terminal.status("") }
        if let reference {
            let other = try GGUFFile(path: reference)
            let errors = try quant.errors(of: file, against: other)
            return try printing.print(
                QuantErrorsReport(file: file.path, reference: reference, errors: errors, limit: limit))
        }
        let errors = try quant.errors(of: file, as: try QuantFormats.parse(formats))
        guard !errors.isEmpty else {
            throw QuantErrorProblem.nothingToCompare(
                file: file.path, advice: "No matrix has rows that the formats' blocks divide.")
        }
        Terminal.status("")
        try printing.print(
            QuantErrorsReport(
                file: file.path, reference: "its own weights, as they decode (written again in each format)",
                errors: errors, limit: limit))
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

    @Argument(help: ArgumentHelp("The model and the tensor, or the tensor with $QUIPU_MODEL.", valueName: "model> <tensor"))
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
        try printing.print(QuantCompareReport(file: file.path, tensor: info, errors: errors))
    }
}

/// Formats as users name them.
enum QuantFormats {
    /// Formats that `quant` writes: those of weights, without an importance matrix.
    static var all: [any EncodableFormat] {
        BlockFormats.all.compactMap { $0 as? any EncodableFormat }.filter {
            ![.f32, .q8_1, .q8_K].contains($0.type) && $0.importance != .required
        }
    }

    /// `Q4_0,q4_k` or, without a list, all.
    static func parse(_ list: String?) throws -> [any EncodableFormat] {
        guard let list else { return all }
        return try list.split(separator: ",").map { name in
            guard let format = all.first(where: { $0.type.name.lowercased() == name.lowercased() }) else {
                throw QuantErrorProblem.notEncodable(type: String(name), known: all.map(\.type.name))
            }
            return format
        }
    }
}
