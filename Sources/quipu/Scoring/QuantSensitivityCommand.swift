import ArgumentParser
import LlamaModel
import Measuring
import Presentation
import Quantizing
import Tensors

struct QuantSensitivityCommand: AsyncParsableCommand, StopsInOrder {
    static let configuration = CommandConfiguration(
        commandName: "sensitivity",
        abstract: "Which tensors, layers or roles suffer most: one at a time quantised.",
        usage: "quipu quant sensitivity [MODEL] [options]",
        discussion: """
            Each part alone is quantised to --type, the rest is kept, and the KL divergence from the model as it is ranks \
            the parts. Marked is what llama.cpp's mix of that type gives more bits.

            Example:
              quipu quant sensitivity --by role --chunks 2
            """)

    @Argument(help: ModelArgument.help, completion: .model) var model: String?
    @Option(help: "The format of the part; where its blocks do not divide rows, its fallback.") var type = "Q4_K"
    @Option(help: "What is quantised at a time: tensor, layer or role.") var by = Sensitivity.Unit.tensor
    @Option(help: "Parts to list.") var limit = 30
    @OptionGroup(title: "Text") var text: TextOptions
    @OptionGroup(title: "Rows, one a part") var results: ResultsOptions
    @OptionGroup var threads: ThreadOption
    @OptionGroup var kernels: KernelOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if limit < 1 { throw ValidationError("--limit takes 1 or more") }
    }

    func run() async throws {
        let format = try TensorType.writable(named: type)
        guard let pure = QuantizationMix.available.first(where: { $0.base == format }),
            let mix = QuantizationMix.medium(of: format)
        else {
            throw QuantizeProblem.fileType(
                found: type, known: Set(QuantizationMix.available.map(\.base.name)).sorted())
        }
        let model = try ModelArgument.llama(model)
        let text = try text.text(for: model, defaultChunks: ScoredText.chunksForComparing(model))
        let plan = try QuantizedVersions.plan(pure, of: model.file, importance: nil, isPure: true)
        guard plan.entries.contains(where: { !$0.isCopied }) else {
            throw InputError("\(model.file.path): all of its matrices are \(format.name) already; name another --type")
        }
        try Sensitivity.analysis.check(model)
        let parts = SensitivityPlan(
            plan, against: try QuantizedVersions.plan(mix, of: model.file, importance: nil), by: by)
        let work = try Work<Sensitivity.Part>(
            "quant sensitivity", models: [model.file],
            options: text.workOptions.merging(["by": by.rawValue, "type": format.name]) { $1 }, names: parts.names,
            in: results.target)
        if !work.missing.isEmpty { try measure(parts, work, model, text) }
        guard let rows = work.result else { return try printing.print(work.part) }
        try printing.print(
            SensitivityReport(
                Sensitivity(rows), of: model, on: text, by: by, type: format.name, mix: mix.fileType.name,
                limit: limit))
    }

    private func measure(
        _ parts: SensitivityPlan, _ work: Work<Sensitivity.Part>, _ model: Llama, _ text: ScoredText
    ) throws {
        // What the model itself gives is computed by each run: it is too large to keep.
        let tokens = Double(text.chunks.count * text.chunkSize)
        let reading = WorkProgress(verb: "reading", unit: "tokens")
        let base = try work.preparing {
            try BaseLogits(
                ChunkLogits(model, on: text, threads: threads.count, instructions: kernels.instructions),
                streamBytes: BaseLogits.usualStreamBytes
            ) { try reading.update(done: $0, total: tokens) }
        }
        reading.clear()
        let versions = QuantizedVersions(
            of: base, importance: nil, threads: threads.count, instructions: kernels.instructions
        ) { try Task.checkCancellation() }
        // A part costs what comes after it.
        func cost(_ units: [Int]) -> Double { units.reduce(0) { $0 + parts.work($1, versions) * tokens } }
        let (before, left) = (cost(work.done), cost(work.missing))
        let progress = WorkProgress(verb: "scoring", unit: "tokens", before: before)
        defer { progress.clear() }
        var done = before
        try work.run { part in
            let (start, own) = (done, cost([part]))
            done += own
            return try parts.measure(part, versions) {
                try progress.update(done: start + $0 * own, total: before + left)
            }
        }
    }
}

extension Sensitivity.Unit: ExpressibleByArgument {}

extension QuantizationMix {
    /// The mix that is commonly meant by a format: its medium one where there are several.
    fileprivate static func medium(of type: TensorType) -> QuantizationMix? {
        named(type.name) ?? available.first { $0.base == type }
    }
}
