import ArgumentParser
import LlamaModel
import Measuring
import Presentation

struct GQAWhatIfCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "what-if",
        abstract: "Fewer, more or other KV heads: what it does to predictions and the cache.",
        usage: "quipu gqa what-if [MODEL] --pool N [options]",
        discussion: """
            Give one kind of change; --swap, --remap and --drop may be repeated. The changed model reads the same text as \
            the model itself, and the figures are those of `compare`. The file is left as it is.

            Example:
              quipu gqa what-if --pool 1 --chunks 4
            """)

    @Argument(help: ModelArgument.help, completion: .model) var model: String?
    @Option(help: "Make neighbouring KV heads one, their mean, until N are left. (default: no pooling)")
    var pool: Int?
    @Option(help: "Copy KV heads until there are N. (default: no copies)") var expand: Int?
    @Option(
        help: ArgumentHelp("Let two KV heads take each other's place. (default: none)", valueName: "A:B"))
    var swap: [HeadChange.Pair] = []
    @Option(
        help: ArgumentHelp("Let query head Q read KV head KV. (default: none)", valueName: "Q:KV"))
    var remap: [HeadChange.Pair] = []
    @Option(
        help: ArgumentHelp(
            "Let heads of a layer give nothing: 0:3 a query head, 0:kv1 a KV head, 0:all all of layer 0. (default: none)",
            valueName: "layer:head"))
    var drop: [HeadChange.Dropped] = []
    @Option(help: ArgumentHelp("Change these layers alone, as in 0,3 or 2:5.", valueName: "layers"))
    var layers = PositionList.all
    @Option(help: "Positions to size the cache for. (default: those the model was trained for)") var context: Int?
    @OptionGroup(title: "Prompt, in place of --file") var prompt: PromptOptions
    @OptionGroup(title: "Text") var text: TextOptions
    @OptionGroup var threads: ThreadOption
    @OptionGroup var kernels: KernelOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        guard changes.count == 1 else {
            throw ValidationError("give one kind of change: --pool, --expand, --swap, --remap or --drop")
        }
        if !drop.isEmpty, layers.defaultValueDescription != PositionList.all.defaultValueDescription {
            throw ValidationError("--drop names its layers itself; leave --layers out")
        }
        if let context, !(1...1 << 32).contains(context) { throw ValidationError("--context takes 1 to 4294967296") }
        try text.validate(beside: prompt)
    }

    private var changes: [HeadChange] {
        [
            pool.map(HeadChange.pool), expand.map(HeadChange.expand), swap.isEmpty ? nil : .swap(swap),
            remap.isEmpty ? nil : .remap(remap), drop.isEmpty ? nil : .drop(drop),
        ].compactMap(\.self)
    }

    func run() async throws {
        let model = try ModelArgument.llama(model)
        let plan = try HeadPlan(changes[0], layers: try layers.layers(of: model), of: model)
        let text = try text.text(for: model, or: prompt)
        let progress = WorkProgress(verb: "comparing", unit: "tokens")
        defer { progress.clear() }
        let effect = try HeadEffect(
            plan, of: model, on: text, threads: threads.count, instructions: kernels.instructions
        ) { try progress.update(done: Int($0), total: $1) }
        progress.clear()
        try printing.print(
            GQAWhatIfReport(effect, of: model, on: text, context: context ?? model.configuration.trainedContext))
    }
}

extension HeadChange.Pair: ExpressibleByArgument {
    public init?(argument: String) {
        let numbers = argument.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
        guard numbers.count == 2, let first = numbers[0], let second = numbers[1] else { return nil }
        self.init(first, second)
    }
}

extension HeadChange.Dropped: ExpressibleByArgument {
    public init?(argument: String) {
        let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let layer = Int(parts[0]) else { return nil }
        if parts[1] == "all" {
            self.init(layer: layer, heads: .all)
        } else if parts[1].hasPrefix("kv"), let head = Int(parts[1].dropFirst(2)) {
            self.init(layer: layer, heads: .kv(head))
        } else if let head = Int(parts[1]) {
            self.init(layer: layer, heads: .query(head))
        } else {
            return nil
        }
    }
}
