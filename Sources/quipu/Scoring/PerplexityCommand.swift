import ArgumentParser
import LlamaModel
import Measuring
import Presentation

struct PerplexityCommand: AsyncParsableCommand, StopsInOrder {
    static let configuration = CommandConfiguration(
        commandName: "perplexity",
        abstract: "How well a model predicts a text, in one number with its error bar.",
        usage: "quipu perplexity [MODEL] [--file PATH] [options]",
        discussion: """
            The text is cut into chunks that are evaluated one by one; scored are the tokens of each second half. The \
            figure is that of llama.cpp's llama-perplexity, and what is left over at the end is left out as there.

            Example:
              quipu perplexity --chunks 8
            """)

    @Argument(help: ModelArgument.help, completion: .model) var model: String?
    @OptionGroup(title: "Text") var text: TextOptions
    @OptionGroup(title: "Rows, one a chunk") var results: ResultsOptions
    @OptionGroup var threads: ThreadOption
    @OptionGroup var kernels: KernelOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() async throws {
        let model = try ModelArgument.llama(model)
        let text = try text.text(for: model)
        let logits = try ChunkLogits(
            model, on: text, threads: threads.count, instructions: kernels.instructions)
        let work = try Work<[Double]>(
            "perplexity", models: [model.file], options: text.workOptions, names: text.chunkNames, in: results.target)
        try work.run(chunksOf: text, verb: "scoring") { chunk, progress in
            try logits.surprises(of: chunk, progress: progress)
        }
        guard let rows = work.result else { return try printing.print(work.part) }
        let perplexity = Perplexity(surprises: rows.flatMap(\.self), tokensPerChunk: text.scored.count)
        try printing.print(PerplexityReport(perplexity, of: model, on: text))
    }
}
