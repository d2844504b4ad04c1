import ArgumentParser
import Foundation
import GGUF
import LlamaModel
import Measuring
import Presentation
import ProgramFiles
import Quantizing
import Tensors

struct ImatrixCommand: AsyncParsableCommand, StopsInOrder {
    static let configuration = CommandConfiguration(
        commandName: "imatrix",
        abstract: "Which columns of weights matter: an importance matrix, as llama-imatrix makes it.",
        usage: "quipu imatrix [MODEL] --file TEXT [-o OUT] [options]",
        discussion: """
            The model reads the text, and the squares of what each column of each weight matrix is multiplied with are added \
            up. `quantize`, `quant table`, `quant errors`, `quant compare` and `quant recommend` take the file as --imatrix; \
            so does llama-quantize.

            Chunks, beginnings and sums are those of llama.cpp's llama-imatrix with -b equal to -c. What was read is kept \
            beside the output, as OUT.partial, until all is done: --resume goes on there.

            Example:
              quipu imatrix --file text.txt --chunk 32 --chunks 2 -o im.gguf
            """)

    @Argument(help: ModelArgument.help, completion: .model) var model: String?
    @Option(help: ArgumentHelp("The text; - is standard input.", valueName: "path"), completion: .file()) var file:
        String
    @Option(
        help: """
            Tokens of a chunk, which is evaluated on its own. (default: \(ScoredText.defaultChunk), or what the model was \
            trained for if that is less)
            """)
    var chunk: Int?
    @Option(help: "Chunks to read at most, the first ones. (default: all)") var chunks: Int?
    @Option(help: "Chunks to leave out at the beginning.") var skip = 0
    @Option(name: .shortAndLong, help: "The file to write.", completion: .file()) var output = "imatrix.gguf"
    @Option(
        help: ArgumentHelp(
            "An earlier importance matrix of the same model to add to. May be repeated. (default: none)",
            valueName: "file"),
        completion: .file())
    var inFile: [String] = []
    @Flag(help: "Sums of output.weight too, where the model has one.") var processOutput = false
    @Flag(help: "Read the texts of special tokens as these tokens.") var parseSpecial = false
    @Flag(help: "Go on where a run that was stopped had come to; without one, begin.") var resume = false
    @Flag(help: "Replace the file if it is there.") var force = false
    @OptionGroup var threads: ThreadOption
    @OptionGroup var kernels: KernelOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    /// Seconds between two saves of what was read.
    private static let saveInterval = Duration.seconds(10)

    func validate() throws {
        try TextOptions.validate(chunk: chunk, chunks: chunks)
        if skip < 0 { throw ValidationError("--skip takes 0 or more") }
        if output.isEmpty { throw ValidationError("--output takes the name of a file") }
    }

    func run() async throws {
        let start = ContinuousClock.now
        let inputs = [model, file].compactMap { $0 } + inFile
        try QuantizeCommand.check(output, isNeither: inputs)
        try QuantizeCommand.check(partial, isNeither: inputs)
        let model = try ModelArgument.llama(model)
        try QuantizeCommand.check(output, isNeither: model.file.parts.map(\.path))
        if !force, FileManager.default.fileExists(atPath: output) {
            throw InputError("\(output) is there already; write to another path, or give --force to replace it")
        }
        var work = try ImportanceRun(
            model, on: try text(for: model), includesOutput: processOutput, threads: threads.count,
            instructions: kernels.instructions)
        for path in inFile { try work.add(try ImportanceSums(path: path, chunkSize: work.text.chunkSize), from: path) }
        let first = try begin(&work)
        try read(&work)
        try work.sums.writer().write(to: output, overwrite: force)
        try? FileManager.default.removeItem(atPath: partial)
        try printing.print(
            ImatrixReport(
                work, resumedAt: first, output: output, wallNs: start.duration(to: .now).nanoseconds))
    }

    /// As llama.cpp's tools take a text: without a line end that closes it.
    private func text(for model: Llama) throws -> ScoredText {
        var bytes = try InputFile.bytes(file)
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        return try ScoredText(
            bytes, name: InputFile.name(file), for: model, chunkSize: chunk, limit: chunks,
            skipping: skip, parseSpecial: parseSpecial)
    }

    private func read(_ work: inout ImportanceRun) throws {
        let (size, total) = (work.text.chunkSize, work.text.chunks.count * work.text.chunkSize)
        let progress = WorkProgress(verb: "reading", unit: "tokens")
        defer { progress.clear() }
        var saved = ContinuousClock.now
        // A folder that cannot be written to is told before the work.
        try save(work)
        while !work.isDone {
            let done = work.nextChunk * size
            do {
                try work.readChunk { try progress.update(done: done + Int($0 * Double(size)), total: total) }
            } catch is CancellationError {
                try save(work)
                progress.clear()
                Terminal.complain(
                    "quipu: stopped after \(work.nextChunk) of \(work.text.chunks.count) chunks. The same command with "
                        + "--resume goes on; \(partial) holds what was read.")
                throw CancellationError()
            } catch {
                // Nothing was read that could be gone on with.
                if work.nextChunk == 0 { try? FileManager.default.removeItem(atPath: partial) }
                throw error
            }
            guard ContinuousClock.now - saved > Self.saveInterval else { continue }
            try save(work)
            saved = .now
        }
    }

    // MARK: what a run that was stopped leaves

    private var partial: String { output + ".partial" }
    private static let nextKey = "quipu.imatrix.next_chunk"
    private static let workKey = "quipu.imatrix.work"

    private func save(_ work: ImportanceRun) throws {
        let extra: [Metadata.Entry] = [
            .init(key: Self.nextKey, value: .uint32(UInt32(work.nextChunk))),
            .init(key: Self.workKey, value: .string(work.fingerprint)),
        ]
        try work.sums.writer(extra: extra).write(to: partial, overwrite: true)
    }

    /// - Returns: the chunk to begin with.
    private func begin(_ work: inout ImportanceRun) throws -> Int {
        guard FileManager.default.fileExists(atPath: partial) else { return 0 }
        let file = try GGUFFile(path: partial)
        guard let next = file.metadata[Self.nextKey]?.integer, let found = file.metadata[Self.workKey]?.string else {
            throw InputError(
                "\(partial): found a file that is no unfinished importance matrix. Give another --output, or move it.")
        }
        guard resume else {
            throw InputError(
                "\(partial): found what a run that was stopped had read. Give --resume to go on with it, or delete it.")
        }
        guard found == work.fingerprint else {
            throw ImportanceProblem.otherRun(file: partial, what: "model, text, or size of chunks")
        }
        guard next > 0 else { return 0 }
        try work.resume(try ImportanceSums(file), at: next, from: partial)
        return next
    }
}
