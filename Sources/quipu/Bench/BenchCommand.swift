import ArgumentParser
import ComputeGraph
import LlamaModel
import Measuring
import Presentation

struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure tokens a second, and what holds each operation back.",
        usage: "quipu bench [MODEL] [options]",
        discussion: """
            Reads prompts, then generates, each from an empty cache, and holds the rates against the memory bandwidth \
            that it measures in the same run. Nothing is recorded. Leave the machine alone meanwhile.

            Example:
              quipu bench model.gguf --prompt-tokens 64 --decode-tokens 16
            """)

    @Argument(help: ModelArgument.help, completion: .model) var model: String?
    @Option(name: [.customShort("p"), .long], help: "Tokens of a prompt.") var promptTokens = 128
    @Option(name: [.customShort("n"), .long], help: "Tokens to generate, one a pass.") var decodeTokens = 32
    @Option(name: .shortAndLong, help: "Times that each is measured, after a run that is not counted.")
    var repetitions = 5
    @OptionGroup var threads: ThreadOption
    @OptionGroup var kernels: KernelOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        for (name, value) in [
            ("--prompt-tokens", promptTokens), ("--decode-tokens", decodeTokens), ("--repetitions", repetitions),
        ] where !(1...1_000_000).contains(value) {
            throw ValidationError("\(name) takes 1 to 1000000")
        }
    }

    func run() async throws {
        let start = ContinuousClock.now
        let model = try ModelArgument.llama(model)
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
}
