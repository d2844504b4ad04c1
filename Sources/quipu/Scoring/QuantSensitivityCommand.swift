import ArgumentParser
import LlamaModel
import Measuring
import Presentation
import Quantizing
import Tensors

struct QuantSensitivityCommand: AsyncParsableCommand {
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
        let progress = WeightProgress(verb: "scoring", unit: "tokens")
        defer { progress.clear() }
        let base = try BaseLogits(
            ChunkLogits(model, on: text, threads: threads.count, instructions: kernels.instructions)
        ) { _ in try Task.checkCancellation() }
        let versions = QuantizedVersions(
            of: base, importance: nil, threads: threads.count, instructions: kernels.instructions
        ) { try Task.checkCancellation() }
        let plan = try versions.plan(pure, isPure: true)
        guard plan.entries.contains(where: { !$0.isCopied }) else {
            throw InputError("\(model.file.path): all of its matrices are \(format.name) already; name another --type")
        }
        let sensitivity = try Sensitivity(versions, plan: plan, against: try versions.plan(mix), by: by) {
            try progress.update(done: Int($0), total: $1)
        }
        progress.clear()
        try printing.print(
            SensitivityReport(
                sensitivity, of: base, by: by, type: format.name, mix: mix.fileType.name, limit: limit))
    }
}

extension Sensitivity.Unit: ExpressibleByArgument {}

extension QuantizationMix {
    /// The mix that is commonly meant by a format: its medium one where there are several.
    fileprivate static func medium(of type: TensorType) -> QuantizationMix? {
        named(type.name) ?? available.first { $0.base == type }
    }
}
