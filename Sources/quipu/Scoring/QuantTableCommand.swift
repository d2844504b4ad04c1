import ArgumentParser
import LlamaModel
import Measuring
import Presentation
import Quantizing

struct QuantTableCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "table",
        abstract: "Every file type's size, perplexity, KL divergence and speed, in one table.",
        usage: "quipu quant table [MODEL] [options]",
        discussion: """
            The model is quantised in memory to one file type after another, with llama.cpp's mixes and fallbacks, and \
            each version reads the text that the model itself has read. Tokens per second are those of reading, as of \
            a prompt.

            Example:
              quipu quant table --types Q8_0,Q4_K_M,Q2_K --chunks 2
            """)

    @Argument(help: ModelArgument.help, completion: .model) var model: String?
    @Option(
        help: """
            File types, separated by commas. (default: those that models are usually offered in; `quipu quantize \
            --help` lists all)
            """)
    var types: String?
    @Option(
        help: ArgumentHelp(
            "How much each column matters, as llama.cpp's llama-imatrix writes it. (default: none)", valueName: "file"),
        completion: .file())
    var imatrix: String?
    @OptionGroup(title: "Text") var text: TextOptions
    @OptionGroup var threads: ThreadOption
    @OptionGroup var kernels: KernelOption
    @Flag(help: "Print comma-separated values instead of a page for people.") var csv = false
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if csv, printing.json { throw ValidationError("give --csv or --json, not both") }
    }

    func run() async throws {
        let mixes = try self.mixes()
        let model = try ModelArgument.llama(model)
        let importance = try imatrix.map { try ImportanceMatrix(path: $0) }
        let text = try text.text(for: model, defaultChunks: ScoredText.chunksForComparing(model))
        let progress = WeightProgress(verb: "scoring", unit: "tokens")
        defer { progress.clear() }
        let tokens = text.chunks.count * text.chunkSize
        let total = (mixes.count + 1) * tokens
        let base = try BaseLogits(
            ChunkLogits(model, on: text, threads: threads.count, instructions: kernels.instructions)
        ) { try progress.update(done: Int($0), total: total) }
        let versions = QuantizedVersions(
            of: base, importance: importance, threads: threads.count, instructions: kernels.instructions
        ) { try Task.checkCancellation() }
        var rows: [(plan: QuantizationPlan, measured: BaseLogits.Measurement)] = []
        var notTried: [FormatNotTried] = []
        for (number, mix) in mixes.enumerated() {
            do {
                let plan = try versions.plan(mix)
                let measured = try versions.measure(
                    plan, evaluated: { try progress.update(done: (number + 1) * tokens + Int($0), total: total) })
                rows.append((plan, measured))
            } catch let problem as QuantizeProblem where types == nil {
                // A type that was not asked for by name stops nothing.
                notTried.append(FormatNotTried(type: mix.fileType.name, reason: "\(problem)"))
            }
        }
        progress.clear()
        guard !rows.isEmpty else {
            throw InputError("\(model.file.path): \(notTried.first?.reason ?? "no file type can be written")")
        }
        let report = QuantTableReport(rows, of: base, notTried: notTried)
        if csv { Terminal.write(report.csv + "\n") } else { try printing.print(report) }
    }

    private func mixes() throws -> [QuantizationMix] {
        guard let types else { return QuantizationMix.usual }
        var mixes: [QuantizationMix] = []
        for name in types.split(separator: ",", omittingEmptySubsequences: false) {
            guard let mix = QuantizationMix.named(String(name)) else {
                throw QuantizeProblem.fileType(
                    found: String(name), known: QuantizationMix.available.map(\.fileType.name))
            }
            if !mixes.contains(where: { $0.fileType == mix.fileType }) { mixes.append(mix) }
        }
        return mixes
    }
}

extension ScoredText {
    /// Chunks to score when many versions of a model are measured: fewer the larger the model, so that it stays a matter
    /// of minutes; 40 of the embedded model, under a minute for all types.
    static func chunksForComparing(_ model: Llama) -> Int {
        let chunk = min(defaultChunk, model.configuration.trainedContext)
        return min(40, max(2, 30_000_000_000 / (chunk * model.file.parameterCount)))
    }
}
