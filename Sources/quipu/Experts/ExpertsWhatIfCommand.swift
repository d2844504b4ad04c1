import ArgumentParser
import LlamaModel
import Measuring
import Presentation

struct ExpertsWhatIfCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "what-if",
        abstract: "Fewer, more or other experts: what it does to predictions and to what a token reads.",
        usage: "quipu experts what-if MODEL --top N [options]",
        discussion: """
            Give one kind of change; --force and --drop may be repeated. The changed model reads the same text as the model \
            itself, and the figures are those of `compare`. The file is left as it is.

            Example:
              quipu experts what-if mixtral.gguf --top 1 --prompt "Once upon a time"
            """)

    @Argument(help: ModelArgument.help, completion: .model) var model: String?
    @Option(help: "Let a token go through N experts of a layer. (default: as many as the model has it)")
    var top: Int?
    @Option(
        help: ArgumentHelp(
            """
            Let every token go through this expert: 1:3 is expert 3 of layer 1, all:3 that of every layer. Its weight is \
            the router's. (default: none)
            """, valueName: "layer:expert"))
    var force: [ExpertChange.Target] = []
    @Option(
        help: ArgumentHelp(
            "Let no token go through this expert; the next best takes its place. (default: none)",
            valueName: "layer:expert"))
    var drop: [ExpertChange.Target] = []
    @OptionGroup(title: "Prompt, in place of --file") var prompt: PromptOptions
    @OptionGroup(title: "Text") var text: TextOptions
    @OptionGroup var threads: ThreadOption
    @OptionGroup var kernels: KernelOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        guard changes.count == 1 else { throw ValidationError("give one kind of change: --top, --force or --drop") }
        try text.validate(beside: prompt)
    }

    private var changes: [ExpertChange] {
        [top.map(ExpertChange.top), force.isEmpty ? nil : .force(force), drop.isEmpty ? nil : .drop(drop)]
            .compactMap(\.self)
    }

    func run() async throws {
        let model = try ModelArgument.llama(model)
        let text = try text.text(for: model, or: prompt)
        let progress = WorkProgress(verb: "comparing", unit: "tokens")
        defer { progress.clear() }
        let effect = try ExpertEffect(
            changes[0], of: model, on: text, threads: threads.count, instructions: kernels.instructions
        ) { try progress.update(done: Int($0), total: $1) }
        progress.clear()
        try printing.print(ExpertsWhatIfReport(effect, of: model, on: text))
    }
}

extension ExpertChange.Target: ExpressibleByArgument {
    public init?(argument: String) {
        let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let expert = Int(parts[1]), expert >= 0 else { return nil }
        if parts[0] == "all" {
            self.init(layer: nil, expert: expert)
        } else if let layer = Int(parts[0]), layer >= 0 {
            self.init(layer: layer, expert: expert)
        } else {
            return nil
        }
    }
}
