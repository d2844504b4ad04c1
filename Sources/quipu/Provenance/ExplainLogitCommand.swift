import ArgumentParser
import LlamaModel
import Presentation
import Recording
import Tokenization
import Tracing

struct ExplainLogitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logit",
        abstract:
            "A token's logit as the sum of what each head and layer wrote, and one chain down to a weight's code.",
        usage: "quipu explain logit [TRACE] [--token TEXT] [options]",
        discussion: """
            Direct logit attribution at the last position of a pass: embedding, every head, every feed-forward network, \
            and of these single neurons. The final norm's scale is frozen. The model is evaluated again; its file must be the recorded one. \
            With --over-runs, each part's mean over the runs of a trace, as `trace --prompts` makes them.

            Example:
              quipu explain logit trace.db --step 1
            """)

    @Argument(help: LastTrace.help, completion: .trace) var trace: String?
    @Option(help: "The token, spelled with its space: ' Paris'. (default: the most probable one)") var token: String?
    @Option(help: "The token by its id. (default: the most probable one)") var tokenId: Int?
    @Option(help: "Explain how far --token's logit is above this token's. (default: none)") var against: String?
    @OptionGroup var at: PassOptions
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Explain the logit at this position of the run, from 0 or from the end, such as -1; it says which pass. (default: the last of the pass)",
            valueName: "position"))
    var position: Int?
    @Option(help: "Single neurons of feed-forward networks and experts to list, those that add most; 0: none.")
    var neurons = 8
    @Flag(help: "Every run of the trace, after its prompt: the mean of what each part adds, and how far it varies.")
    var overRuns = false
    @Option(help: "With --over-runs: only the runs of this group. (default: all)") var group: String?
    @OptionGroup var replaying: ReplayOptions
    @OptionGroup var memory: MemoryOption
    @OptionGroup var threads: ThreadOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if position != nil, at.step != 0 { throw ValidationError("--position says which pass; leave --step out") }
        if overRuns, at.step != 0 || at.run != nil || position != nil {
            throw ValidationError("--over-runs looks after each prompt: leave --step, --run and --position out")
        }
        if group != nil, !overRuns { throw ValidationError("--group belongs to --over-runs") }
        if neurons < 0 { throw ValidationError("--neurons takes 0 or more") }
        if token != nil, tokenId != nil { throw ValidationError("give --token or --token-id, not both") }
    }

    func run() throws {
        let store = try LastTrace.open(trace)
        if overRuns { return try printing.print(try overRuns(of: store)) }
        let run = try store.run(id: at.run)
        let replay = try replaying.open(run, in: store, memory: memory)
        let (model, vocabulary) = (replay.model, replay.model.configuration.vocabulary)
        if let tokenId, !(0..<vocabulary).contains(tokenId) {
            throw InputError(
                "--token-id \(tokenId): the vocabulary of \(replay.model.file.path) has ids 0 to \(vocabulary - 1)")
        }
        let asked = try token.map { try model.single($0) } ?? tokenId
        let other = try against.map { try model.single($0) }
        let (step, place) = try place(in: replay)
        let provenance = try Provenance(lastTokenOf: replay, step: step, upTo: place, threads: threads.count)
        let attribution = try LogitAttribution(
            of: asked ?? Sampler.argmax(provenance.logits), against: other, neurons: neurons, in: provenance)
        try printing.print(
            LogitReport(
                attribution, in: provenance, trace: Terminal.pathFromHere(store.path),
                model: ModelArgument.typed(replay.model.file.path), step: step))
    }

    private func overRuns(of store: TraceStore) throws -> RunsLogitReport {
        let runs = try store.runs().filter { try group == nil || store.group(of: $0) == group }
        guard !runs.isEmpty else {
            let groups = Set(try store.runs().compactMap(store.group)).sorted().map { "'\($0)'" }
            throw InputError(
                "\(store.path): found no run of the group '\(group ?? "")', expected one of "
                    + (groups.isEmpty ? "none: its runs have no groups." : groups.joined(separator: ", ") + "."))
        }
        var report = RunsLogitReport(trace: Terminal.pathFromHere(store.path), group: group)
        for (number, run) in runs.enumerated() {
            try Task.checkCancellation()
            Terminal.status("\(number) of \(runs.count) runs")
            let replay = try replaying.open(run, in: store, memory: memory)
            let provenance = try Provenance(lastTokenOf: replay, step: 0, threads: threads.count)
            let (token, other) = try tokens(of: run, in: store, provenance)
            let attribution = try LogitAttribution(of: token, against: other, in: provenance)
            report.add(attribution, of: run, group: try store.group(of: run), replay.model.vocabulary)
        }
        Terminal.status("")
        return report
    }

    /// Those that were asked for, else those of the run's metric if it is of one token or of one over another, else the most
    /// probable one.
    private func tokens(
        of run: RecordedRun, in store: TraceStore, _ provenance: Provenance
    ) throws -> (token: Int, against: Int?) {
        let model = provenance.model
        let other = try against.map { try model.single($0) }
        if let asked = try token.map({ try model.single($0) }) ?? tokenId { return (asked, other) }
        if other == nil, let metric = try store.metric(of: run),
            case .sum(let terms) = try NamedMetric(metric, for: model, option: "run.metric").metric,
            terms.map(\.sign) == [1] || terms.map(\.sign) == [1, -1]
        {
            return (terms[0].token, terms.count > 1 ? terms[1].token : nil)
        }
        return (Sampler.argmax(provenance.logits), other)
    }

    /// The pass that a position is in, and which of its tokens it is; the last one if none was named.
    private func place(in replay: Replay) throws -> (step: Int, token: Int?) {
        guard let position else { return (at.step, nil) }
        let counts = replay.tokens.map(\.count)
        let count = counts.reduce(0, +)
        let resolved = position < 0 ? count + position : position
        guard (0..<count).contains(resolved) else {
            throw InputError(
                "\(replay.run.trace): --position \(position): the run evaluated positions 0 to \(count - 1); negative ones "
                    + "count from the end")
        }
        var first = 0
        for (step, tokens) in counts.enumerated() {
            if resolved < first + tokens { return (step, resolved - first) }
            first += tokens
        }
        preconditionFailure("position \(resolved) of \(count)")
    }
}

extension Llama {
    /// The token that is exactly this text.
    ///
    /// - Throws: `InputError` with the tokens it is made of if it is not one.
    fileprivate func single(_ text: String) throws -> Int {
        let bytes = Array(text.utf8)
        let matches = (0..<vocabulary.count).filter { vocabulary.piece($0) == bytes }
        if let match = matches.first(where: { vocabulary.kind($0) == .normal }) ?? matches.first { return match }
        let pieces = try tokenizer.encode(text, addSpecial: false).map { "'\(vocabulary.displayPiece($0))' (\($0))" }
        throw InputError(
            "'\(text)' is not one token but \(pieces.count): \(pieces.joined(separator: ", ")). "
                + "Name one of them; most words begin with a space. `quipu tokenize` shows more.")
    }
}
