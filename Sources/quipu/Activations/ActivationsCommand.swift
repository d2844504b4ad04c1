import ArgumentParser
import Foundation
import LlamaModel
import Measuring
import Presentation
import Recording
import Tracing

struct ActivationsCommand: AsyncParsableCommand, StopsInOrder {
    static let configuration = CommandConfiguration(
        commandName: "activations",
        abstract: "Activations of a corpus in shards for NumPy, or the texts that a neuron likes best.",
        usage: "quipu activations [MODEL] --file TEXT --at NAMES (-o FOLDER | --top N)",
        discussion: """
            The text is read in chunks, each on its own, as `perplexity` reads it. For each token kept a shard has a row: \
            NAME.00000.npy (tokens, width) in F32, beside tokens, positions and chunks in I32. activations.json says what \
            they are of. One chunk is in memory at a time; --resume goes on after the last complete shard.

            With --top, nothing is written: of one neuron (--unit) or direction (--direction) the tokens where it is largest \
            are shown.

            Example:
              quipu activations --file text.txt --chunk 32 --at 'l_out-*' -o shards

            Example:
              quipu activations --file text.txt --chunk 32 --at ffn_out-2 --unit 7 --top 5
            """)

    @Argument(help: ModelArgument.help, completion: .model) var model: String?
    @Option(help: ArgumentHelp("The text; - is standard input.", valueName: "path"), completion: .file()) var file:
        String
    @Option(
        help: ArgumentHelp(
            "Operations whose values are wanted, separated by commas; * and ? stand for anything.", valueName: "names"))
    var at: String
    @Option(
        help: """
            Tokens of a chunk, which is evaluated on its own. (default: \(ScoredText.defaultChunk), or what the model was \
            trained for if that is less)
            """)
    var chunk: Int?
    @Option(help: "Chunks to read, the first ones. (default: all)") var chunks: Int?
    @Option(help: ArgumentHelp("Keep each N-th token only.", valueName: "n")) var every = 1
    @Option(help: "Chunks whose rows go into one shard.") var chunksPerShard = 16
    @Option(
        name: .shortAndLong, help: ArgumentHelp("The folder to write. (default: none)", valueName: "folder"),
        completion: .directory)
    var output: String?
    @Flag(help: "Go on where a run that was stopped had come to; without one, begin.") var resume = false
    @Option(help: ArgumentHelp("Show the N tokens where it is largest. (default: none)", valueName: "n")) var top: Int?
    @Option(help: "The neuron of --top, from 0. (default: none)") var unit: Int?
    @Option(
        help: ArgumentHelp("The direction of --top: a vector in a .npy file. (default: none)", valueName: "file"),
        completion: .file(extensions: ["npy"]))
    var direction: String?
    @OptionGroup var threads: ThreadOption
    @OptionGroup var kernels: KernelOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        try TextOptions.validate(chunk: chunk, chunks: chunks)
        if every < 1 { throw ValidationError("--every takes 1 or more") }
        if chunksPerShard < 1 { throw ValidationError("--chunks-per-shard takes 1 or more") }
        if let top, !(1...10_000).contains(top) { throw ValidationError("--top takes 1 to 10000") }
        if (output == nil) == (top == nil) { throw ValidationError("give --output or --top, one of them") }
        if top == nil, unit != nil || direction != nil { throw ValidationError("--unit and --direction go with --top") }
        if top != nil, (unit == nil) == (direction == nil) {
            throw ValidationError("--top takes --unit or --direction, one of them")
        }
        if output?.isEmpty ?? false { throw ValidationError("--output takes the name of a folder") }
    }

    func run() async throws {
        let direction = try direction.map { try ArrayVector.read($0) }
        let model = try ModelArgument.llama(model)
        let text = try ScoredText(
            try InputFile.bytes(file), name: InputFile.name(file), for: model, chunkSize: chunk,
            limit: chunks)
        let stream = try ActivationStream(
            model, on: text, at: at.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) },
            every: every, threads: threads.count, instructions: kernels.instructions)
        let progress = WorkProgress(verb: "reading", unit: "tokens")
        defer { progress.clear() }
        if let top {
            let found = try self.top(top, stream, direction) { try progress.update(done: Int($0), total: $1) }
            progress.clear()
            return try printing.print(TopActivationsReport(found, of: model, on: text))
        }
        var shards = try ActivationShards(
            stream, in: output!, chunksPerShard: chunksPerShard, resumes: resume)
        let first = shards.index.shardsDone
        do {
            try shards.write { try progress.update(done: Int($0), total: $1) }
        } catch is CancellationError {
            progress.clear()
            Terminal.complain(
                "quipu: stopped after \(shards.index.shardsDone) of \(shards.index.shards) shards. The same command with "
                    + "--resume goes on.")
            throw CancellationError()
        }
        progress.clear()
        try printing.print(ActivationsReport(shards, resumedAt: first, output: output!))
    }

    private func top(
        _ limit: Int, _ stream: ActivationStream, _ direction: [Float]?,
        progress: @escaping (Double, Int) throws -> Void
    ) throws -> TopActivations {
        guard stream.columns.count == 1 else {
            throw InputError(
                "--at \(at): found \(stream.columns.count) operations of these names, expected one for --top: "
                    + stream.columns.prefix(4).map(\.name).joined(separator: ", ") + " …")
        }
        let column = stream.columns[0]
        if let direction {
            return try TopActivations(
                stream, along: direction, called: "\(column.name) along \(self.direction!)", limit: limit,
                progress: progress)
        }
        let unit = unit!
        guard (0..<column.width).contains(unit) else {
            throw InputError("--unit \(unit): \(column.name) has units 0 to \(column.width - 1)")
        }
        var vector = [Float](repeating: 0, count: column.width)
        vector[unit] = 1
        return try TopActivations(
            stream, along: vector, called: "\(column.name)[\(unit)]", limit: limit, progress: progress)
    }
}
