import ArgumentParser
import ComputeGraph
import GGUF
import LlamaModel
import Presentation
import Quantizing
import Recording

struct QuantBlocksCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "blocks",
        abstract: "One block taken apart: bytes, scale, min, codes, values; or --audit: all blocks of a model.",
        usage: "quipu quant blocks [MODEL] TENSOR [--row R] [--block B]\nquipu quant blocks [MODEL] --audit",
        discussion: """
            The audit counts dead blocks (all zero) and blocks in which no code stands for zero, and lists the hundred worst:
            by error with --reference, otherwise by scale relative to the median of their tensor.

            Example:
              quipu quant blocks model.gguf blk.0.attn_q.weight --row 3 --block 2
            """)

    @Argument(
        help: ArgumentHelp(
            "The model (default: $QUIPU_MODEL, or the embedded model) and the tensor.", valueName: "model> <tensor"),
        completion: .model)
    var arguments: [String] = []
    @Option(help: "Row of the tensor, from 0; counted through all dimensions but the first.") var row = 0
    @Option(help: "Block of the row, from 0.") var block = 0
    @Flag(help: "Look at every block of the model.") var audit = false
    @Option(help: "A file of the same model in higher precision: the weights before.", completion: .model)
    var reference: String?
    @Option(help: "With --audit: tensors and blocks to list.") var limit = 20
    @Option(
        name: .shortAndLong, help: "Add the block to a trace, or to a new file: table quant_block. (default: none)",
        completion: .trace)
    var output: String?
    @OptionGroup var threads: ThreadOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if audit, output != nil { throw ValidationError("--output takes single blocks, not --audit") }
        if audit, arguments.count > 1 { throw ValidationError("--audit takes a model and no tensor") }
        if !audit { _ = try LeadingFile(arguments, file: "model", rest: "a tensor") }
        if row < 0 { throw ValidationError("--row takes 0 or more") }
        if block < 0 { throw ValidationError("--block takes 0 or more") }
        if limit < 0 { throw ValidationError("--limit takes 0 or more") }
    }

    func run() async throws {
        let other = try reference.map { try GGUFFile(path: $0) }
        if audit { return try runAudit(against: other) }
        let named = try LeadingFile(arguments, file: "model", rest: "a tensor")
        let file = try ModelArgument.open(named.file)
        let info = try ModelArgument.tensor(named.rest, in: file)
        let found = try WeightBlock(row: row, block: block, of: info, in: file)
        let before = try other.map { (path: $0.path, values: try found.values(in: $0)) }
        if let output {
            let model = try Llama(file: file)
            let store = try TraceStore.create(path: output, .appending)
            try await store.record(found.record(before: before?.values), of: model)
            try store.close()
        }
        try printing.print(BlockReport(found, reference: before))
    }

    private func runAudit(against other: GGUFFile?) throws {
        let file = try ModelArgument.open(arguments.first)
        defer { Terminal.status("") }
        let audit = try BlockAudit(of: file, against: other, workers: Workers(threads: threads.count)) { done, total in
            try Task.checkCancellation()
            Terminal.status("\(done * 100 / max(1, total)) % of \(total) weights")
        }
        Terminal.status("")
        try printing.print(
            BlockAuditReport(file: file.path, reference: other?.path, audit: audit, limit: limit))
    }
}
