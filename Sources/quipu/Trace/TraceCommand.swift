import ArgumentParser
import ComputeGraph
import Foundation
import LlamaModel
import Presentation
import Recording
import Tokenization
import Tracing

extension Capture.Policy: ExpressibleByArgument {}

struct TraceCommand: AsyncParsableCommand, StopsInOrder {
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract: "Run a prompt and record every operation.",
        usage: "quipu trace [MODEL] (--prompt TEXT | --chat TEXT | --file PATH) [options]",
        discussion: """
            Streams the generated text, then walks through the pass: tokens, a line a layer, the most probable next \
            tokens. Ctrl-C stops; what was recorded stays readable. The trace is one SQLite file; `ops`, `show` and `sql` read it.

            What if: --set, --scale, --patch, --add, --control-vector and --weight change the run as it goes; the trace \
            records them. With --from, only what depends on them is computed again. `diff` compares the two.

            Example:
              quipu trace model.gguf --prompt "The capital of France is" --generate 8

            Example:
              quipu trace chat.gguf --chat "Who are you?" --system "Be brief."

            Example:
              quipu trace --from trace.db --set 'kq_soft_max-0[:,:,2]=0'

            Many prompts at once: --prompts reads a line of JSON each, loads the model once, and writes one trace with a \
            run for each line.

            Example:
              quipu trace model.gguf --ids 1,403,407,261,378

            Example:
              quipu trace model.gguf --prompts prompts.jsonl --metric "' the' - ' a'" --capture none
            """)

    @Argument(help: ModelArgument.help, completion: .model) var model: String?
    @OptionGroup var prompt: PromptFileOptions
    @Option(
        help: ArgumentHelp(
            "Run each line of this file. \(PromptLines.help) - is standard input. (default: none)", valueName: "file"),
        completion: .results)
    var prompts: String?
    @OptionGroup var watch: WatchOptions
    @Option(
        name: .shortAndLong,
        help: """
            Tokens to generate, or fewer if the model ends before. The last one is not evaluated. (default: 1; with --chat, \
            \(Self.chatTokens); with --from, as many as it has)
            """)
    var generate: Int?
    @Option(
        help:
            "What to keep: none (tokens and logits), stats (a row an operation), last (and the last token's values), all."
    )
    var capture = Capture.Policy.all
    @Option(
        help: """
            Tokens of the prompt that get logits: last, or all, which says how surprising each was (columns logprob and rank \
            of the table token). That takes a pass of its own.
            """)
    var logits = Logits.last
    @Option(help: "Keep values only of operations of these names; * and ? stand for anything. Repeatable.")
    var only: [String] = []
    @Option(
        name: .shortAndLong, help: "The trace to write. (default: trace.db, or the next free trace-2.db, …)",
        completion: .trace)
    var output: String?
    @Flag(help: "Replace the output if it is an earlier trace.") var force = false
    @Flag(help: "Add a run to the output if it is an earlier trace.") var append = false
    @Flag(help: "Print how large the trace would be, and run nothing.") var estimate = false
    @Option(help: "Refuse to write a trace larger than this, such as 500M or 2G (powers of 1024).")
    var maxSize = Self.usualLimit
    @OptionGroup(title: "What if") var whatIf: InterventionOptions
    @OptionGroup(title: "Sampling") var sampling: SamplingOptions
    @OptionGroup var threads: ThreadOption
    @OptionGroup var kernels: KernelOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    enum Logits: String, ExpressibleByArgument, CaseIterable {
        case last, all
    }

    func validate() throws {
        if logits == .all, whatIf.isGiven {
            throw ValidationError(
                "--logits all is of the model as it is; leave --from, --set, --scale, --patch, --weight, --add and "
                    + "--control-vector out")
        }
        if prompts != nil, whatIf.from != nil || prompt.isGiven {
            throw ValidationError("--prompts has all prompts; leave --prompt, --chat, --file, --ids and --from out")
        }
        if whatIf.from == nil, !prompt.isGiven, prompts == nil {
            throw ValidationError("give --prompt, --chat, --file or --ids, --prompts, or --from to repeat a trace")
        }
        if whatIf.from != nil, prompt.isGiven {
            throw ValidationError(
                "--from repeats the prompt of its trace; leave --prompt, --chat, --file and --ids out")
        }
        if let generate, !(0...1_000_000_000).contains(generate) {
            throw ValidationError("--generate takes 0 to 1000000000")
        }
        if force && append { throw ValidationError("--force replaces a trace, --append adds to it; give one of them") }
        if Self.bytes(maxSize) == nil { throw ValidationError("--max-size takes a number with K, M or G, as in 2G") }
    }

    func run() async throws {
        let start = ContinuousClock.now
        if let prompts { return try await runAll(prompts, since: start) }
        let setup = try setup()
        let (model, ids) = (setup.model, setup.ids)
        guard !ids.isEmpty else { throw LlamaError.emptyPrompt }
        let capture = Capture(capture, names: only.flatMap { $0.split(separator: ",").map(String.init) })
        let decodes = max(0, setup.generate - 1)
        // The session refuses what is too long, before anything is sized or written.
        let session = try Session(
            model, positions: ids.count + decodes, threads: threads.count, instructions: kernels.instructions)
        try setup.changes.interventions.check(model, promptTokens: ids.count, decodes: decodes)
        let size = try TraceEstimate(model: model, capture: capture, promptTokens: ids.count, decodes: decodes)
        if estimate {
            return try printing.print(
                EstimateReport(size, capture: capture, prompts: [ids.count], generate: setup.generate))
        }
        let (followed, metric) = (try watch.tokens(of: model), try watch.metric.map { try NamedMetric($0, for: model) })
        try size.check(limit: Self.bytes(maxSize)!)
        if setup.isConversation, !printing.json {
            Terminal.write(ChatPromptPage(ids, model.vocabulary).text(printing.style) + "\n\n")
        }

        let path = try freeOutput()
        let store = try TraceStore.create(path: path, append ? .appending : force ? .replacing : .new)
        LastTrace.remember(path)
        let recorder = try await TraceRecorder(
            store: store, model: model,
            run: RunDescription(
                prompt: setup.prompt, sampling: setup.sampling, threads: threads.count,
                kernels: kernels.instructions.rawValue, capture: capture, engineVersion: Quipu.version,
                interventions: setup.changes.interventions.records, parent: setup.parent, metric: watch.metric))
        var tracing = Tracing(
            session: session, recorder: recorder, sampler: Sampler(setup.sampling), changes: setup.changes,
            progress: RunProgress(total: ids.count + decodes))
        tracing.stopsAtEnd = !sampling.ignoreEos
        tracing.showsPrompt = !setup.isConversation
        (tracing.followed, tracing.metric) = (followed, metric)
        if logits == .all {
            tracing.surprise = try PromptSurprise(
                model, ids, tracking: followed, threads: threads.count, instructions: kernels.instructions)
        }
        try await record(&tracing, ids, generate: setup.generate, in: store, since: start)

        let bytes = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
        let report = TraceReport(
            tracing.outcome(path: path, bytes: bytes, wallNs: start.duration(to: .now).nanoseconds, capture: capture),
            model: model, program: Quipu.calledAs)
        if !printing.json { Terminal.write("\n\n") }
        try printing.print(report)
        if tracing.brokenLogits > 0 { try warn(tracing.brokenLogits, of: model, in: path) }
    }

    /// A ranking of what is left when some are no numbers says little about the model.
    private func warn(_ count: Int, of model: Llama, in path: String) throws {
        let store = try TraceStore.open(path: path)
        let workers = Workers(threads: threads.count)
        let cause = try BrokenValues(of: store.run(), in: store, file: model.file, workers: workers)
        let logits = count == 1 ? "1 logit is" : "\(count) logits are"
        Terminal.complain(
            "quipu: warning: \(logits) not finite: they come last in every ranking, and what is predicted is not to be "
                + "trusted; \(cause.map(\.description) ?? "no operation was recorded that could tell where from.") "
                + "`quipu verify \(model.file.path.quotedIfNeeded)` looks through all weights.")
    }

    private func setup() throws -> TraceSetup {
        let interventions = try whatIf.interventions()
        if let parent = whatIf.from {
            return try TraceSetup(
                from: parent, run: whatIf.run, model: model, generate: generate, adding: interventions)
        }
        let model = try ModelArgument.llama(model)
        let prompt = try prompt.read(for: model)
        return try TraceSetup(
            model, prompt: prompt, generate: generate ?? (prompt.isConversation ? Self.chatTokens : 1),
            sampling: sampling.options, interventions)
    }

    /// A parent is read while its repetition is written, so they cannot be one file.
    func freeOutput() throws -> String {
        let path = output ?? Self.freeName()
        func isOutput(_ other: String) -> Bool {
            URL(fileURLWithPath: other).resolvingSymlinksInPath()
                == URL(fileURLWithPath: path).resolvingSymlinksInPath()
        }
        if let parent = whatIf.from, isOutput(parent) {
            throw InputError("\(path): --from reads it while --output would write it. Give another --output.")
        }
        return path
    }

    /// Runs to the end; what a run leaves that does not get there is a readable trace too.
    func record(
        _ tracing: inout Tracing, _ ids: [Int], generate: Int, in store: TraceStore,
        since start: ContinuousClock.Instant, closing: Bool = true
    ) async throws {
        let isSilent = printing.json || prompts != nil
        do {
            try tracing.run(
                ids, generate: generate, stream: isSilent ? nil : { Terminal.write($0.withoutControls) })
            try await tracing.recorder.finish(
                nanoseconds: start.duration(to: .now).nanoseconds, closing: closing)
        } catch {
            tracing.progress.end()
            try? tracing.recorder.abandon()
            if error is CancellationError || store.replaced != nil {
                let stopped = error is CancellationError ? "stopped. " : ""
                let kept = store.replaced.map { "; \($0) is as it was" } ?? ""
                Terminal.complain(
                    "\nquipu: \(stopped)\(store.path) holds what was recorded until then (run.complete is 0)\(kept).")
            }
            throw error
        }
    }

    static let usualLimit = "2G"
    /// Tokens of an answer.
    static let chatTokens = 64

    /// `trace.db`, or the first of `trace-2.db`, `trace-3.db`, … that does not exist.
    static func freeName() -> String {
        let names = ["trace.db"] + (2...100_000).lazy.map { "trace-\($0).db" }
        return names.first { !FileManager.default.fileExists(atPath: $0) } ?? "trace.db"
    }

    /// `2G` in bytes.
    static func bytes(_ text: String) -> Int? {
        let units: [Character: Int] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40]
        guard let last = text.uppercased().last else { return nil }
        let unit = units[last]
        guard let number = Double(unit == nil ? text[...] : text.dropLast()), number >= 0 else { return nil }
        let bytes = number * Double(unit ?? 1)
        return bytes < 9e18 ? Int(bytes) : nil
    }
}

extension Duration {
    var nanoseconds: Int { Int(components.seconds) * 1_000_000_000 + Int(components.attoseconds / 1_000_000_000) }
}
