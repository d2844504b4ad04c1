import ArgumentParser
import LlamaModel
import Measuring
import Presentation
import Recording
import Tracing

struct PatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "patch",
        abstract: "Give parts of a run the values of another: which part did it?",
        usage: "quipu patch sweep CLEAN CORRUPT [options]",
        discussion: """
            Example:
              quipu patch sweep clean.db corrupt.db --metric kld
            """,
        subcommands: [PatchSweepCommand.self])
}

struct AblateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ablate",
        abstract: "Take parts of a run away: which part did it?",
        usage: "quipu ablate sweep [TRACE] [options]",
        discussion: """
            Example:
              quipu ablate sweep trace.db --metric kld
            """,
        subcommands: [AblateSweepCommand.self])
}

extension SweepPlan.Unit: ExpressibleByArgument {}
extension PathReceiver.Input: ExpressibleByArgument {}

/// `23.3`
struct ReceivingHead: ExpressibleByArgument {
    let layer: Int
    let head: Int

    init?(argument: String) {
        let parts = argument.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let layer = parts[0], let head = parts[1], layer >= 0, head >= 0 else { return nil }
        (self.layer, self.head) = (layer, head)
    }
}

/// What both sweeps have.
struct SweepOptions: ParsableArguments {
    @Option(
        help: """
            What is changed one at a time: heads (what a head mixes), layers (what attention and feed-forward network add), \
            positions (the stream after each layer, by position), or experts.
            """)
    var over = SweepPlan.Unit.heads
    @Option(
        help: ArgumentHelp(
            """
            What is looked at: a sum of logits of tokens, quoted or as #ID, such as "' Mary' - ' John'", at the last \
            position; or kld, how far the prediction moves.
            """, valueName: "tokens|kld"))
    var metric = "kld"
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Change only these positions, as in -1 or 3:5.", valueName: "positions"))
    var positions = PositionList.all
    @Option(help: "Parts to list.") var limit = 10
    @Flag(help: "Add what was found to the trace that is changed: table sweep.") var record = false
    @OptionGroup(title: "Rows, one a part") var results: ResultsOptions
    @OptionGroup var replaying: ReplayOptions
    @OptionGroup var memory: MemoryOption
    @OptionGroup var threads: ThreadOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if record, results.keeping.part != nil {
            throw ValidationError("--record is for a whole sweep: unite the shares with `quipu merge` first")
        }
        if limit < 0 { throw ValidationError("--limit takes 0 or more") }
        if metric != "kld", LogitMetric.names(in: metric) == nil {
            throw ValidationError("\(SweepProblem.metric(option: "--metric", text: metric))")
        }
    }

    func metric(for model: Llama) throws -> LogitMetric {
        metric == "kld" ? .divergence : try NamedMetric(metric, for: model).metric
    }

    func run(
        _ run: Replay, _ change: Sweep.Change, as command: String, trace: String, corrupt: String?,
        to receiver: PathReceiver? = nil
    ) throws {
        try over.analysis(command).check(run.model)
        if over == .experts, run.model.experts == nil {
            throw SweepProblem.noParts(model: run.model.file.path, unit: over.rawValue)
        }
        let work = try self.work(run, change, to: receiver, trace: trace)
        guard let cells = try rows(of: work, run, change, as: command, to: receiver) else { return }
        let sweep = work.sweep(cells)
        if record { try add(sweep, to: run, change: change.name, corrupt: corrupt, receiver) }
        try printing.print(
            SweepReport(
                sweep, of: run, command: command, trace: trace, corrupt: corrupt, change: change.name,
                metric: self.metric, to: receiver, limit: limit))
    }

    private func work(
        _ run: Replay, _ change: Sweep.Change, to receiver: PathReceiver?, trace: String
    ) throws -> SweepWork {
        let places = Set(try positions.resolved(in: run.tokens[0].count, of: trace))
        let (metric, some) = (try metric(for: run.model), places.count == run.tokens[0].count ? nil : places)
        if let receiver, case .patch(let other) = change {
            return try SweepWork(
                run, from: other, to: receiver, metric: metric, positions: some, threads: threads.count)
        }
        return try SweepWork(
            run, over: over, change: change, metric: metric, positions: some, threads: threads.count)
    }

    /// A row for each part, as it comes.
    ///
    /// - Returns: `nil` if they are a share of all, which is printed.
    private func rows(
        of sweep: SweepWork, _ run: Replay, _ change: Sweep.Change, as command: String, to receiver: PathReceiver?
    ) throws -> [Sweep.Cell]? {
        var options = [
            "over": over.rawValue, "change": change.name, "metric": metric, "to": receiver?.name ?? "",
            "positions": positions.defaultValueDescription, "run": run.workOption,
        ]
        if case .patch(let other) = change { options["corrupt"] = other.workOption }
        let plan = sweep.plan
        let work = try Work<Sweep.Cell>(
            command, models: [run.model.file], options: options,
            names: plan.parts.map { "layer \($0.layer), \(plan.columns[$0.column])" }, in: results.target)
        var done = work.done.count
        let total = done + work.missing.count
        let progress = WorkProgress(verb: "sweeping", unit: over.rawValue, before: Double(done))
        defer { progress.clear() }
        try work.run { number in
            try progress.update(done: done, total: total)
            done += 1
            return try sweep.cell(number)
        }
        progress.clear()
        guard let cells = work.result else {
            try printing.print(work.part)
            return nil
        }
        return cells
    }

    private func add(
        _ sweep: Sweep, to run: Replay, change: String, corrupt: String?, _ receiver: PathReceiver?
    ) throws {
        let writable = try TraceStore.create(path: run.run.trace, .appending)
        try writable.record(
            sweep.cells.map {
                SweepRecord(
                    unit: over.rawValue, change: change, source: corrupt ?? "", metric: metric,
                    positions: positions.defaultValueDescription, receiver: receiver?.name ?? "", layer: $0.layer,
                    item: $0.column, name: $0.name,
                    base: sweep.base, other: sweep.other, value: $0.value)
            }, of: run.run)
        try writable.close()
        Terminal.complain("quipu: \(run.run.trace): added \(sweep.cells.count) rows to the table sweep")
    }

    /// A run: the newest of a trace, or the one that `#N` after it names.
    func open(_ name: String?) throws -> Replay {
        let name = name.map(RunName.init)
        let store = try LastTrace.open(name?.path)
        let replay = try replaying.open(try store.run(id: name?.run), in: store, memory: memory)
        guard !replay.tokens.isEmpty else { throw TraceError.noPass(path: store.path, step: 0, steps: 0) }
        return replay
    }
}

extension Replay {
    /// What of a run decides about rows: its prompt, and what was changed in it.
    fileprivate var workOption: String {
        SHA256.workOption(of: Array("\(tokens[0]) \(interventions.records)".utf8).span.bytes)
    }
}

extension Sweep.Change {
    var name: String {
        switch self {
        case .patch: "patch"
        case .zero: "zero"
        case .mean: "mean"
        }
    }
}

struct PatchSweepCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sweep",
        abstract: "Each head, layer, position or expert alone takes its values from another run.",
        usage: "quipu patch sweep CLEAN CORRUPT [--over heads] [options]",
        discussion: """
            CLEAN and CORRUPT are traces of one model over prompts of as many tokens. The prompt of CLEAN is read again, as \
            often as there are parts; one part has the values that it had in CORRUPT. Only what depends on it is computed. \
            To put what is right into what went wrong, name the two the other way round. A trace's newest run is taken; \
            all.db#2 names another.

            Example:
              quipu patch sweep clean.db corrupt.db --over layers

            Example:
              quipu patch sweep clean.db corrupt.db --to 3.7 --through key
            """)

    @Argument(help: "The trace whose run is changed.", completion: .trace) var clean: String
    @Argument(help: "The trace that values come from.", completion: .trace) var corrupt: String
    @Option(
        help: ArgumentHelp(
            """
            Path patching: what each earlier head does by way of this head alone, all heads between at their own values. \
            (default: all that a part does)
            """, valueName: "layer.head"))
    var to: ReceivingHead?
    @Option(help: "What of the head of --to receives: its query, key or value. (default: query)")
    var through: PathReceiver.Input?
    @OptionGroup var sweep: SweepOptions

    func validate() throws {
        if through != nil, to == nil { throw ValidationError("--through goes with --to, the head that receives") }
        if to != nil, sweep.over != .heads { throw ValidationError("--to is for --over heads") }
    }

    func run() async throws {
        let (run, other) = (try sweep.open(clean), try sweep.open(corrupt))
        guard run.run.modelDigest == other.run.modelDigest, run.run.modelDigest != nil else {
            throw SweepProblem.models(clean: clean, corrupt: corrupt)
        }
        try sweep.run(
            run, .patch(other), as: "patch sweep", trace: clean, corrupt: corrupt,
            to: to.map { PathReceiver(layer: $0.layer, head: $0.head, input: through ?? .query) })
    }
}

struct AblateSweepCommand: AsyncParsableCommand {
    enum Way: String, ExpressibleByArgument, CaseIterable {
        case zero, mean
    }

    static let configuration = CommandConfiguration(
        commandName: "sweep",
        abstract: "Each head, layer, position or expert alone is zero, or its mean.",
        usage: "quipu ablate sweep [TRACE] [--over heads] [--with zero|mean] [options]",
        discussion: """
            The trace's prompt is read again, as often as there are parts; one part is zero, or of each element the mean over \
            the prompt's positions. Only what depends on it is computed.

            Example:
              quipu ablate sweep trace.db --over layers --with mean
            """)

    @Argument(help: LastTrace.help, completion: .trace) var trace: String?
    @Option(help: "What a part gets in the place of its values: zero, or their mean over the positions.")
    var with = Way.zero
    @OptionGroup var sweep: SweepOptions

    func run() async throws {
        let run = try sweep.open(trace)
        try sweep.run(
            run, with == .zero ? .zero : .mean, as: "ablate sweep", trace: Terminal.pathFromHere(run.run.trace),
            corrupt: nil)
    }
}
