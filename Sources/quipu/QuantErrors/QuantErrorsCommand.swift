import ArgumentParser
import ComputeGraph
import GGUF
import LlamaModel
import Presentation
import ProgramFiles
import Quantization
import Quantizing
import Recording
import Tensors

struct QuantErrorsCommand: AsyncParsableCommand, StopsInOrder {
    static let configuration = CommandConfiguration(
        commandName: "errors",
        abstract: "Which layer, tensor and role loses the most.",
        usage: "quipu quant errors [MODEL] [options]",
        discussion: """
            With --reference, the file's tensors against the same tensors of a file of higher precision. Without it, what
            each format would do to the file's own weights, as they decode: --as names formats, all of ggml's by default.
            Textbook schemes can be named too: \(TeachingSchemes.all.map(\.id).joined(separator: ", ")).

            --output adds the errors to a trace when all are known. To a name that ends in .jsonl they are written one by one,
            and --resume goes on from there.

            Example:
              quipu quant errors model.gguf --as Q4_0,Q4_1,Q8_0
            """)

    @Argument(help: ModelArgument.help, completion: .model) var model: String?
    @Option(help: "A file of the same model in higher precision.", completion: .model) var reference: String?
    @Option(name: .customLong("as"), help: "Formats to try, separated by commas. (default: all that can be written)")
    var formats: String?
    @Option(help: ImportanceOption.help, completion: .file()) var imatrix: String?
    @Option(
        help: ArgumentHelp(
            """
            Of a split model only the tensors of this file, from 0; or a share of the rows such as 2/5, for `quipu merge` \
            to unite. (default: all)
            """, valueName: "part"))
    var part: Part?
    @Option(help: "Tensors to list.") var limit = 20
    @Option(
        name: .shortAndLong,
        help:
            "Add the errors to a trace, or to a new file: table quant_error; in a file .jsonl, a line each as it comes.",
        completion: .trace)
    var output: String?
    @Flag(help: "Go on with the output .jsonl of a run that was cut off; begin it if there is none.") var resume = false
    @Flag(help: "Replace the output if it is an earlier file of results.") var force = false
    @OptionGroup var threads: ThreadOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if reference != nil, formats != nil { throw ValidationError("give --reference or --as, not both") }
        if reference != nil, imatrix != nil { throw ValidationError("--imatrix is for formats tried with --as") }
        if limit < 0 { throw ValidationError("--limit takes 0 or more") }
        guard !keepsRows else { return try keeping.validate(output: output) }
        if resume || force || part?.share != nil {
            throw ValidationError("--resume, --force and a --part such as 2/5 go with an --output that ends in .jsonl")
        }
    }

    /// A file of a split model, or a share of the rows.
    enum Part: ExpressibleByArgument {
        case file(Int)
        case share(ResultsPart)

        init?(argument: String) {
            if let number = Int(argument) {
                self = .file(number)
            } else {
                guard let part = ResultsPart(argument) else { return nil }
                self = .share(part)
            }
        }

        var file: Int? { if case .file(let number) = self { number } else { nil } }
        var share: ResultsPart? { if case .share(let part) = self { part } else { nil } }
    }

    private var keepsRows: Bool { output.map(ResultsTarget.isMeant) ?? false }

    private var keeping: KeepingOptions {
        var options = KeepingOptions()
        (options.resume, options.force, options.part) = (resume, force, part?.share)
        return options
    }

    func run() async throws {
        let file = try ModelArgument.open(model)
        let number = part?.file
        let quant = QuantErrors(workers: Workers(threads: threads.count), part: number)
        if let number, !file.parts.indices.contains(number) {
            throw InputError("\(file.path) has parts 0 to \(file.parts.count - 1), and no part \(number)")
        }
        let importance = try imatrix.map { try ImportanceMatrix(path: $0) }
        let chosen = try QuantFormats(formats, importance: importance)
        // Before the work: a model that cannot be recorded is told at once.
        let recorded = try keepsRows ? nil : output.map { _ in try Llama(file: file) }
        let other = try reference.map { try GGUFFile(path: $0) }
        let pieces =
            if let other {
                try quant.pieces(of: file, against: other)
            } else {
                try quant.pieces(
                    of: file, as: chosen.formats, schemes: chosen.schemes, importance: importance)
            }
        guard !pieces.isEmpty else {
            throw QuantErrorProblem.nothingToCompare(
                file: file.path, advice: "It has no matrix whose rows the formats' blocks divide.")
        }
        let work = try Work<TensorError>(
            "quant errors", models: [file] + [other].compactMap(\.self), options: try workOptions(chosen),
            names: pieces.map(\.name),
            in: ResultsTarget(path: keepsRows ? output : nil, opening: keeping.opening, part: part?.share))
        try measure(pieces, of: file, quant, work)
        guard let errors = work.result else { return try printing.print(work.part) }
        if let output, let recorded {
            let store = try TraceStore.create(path: output, .appending)
            try await store.record(errors.map { $0.record(reference: reference ?? "self") }, of: recorded)
            try store.close()
        }
        let ranking =
            reference != nil
            ? nil
            : try FormatRanking(
                errors, of: file, as: chosen.formats, schemes: chosen.schemes, importance: importance, by: quant)
        let against = reference ?? "its own weights, as they decode, written again in each format"
        try printing.print(
            QuantErrorsReport(
                file: file.path, reference: against, errors: errors, ranking: ranking, imatrix: imatrix,
                notTried: reference == nil ? chosen.notTried(besides: errors) : [],
                stored: reference == nil ? Set(file.tensors.map(\.type)) : [], limit: limit))
    }

    private func measure(
        _ pieces: [QuantErrors.Piece], of file: GGUFFile, _ quant: QuantErrors, _ work: Work<TensorError>
    ) throws {
        func weights(_ units: [Int]) -> Int { units.reduce(0) { $0 + pieces[$1].weights } }
        let before = weights(work.done)
        let total = before + weights(work.missing)
        let progress = WorkProgress(verb: "measuring", before: Double(before))
        defer { progress.clear() }
        var done = before
        try work.run { unit in
            let error = try quant.error(of: pieces[unit], in: file) { [done] in
                try progress.update(done: done + $0, total: total)
            }
            done += pieces[unit].weights
            return error
        }
    }

    /// What decides about the rows, beside the models.
    private func workOptions(_ chosen: QuantFormats) throws -> [String: String] {
        var options = try ImportanceMatrix.workOption(imatrix)
        options["part"] = part?.file.map(String.init)
        if reference == nil {
            options["as"] = (chosen.formats.map(\.type.name) + chosen.schemes.map(\.id)).joined(separator: ",")
        }
        return options
    }
}
