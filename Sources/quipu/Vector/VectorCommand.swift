import ArgumentParser
import Foundation
import LlamaModel
import Measuring
import Presentation

struct VectorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vector",
        abstract: "Directions that steer a model: llama.cpp's control vectors.",
        usage: "quipu vector make POSITIVE NEGATIVE -o OUT.gguf [options]",
        discussion: """
            Example:
              quipu vector make happy.jsonl sad.jsonl -o happy.gguf
            """,
        subcommands: [MakeVectorCommand.self])
}

extension ContrastVectors.Method: ExpressibleByArgument {}
extension ContrastVectors.Tokens: ExpressibleByArgument {}

struct MakeVectorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "make",
        abstract: "A direction for each layer, from prompts of two kinds.",
        usage: "quipu vector make POSITIVE NEGATIVE [--model MODEL] [-o OUT] [options]",
        discussion: """
            Each line of POSITIVE is compared with the line of its number in NEGATIVE: of each token, the difference of the \
            streams after each layer but the last is a row; the shorter prompt is filled up with the token of a space. A \
            direction is the rows' mean, or (pca) the line that they lie along most, which points the way of the mean. \
            \(PromptLines.help)

            The file is what llama.cpp's llama-cvector-generator writes and its --control-vector reads: direction.K, found \
            after layer K - 1, is added after layer K, by `trace --control-vector` too.

            Example:
              quipu vector make happy.jsonl sad.jsonl --method pca -o happy.gguf
            """)

    @Argument(help: "A file of prompts, a line each.", completion: .results) var positive: String
    @Argument(help: "As many prompts that lack what the others have.", completion: .results) var negative: String
    @Option(help: ModelArgument.help, completion: .model) var model: String?
    @Option(help: "What of the rows: mean, or pca, what llama.cpp takes if it is not told.")
    var method = ContrastVectors.Method.mean
    @Option(help: "Which tokens' rows: all, as llama.cpp, or last, the last one's of each prompt.")
    var tokens = ContrastVectors.Tokens.all
    @Flag(help: "Leave the mean at its size; else directions have length 1, as llama.cpp's.") var keepSize = false
    @Option(name: .shortAndLong, help: "The file to write.", completion: .file()) var output = "vector.gguf"
    @Flag(help: "Replace the file if it is there.") var force = false
    @OptionGroup var threads: ThreadOption
    @OptionGroup var kernels: KernelOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if output.isEmpty { throw ValidationError("--output takes the name of a file") }
        if keepSize, method == .pca { throw ValidationError("--keep-size goes with --method mean") }
    }

    func run() async throws {
        try QuantizeCommand.check(output, isNeither: [positive, negative])
        let model = try ModelArgument.llama(model)
        try QuantizeCommand.check(output, isNeither: model.file.parts.map(\.path))
        if !force, FileManager.default.fileExists(atPath: output) {
            throw InputError("\(output) is there already; write to another path, or give --force to replace it")
        }
        let (first, second) = (
            try PromptLines(path: positive, for: model, takes: []),
            try PromptLines(path: negative, for: model, takes: [])
        )
        guard first.lines.count == second.lines.count else {
            throw ContrastProblem.counts(positive: first.lines.count, negative: second.lines.count)
        }
        let limit = model.configuration.trainedContext
        for (file, line) in [first, second].flatMap({ file in file.lines.map { (file, $0) } }) {
            let needed = line.prompt.ids.count
            guard needed <= limit else {
                throw PromptLines.problem(
                    file.name, line.number, "\(LlamaError.contextExceeded(needed: needed, limit: limit))")
            }
        }
        let progress = WorkProgress(verb: "reading", unit: "prompts")
        defer { progress.clear() }
        let vectors = try ContrastVectors(
            model,
            zip(first.lines, second.lines).map { a, b in
                .init(
                    positive: a.prompt.ids, negative: b.prompt.ids,
                    name: "\(first.name): line \(a.number), \(second.name): line \(b.number)")
            }, by: method, of: tokens, isUnit: !keepSize, threads: threads.count, instructions: kernels.instructions
        ) { try progress.update(done: $0, total: $1) }
        progress.clear()
        try vectors.writer.write(to: output, overwrite: force)
        try printing.print(VectorReport(vectors, of: model, pairs: first.lines.count, output: output))
    }
}
