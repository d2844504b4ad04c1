import ArgumentParser
import LlamaModel
import Measuring
import Presentation

struct CompareCommand: AsyncParsableCommand, StopsInOrder {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "How far a model's predictions are from another's: KL divergence and more.",
        usage: "quipu compare [BASE] OTHER [--file PATH] [options]",
        discussion: """
            BASE is the original and OTHER, say, a quantised version of it. Both read the text once, in the chunks that \
            `perplexity` cuts it into. The figures are those of llama.cpp's llama-perplexity --kl-divergence, from \
            exact logits on both sides.

            That versions differ is no failure; it is one, with exit status 2, if the mean divergence exceeds --max-kld.

            Example:
              quipu compare model.gguf other.gguf --file text.txt --chunks 4
            """)

    @Argument(
        help: ArgumentHelp(
            "The model to measure against (default: $QUIPU_MODEL, or the embedded model) and the model to measure.",
            valueName: "base> <other"),
        completion: .model)
    var arguments: [String]
    @OptionGroup(title: "Text") var text: TextOptions
    @Option(
        help: ArgumentHelp(
            "Exit with status 2 if the mean KL divergence is larger than this. (default: any will do)",
            valueName: "nats"))
    var maxKld: Double?
    @OptionGroup(title: "Rows, one a chunk") var results: ResultsOptions
    @OptionGroup var threads: ThreadOption
    @OptionGroup var kernels: KernelOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if !(1...2).contains(arguments.count) { throw ValidationError("name one model to measure, or two models") }
        if let maxKld, !(maxKld >= 0) { throw ValidationError("--max-kld takes 0 or more") }
    }

    func run() async throws {
        let base = try ModelArgument.llama(arguments.count == 2 ? arguments[0] : nil)
        let other = try ModelArgument.llama(arguments.last!)
        let text = try text.text(for: base, and: other)
        func logits(_ model: Llama) throws -> ChunkLogits {
            try ChunkLogits(model, on: text, threads: threads.count, instructions: kernels.instructions)
        }
        let (one, two) = (try logits(base), try logits(other))
        let work = try Work<Divergence.Columns>(
            "compare", models: [base.file, other.file], options: text.workOptions, names: text.chunkNames,
            in: results.target)
        try work.run(chunksOf: text, verb: "comparing") { chunk, progress in
            .init(try Divergence.tokens(of: chunk, two, from: one, progress: progress))
        }
        guard let rows = work.result else { return try printing.print(work.part) }
        let divergence = Divergence(rows.flatMap(\.tokens), on: text)
        try printing.print(CompareReport(divergence, of: other, from: base, on: text))
        let mean = divergence.meanDivergence.value
        if let maxKld, mean > maxKld {
            Terminal.complain("quipu: the mean KL divergence, \(mean), is larger than --max-kld \(maxKld)")
            throw ExitCode(2)
        }
    }
}
