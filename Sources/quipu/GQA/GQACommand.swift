import ArgumentParser
import LlamaModel
import Presentation
import Recording
import Tracing

struct GQACommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gqa",
        abstract: "Grouped-query attention: which heads share keys and values, and what it saves.",
        usage: "quipu gqa [map|what-if] [MODEL] [options]",
        discussion: """
            Example:
              quipu gqa model.gguf --context 4096
            """,
        subcommands: [GQAMapCommand.self, GQAWhatIfCommand.self], defaultSubcommand: GQAMapCommand.self)
}

struct GQAMapCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "map",
        abstract: "The group map, cache sizes, and how alike the heads of a trace are.",
        usage: "quipu gqa map [MODEL] [options]",
        discussion: """
            With --trace, heads are compared by what they looked at in a recorded pass, and KV heads by their keys and \
            values.

            Example:
              quipu gqa map model.gguf --trace trace.db --layer 0
            """)

    @Argument(help: ModelArgument.help, completion: .model) var model: String?
    @Option(help: "Positions to size the cache for. (default: those the model was trained for)") var context: Int?
    @Option(
        help: "A trace of the model, captured in full, whose heads are compared. (default: none)", completion: .trace)
    var trace: String?
    @Option(help: "Compare the query heads of this layer one by one; with --trace. (default: none)") var layer: Int?
    @Flag(help: "Leave attention to position 0 out of the comparison, where many heads park theirs.")
    var withoutFirst = false
    @OptionGroup var at: PassOptions
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if let context, !(1...1 << 32).contains(context) { throw ValidationError("--context takes 1 to 4294967296") }
        if layer != nil, trace == nil { throw ValidationError("--layer compares heads of a trace; give --trace") }
        if withoutFirst, trace == nil { throw ValidationError("--without-first is for the heads of a --trace") }
    }

    func run() throws {
        guard let trace else {
            let model = try ModelArgument.llama(model)
            try GroupedAttention.analysis.check(model)
            return try printing.print(GQAReport(model, context: context ?? model.configuration.trainedContext))
        }
        let store = try TraceStore.open(path: trace)
        let run = try store.run(id: at.run)
        // The sizes are in the model's file, which must be the trace's own.
        var options = ReplayOptions()
        options.model = model
        let llama = try options.open(run, in: store).model
        let layers = llama.configuration.layers
        if let layer, !(0..<layers).contains(layer) {
            throw InputError("\(llama.file.path): there is no layer \(layer); the model has layers 0 to \(layers - 1).")
        }
        let attention = try GroupedAttention(
            run, in: store, step: at.step, skipsFirst: withoutFirst, model: llama)
        try printing.print(
            GQAReport(
                llama, context: context ?? llama.configuration.trainedContext, trace: store.path, attention: attention,
                layer: layer))
    }
}
