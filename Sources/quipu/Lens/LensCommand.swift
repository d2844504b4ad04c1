import ArgumentParser
import LlamaModel
import Measuring
import Presentation
import Recording
import Tracing

struct LensCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lens",
        abstract: "The logit lens: what each layer would say the next token is.",
        usage: "quipu lens [TRACE] [options]",
        discussion: """
            The final norm and the output matrix are applied to the residual stream after each layer (embd, l_out-0, \
            l_out-1, …), by the kernels of a real pass: after the last layer the lens is the model's real output, to the \
            bit. The stream is read from the trace where it was captured and evaluated again where not; the model is \
            needed either way.

            --translator puts a learned translator before it, as a tuned lens has one for each layer: x + (W x + b), from \
            tensors N.weight [n_embd, n_embd] and N.bias [n_embd] of layer N (0: of the embedding) in F32, F16 or BF16. \
            After the last layer there is none.

            One position is shown in full; several as a grid, layers by positions. Followed through the layers is the \
            token that the model finally predicts there, or the one that --token names. --record adds the 20 most \
            probable tokens of each layer to table logit, with lens_layer = layer, -1 for the embedding; again, it \
            replaces them.

            Example:
              quipu lens trace.db --positions -1
            """)

    @Argument(help: LastTrace.help, completion: .trace) var trace: String?
    @Option(parsing: .unconditional, help: "Positions, from 0 or from the end, such as -1, 3,5 or 0:8.") var positions =
        PositionList.last
    @Flag(help: "All positions.") var all = false
    @Option(help: "Follow this token: its text, such as \" Paris\" (mind the space), or # and its id.")
    var token: String?
    @Option(help: "How many tokens to list for a layer in the JSON document.") var top = 10
    @Option(
        help: ArgumentHelp(
            "A tuned lens: weight and bias for each layer, in a .safetensors file. (default: none)", valueName: "file"),
        completion: .file(extensions: ["safetensors"]))
    var translator: String?
    @Flag(help: "Add what was found to the trace: table logit.") var record = false
    @Option(name: .customLong("run"), help: "The run, by its id. (default: the newest)") var runID: Int?
    @OptionGroup var replaying: ReplayOptions
    @OptionGroup var memory: MemoryOption
    @OptionGroup var threads: ThreadOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    private static let recordedCandidates = 20

    func validate() throws {
        if record, translator != nil {
            throw ValidationError("--record keeps what the model itself says; leave --translator out")
        }
        if !(1...1000).contains(top) { throw ValidationError("--top takes 1 to 1000") }
    }

    func run() throws {
        let store = try LastTrace.open(trace)
        let run = try store.run(id: runID)
        let replay = try replaying.open(run, in: store, memory: memory)
        let vocabulary = replay.model.vocabulary
        let evaluated = replay.tokens.reduce(0) { $0 + $1.count }
        let chosen = try (all ? .all : positions).resolved(in: evaluated, of: store.path)
        var stream = try ResidualStream(replay, in: store, positions: chosen, threads: threads.count)
        let token = try token.map { try TokenName.id($0, of: replay.model) }
        let lens = try LogitLens(replay.model, threads: threads.count)
        let translator = try translator.map { try LensTranslator(path: $0, for: replay.model) }
        let progress = WorkProgress(verb: "reading", unit: "positions")
        let columns = try chosen.enumerated().map { number, position in
            let columns = try stream.columns(at: position)
            let column = try LensColumn(
                position: position, step: stream.pass(of: position).step,
                stream: translator?.translated(columns) ?? columns,
                through: lens, following: token, top: max(top, Self.recordedCandidates), vocabulary: vocabulary)
            try progress.update(done: number + 1, total: chosen.count)
            return column
        }
        progress.clear()
        if record { try add(columns, stream, to: store.path) }
        let tokens = try store.tokens(of: run)
        try printing.print(
            LensReport(
                trace: store.path, tokens: tokens.map(\.piece), columns: columns,
                named: token.map(vocabulary.displayPiece), top: top, translator: translator?.path))
    }

    private func add(_ columns: [LensColumn], _ stream: ResidualStream, to path: String) throws {
        let writable = try TraceStore.create(path: path, .appending)
        try writable.record(
            columns.flatMap { column in
                column.readings.map { reading in
                    LensRecord(
                        pass: stream.pass(of: column.position), position: column.position, layer: reading.layer,
                        candidates: Array(reading.top.prefix(Self.recordedCandidates)))
                }
            })
        try writable.close()
        Terminal.complain(
            "quipu: \(path): added \(columns.count * (columns.first?.readings.count ?? 0)) readings of the lens; "
                + "SELECT * FROM logit WHERE lens_layer IS NOT NULL")
    }
}
