import ArgumentParser
import LlamaModel
import Measuring
import Presentation
import Quantizing

struct QuantTableCommand: AsyncParsableCommand, StopsInOrder {
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
    @OptionGroup(title: "Rows, one a file type") var results: ResultsOptions
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
        let options = text.workOptions.merging(try ImportanceMatrix.workOption(imatrix)) { $1 }
            .merging(["types": mixes.map(\.fileType.name).joined(separator: ",")]) { $1 }
        let work = try Work<Row>(
            "quant table", models: [model.file], options: options, names: mixes.map(\.fileType.name),
            in: results.target)
        if !work.missing.isEmpty { try measure(mixes, work, model, text, importance) }
        guard let rows = work.result else { return try printing.print(work.part) }
        let named = zip(work.names, rows)
        let measured = named.compactMap { name, row in row.figures.map { (name, $0) } }
        let notTried = named.compactMap { name, row in row.notTried.map { FormatNotTried(type: name, reason: $0) } }
        guard !measured.isEmpty else {
            throw InputError("\(model.file.path): \(rows.first?.notTried ?? "no file type can be written")")
        }
        let report = QuantTableReport(measured, of: model, on: text, notTried: notTried)
        if csv { Terminal.write(report.csv + "\n") } else { try printing.print(report) }
    }

    private struct Row: Codable {
        var figures: VersionFigures?
        /// Why there are none.
        var notTried: String?
    }

    private func measure(
        _ mixes: [QuantizationMix], _ work: Work<Row>, _ model: Llama, _ text: ScoredText,
        _ importance: ImportanceMatrix?
    ) throws {
        let tokens = Double(text.chunks.count * text.chunkSize)
        // What the model itself gives is computed by each run.
        let before = Double(work.done.count) * tokens
        let total = before + Double(work.missing.count + 1) * tokens
        let progress = WorkProgress(verb: "scoring", unit: "tokens", before: before)
        defer { progress.clear() }
        let base = try work.preparing {
            try BaseLogits(
                ChunkLogits(model, on: text, threads: threads.count, instructions: kernels.instructions)
            ) { try progress.update(done: before + $0, total: total) }
        }
        let versions = QuantizedVersions(
            of: base, importance: importance, threads: threads.count, instructions: kernels.instructions
        ) { try Task.checkCancellation() }
        var done = before
        try work.run { number in
            done += tokens
            do {
                let plan = try versions.plan(mixes[number])
                let measured = try versions.measure(
                    plan, evaluated: { [done] in try progress.update(done: done + $0 * tokens, total: total) })
                return Row(figures: VersionFigures(plan, measured))
            } catch let problem as QuantizeProblem where types == nil {
                // A type that was not asked for by name stops nothing.
                return Row(notTried: "\(problem)")
            }
        }
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
