import ArgumentParser
import ComputeGraph
import LlamaModel
import Measuring
import Presentation

struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure tokens per second, and what holds each operation back.",
        usage: "quipu bench [MODEL] [options]",
        discussion: """
            Reads prompts, then generates, each from an empty cache, and holds the rates against the memory bandwidth \
            that it measures in the same run. Nothing is recorded. Leave the machine alone meanwhile.

            With --lengths, it reads a prompt of each length and generates after it: a table of what longer texts cost, \
            and of the share of the time that goes to attention. A length of 0 generates from an empty cache.

            Example:
              quipu bench model.gguf --prompt-tokens 64 --decode-tokens 16

            Example:
              quipu bench model.gguf --lengths 0,32,96 --decode-tokens 8 --repetitions 1
            """)

    @Argument(help: ModelArgument.help, completion: .model) var model: String?
    @Option(name: [.customShort("p"), .long], help: "Tokens of a prompt. (default: 128)") var promptTokens: Int?
    @Option(
        help: ArgumentHelp("Prompts of these lengths, and decoding after each. (default: none)", valueName: "n,n,…"))
    var lengths: LengthList?
    @Option(name: [.customShort("n"), .long], help: "Tokens to generate, one a pass.") var decodeTokens = 32
    @Option(name: .shortAndLong, help: "Times that each is measured, after a run that is not counted.")
    var repetitions = 5
    @OptionGroup var threads: ThreadOption
    @OptionGroup var kernels: KernelOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        for (name, value) in [
            ("--prompt-tokens", promptTokens ?? 1), ("--decode-tokens", decodeTokens), ("--repetitions", repetitions),
        ] where !(1...1_000_000).contains(value) {
            throw ValidationError("\(name) takes 1 to 1000000")
        }
        if lengths != nil, promptTokens != nil {
            throw ValidationError("--lengths says how long prompts are: leave out --prompt-tokens")
        }
    }

    func run() async throws {
        let start = ContinuousClock.now
        let model = try ModelArgument.llama(model)
        if let lengths { return try run(model, lengths.lengths) }
        let promptTokens = promptTokens ?? 128
        let session = try Session(
            model, positions: max(promptTokens, decodeTokens), threads: threads.count,
            instructions: kernels.instructions)
        let ready = start.duration(to: .now).nanoseconds
        defer { Terminal.status("") }
        let benchmark = try Benchmark(
            session, promptTokens: promptTokens, decodeTokens: decodeTokens, repetitions: repetitions,
            workers: Workers(threads: threads.count, instructions: kernels.instructions)
        ) { done, total in
            try Task.checkCancellation()
            Terminal.status("measuring  \(done) of \(total) tokens")
        }
        Terminal.status("")
        try printing.print(BenchReport(benchmark, model: model, threads: threads.count, readyNs: ready))
    }

    private func run(_ model: Llama, _ lengths: [Int]) throws {
        let session = try Session(
            model, positions: lengths.max()! + decodeTokens, threads: threads.count, instructions: kernels.instructions)
        defer { Terminal.status("") }
        let benchmark = try LengthBenchmark(
            session, lengths: lengths, decodeTokens: decodeTokens, repetitions: repetitions
        ) { done, total in
            try Task.checkCancellation()
            Terminal.status("measuring  \(done) of \(total) tokens")
        }
        Terminal.status("")
        try printing.print(
            LengthReport(benchmark, model: model, threads: threads.count, decodeTokens: decodeTokens))
    }
}
