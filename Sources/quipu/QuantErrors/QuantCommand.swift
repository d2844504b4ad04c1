import ArgumentParser
import ComputeGraph
import GGUF
import LlamaModel
import Presentation
import Quantization
import Quantizing
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
        subcommands: [
            QuantErrorsCommand.self, QuantCompareCommand.self, QuantBlocksCommand.self, QuantTableCommand.self,
            QuantSensitivityCommand.self, QuantRecommendCommand.self,
        ])
}

struct QuantCompareCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "All formats side by side on one tensor: error against bits per weight.",
        usage: "quipu quant compare [MODEL] TENSOR [options]",
        discussion: """
            The tensor's own weights, as they decode, are written in each format and read back. The schemes that textbooks
            show stand beside ggml's formats: \(TeachingSchemes.all.map(\.id).joined(separator: ", ")).

            Example:
              quipu quant compare model.gguf blk.0.attn_q.weight
            """)

    @Argument(
        help: ArgumentHelp(
            "The model (default: $QUIPU_MODEL, or the embedded model) and the tensor.", valueName: "model> <tensor"),
        completion: .model)
    var arguments: [String]
    @Option(name: .customLong("as"), help: "Formats to try, separated by commas. (default: all that can be written)")
    var formats: String?
    @Option(help: ImportanceOption.help, completion: .file()) var imatrix: String?
    @OptionGroup var threads: ThreadOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        _ = try LeadingFile(arguments, file: "model", rest: "a tensor")
    }

    func run() async throws {
        let named = try LeadingFile(arguments, file: "model", rest: "a tensor")
        let file = try ModelArgument.open(named.file)
        let info = try ModelArgument.tensor(named.rest, in: file)
        let importance = try imatrix.map { try ImportanceMatrix(path: $0) }
        let columns = try importance?.values(for: info)
        let chosen = try QuantFormats(formats, importance: importance, besides: TeachingSchemes.all)
        let (tried, left) = chosen.fitting(info, hasImportance: columns != nil)
        let progress = WorkProgress(verb: "measuring")
        defer { progress.clear() }
        let quant = QuantErrors(workers: Workers(threads: threads.count))
        let (count, forms) = (info.shape.count, tried.count + chosen.schemes.count)
        var errors: [TensorError] = []
        func add(_ error: TensorError) throws {
            errors.append(error)
            try progress.update(done: errors.count * count, total: forms * count)
        }
        for format in tried {
            try add(try quant.errors(of: info, in: file, as: format, importance: columns))
        }
        for scheme in chosen.schemes { try add(try quant.errors(of: info, in: file, as: scheme)) }
        progress.clear()
        guard !errors.isEmpty else {
            throw QuantErrorProblem.nothingToCompare(
                file: file.path,
                advice:
                    "The rows of '\(info.name)' have \(info.shape.ne0) values, which no block of the formats divides.")
        }
        try printing.print(
            QuantCompareReport(
                file: file.path, tensor: info, errors: errors, imatrix: imatrix, notTried: chosen.notTried + left))
    }
}

enum ImportanceOption {
    static let help = ArgumentHelp(
        "How much each column matters, as llama.cpp's llama-imatrix writes it; IQ1_S, IQ2_XXS and IQ2_XS need it. (default: none)",
        valueName: "file")
}

/// Formats and textbook schemes as users name them.
struct QuantFormats {
    let formats: [any EncodableFormat]
    let schemes: [any TeachingScheme]
    /// Those that `all` leaves out.
    let notTried: [FormatNotTried]

    /// Formats that weights can be written in.
    private static var all: [any EncodableFormat] {
        BlockFormats.weights.compactMap { $0 as? any EncodableFormat }.filter { $0.type != .f32 }
    }

    /// `Q4_0,q4_k,int8-affine-row` or, without a list, all formats.
    ///
    /// - Parameter others: schemes that belong to all.
    /// - Throws: `QuantErrorProblem` if a name is not known, or a format needs the importance matrix that is not given.
    init(_ list: String?, importance: ImportanceMatrix?, besides others: [any TeachingScheme] = []) throws {
        guard let list else {
            let left = importance == nil ? Self.all.filter { $0.importance == .required } : []
            notTried = left.map {
                FormatNotTried(type: $0.type.name, reason: "needs an importance matrix, --imatrix FILE")
            }
            formats = Self.all.filter { format in !left.contains { $0.type == format.type } }
            schemes = others
            return
        }
        var (formats, schemes) = ([any EncodableFormat](), [any TeachingScheme]())
        for name in list.split(separator: ",", omittingEmptySubsequences: false) {
            // Twice the same would count twice in the errors of layers.
            if let format = Self.all.first(where: { $0.type.name.lowercased() == name.lowercased() }) {
                guard format.importance != .required || importance != nil else {
                    throw QuantErrorProblem.needsImportance(type: format.type)
                }
                if !formats.contains(where: { $0.type == format.type }) { formats.append(format) }
            } else if let scheme = TeachingSchemes.named(String(name)) {
                if !schemes.contains(where: { $0.id == scheme.id }) { schemes.append(scheme) }
            } else {
                let known = Self.all.map(\.type.name) + TeachingSchemes.all.map(\.id)
                throw QuantErrorProblem.notEncodable(type: String(name), known: known)
            }
        }
        (self.formats, self.schemes, notTried) = (formats, schemes, [])
    }

    /// The formats that a tensor can be written in, and why not the others.
    func fitting(_ info: TensorInfo, hasImportance: Bool) -> ([any EncodableFormat], [FormatNotTried]) {
        var (tried, left) = ([any EncodableFormat](), [FormatNotTried]())
        for format in formats {
            let length = format.type.blockElements
            if info.shape.ne0 % length != 0 {
                let reason = "rows of \(info.shape.ne0) are no multiple of their block of \(length)"
                left.append(FormatNotTried(type: format.type.name, reason: reason))
            } else if format.importance == .required, !hasImportance {
                let reason = "the importance matrix has nothing about this tensor"
                left.append(FormatNotTried(type: format.type.name, reason: reason))
            } else {
                tried.append(format)
            }
        }
        return (tried, left)
    }

    /// Those that `all` leaves out, and those that no tensor was written in.
    func notTried(besides errors: [TensorError]) -> [FormatNotTried] {
        let tried = Set(errors.map(\.type.name))
        return notTried
            + formats.filter { !tried.contains($0.type.name) }.map {
                FormatNotTried(
                    type: $0.type.name, reason: "no tensor has rows of a multiple of \($0.type.blockElements)")
            }
    }
}
