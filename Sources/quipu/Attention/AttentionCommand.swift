import ArgumentParser
import GGUF
import Foundation
import LlamaModel
import Presentation
import Recording
import Tracing

struct AttentionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attention",
        abstract: "What heads look at: patterns, sinks, previous-token and induction heads.",
        usage: """
            quipu attention [TRACE] [LAYER.HEAD] [options]
            quipu attention --scores MODEL [options]
            """,
        discussion: """
            Without a head, a table of all; with one, its pattern as a picture and in numbers; with --layer and --group, \
            all heads that share a KV head. Read from the trace, or from the model again if it was not captured.

            entropy: bits, mean over positions; 0 is one position, log2(n) all n alike.
            first: attention to the first token; from \(HeadScores.sinkThreshold) a sink, where heads rest.
            previous: attention to the token before; from \(HeadScores.threshold) a previous-token head.
            induction: attention to what followed earlier occurrences of the same token, over tokens that occurred \
            before; from \(HeadScores.threshold) an induction head, which continues what was said.

            A trace has few repetitions, and text has other reasons to look somewhere: --scores measures on random \
            tokens said twice, the standard definition.

            Example:
              quipu attention trace.db 0.3
            """)

    @Argument(
        help: ArgumentHelp(
            "The trace (default: the last one written), and a head as its layer and number, such as 2.5.",
            valueName: "trace> <layer.head"),
        completion: .trace)
    var arguments: [String] = []
    @Option(help: "A layer. (default: all)") var layer: Int?
    @Option(help: "A query head of --layer. (default: all)") var head: Int?
    @Option(help: "A KV head of --layer: all query heads that read it. (default: all)") var group: Int?
    @Option(
        parsing: .unconditional,
        help: "Positions to show what they look at, such as -1, 3,5 or 0:8. (default: all, of many the last)")
    var positions: PositionList?
    @Option(
        help: ArgumentHelp(
            "Measure this model on random tokens said twice, instead of a trace. (default: the trace)",
            valueName: "model"))
    var scores: String?
    @Option(help: "How many random sequences.") var sequences = 16
    @Option(name: .customLong("run"), help: "The run, by its id. (default: the newest)") var runID: Int?
    @OptionGroup var replaying: ReplayOptions
    @OptionGroup var memory: MemoryOption
    @OptionGroup var threads: ThreadOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    private struct Target {
        var trace: String?
        var layer: Int?
        var head: Int?
    }

    func validate() throws {
        let target = try target()
        if target.head != nil, group != nil { throw ValidationError("give a head or a --group, not both") }
        if target.layer == nil, target.head != nil || group != nil {
            throw ValidationError("--head and --group are of a layer: give --layer too")
        }
        if scores != nil, !arguments.isEmpty || target.layer != nil || positions != nil {
            throw ValidationError("--scores measures all heads of a model; it takes no trace, head or positions")
        }
        if !(1...10_000).contains(sequences) { throw ValidationError("--sequences takes 1 to 10000") }
    }

    func run() throws {
        if let scores { return try runScores(of: try ModelArgument.llama(scores)) }
        let target = try target()
        let store = try LastTrace.open(target.trace)
        let run = try store.run(id: runID)
        let sizes = try store.sizes(of: run)
        try check(target, sizes, store.path)
        let layers = target.layer.map { $0..<$0 + 1 } ?? 0..<sizes.layers
        let group = group
        let isShown: AttentionPatterns.Choice = { _, head in
            target.head.map { head == $0 } ?? group.map { sizes.kvHead(ofQueryHead: head) == $0 } ?? false
        }
        let patterns = try AttentionPatterns.recorded(run, in: store, layers: layers, keeping: isShown)
        let source = patterns == nil ? "evaluated again from the model" : "as recorded"
        let found =
            try patterns
            ?? AttentionPatterns.replayed(
                try replaying.open(run, in: store, memory: memory), layers: layers, keeping: isShown,
                threads: threads.count)
        let tokens = try store.tokens(of: run)
        let scores = found.scores(sizes)
        let length = try store.passes(of: run).reduce(0) { $0 + $1.tokens }
        let heads = scores.filter { isShown($0.layer, $0.head) }
        let rows = try positions?.resolved(in: length, of: store.path)
        try printing.print(
            AttentionReport(
                trace: store.path, source: source, tokens: tokens.prefix(length).map(\.piece), scores: scores,
                shown: heads.map { ($0, found[$0.layer, $0.head], found.windows[$0.layer]) }, positions: rows))
    }

    private func runScores(of model: Llama) throws {
        let repeated = RepeatedTokens(model, sequences: sequences)
        let progress = WorkProgress(verb: "measuring", unit: "sequences")
        let found = try repeated.scores(threads: threads.count) { try progress.update(done: $0, total: sequences) }
        progress.clear()
        try printing.print(
            HeadScoresReport(
                of: model.file.path,
                over: "\(sequences) sequences of \(repeated.period) random tokens said twice", scores: found))
    }

    /// `2.5` is a head, anything else a trace.
    private func target() throws -> Target {
        var target = Target(trace: nil, layer: layer, head: head)
        var files = arguments
        if let last = arguments.last, let parsed = Self.head(last),
            arguments.count == 2 || !FileManager.default.fileExists(atPath: last)
        {
            if layer != nil || head != nil {
                throw ValidationError("give the head once: \(last), or --layer and --head")
            }
            (target.layer, target.head) = parsed
            files.removeLast()
        }
        guard files.count <= 1 else {
            throw ValidationError("'\(files[1])' is no head; give its layer and number, such as 2.5")
        }
        target.trace = files.first
        return target
    }

    private static func head(_ text: String) -> (Int, Int)? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let layer = parts[0], let head = parts[1] else { return nil }
        return (layer, head)
    }

    private func check(_ target: Target, _ sizes: ModelSizes, _ trace: String) throws {
        func check(_ what: String, _ number: Int?, _ count: Int) throws {
            guard let number, !(0..<count).contains(number) else { return }
            throw InputError("\(trace): there is no \(what) \(number); the model has \(what)s 0 to \(count - 1)")
        }
        try check("layer", target.layer, sizes.layers)
        try check("head", target.head, sizes.heads)
        try check("KV head", group, sizes.kvHeads)
    }
}
