import ArgumentParser
import GGUF
import Presentation
import Quantizing
import Recording
import Tokenization

struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "What is in a GGUF file: header, metadata, tensors, real bits per weight.",
        usage: "quipu inspect [MODEL] [options]",
        discussion: """
            Any GGUF file can be listed, whatever its architecture and formats, and llamas from before GGUF: ggml, ggmf, ggjt.

            Example:
              quipu inspect model.gguf --tensors

            Example:
              quipu inspect chat.gguf --template

            Example:
              quipu inspect model.gguf --values blk.0.attn_q.weight --row 3
            """)

    @Argument(help: ModelArgument.help, completion: .model) var model: String?
    @Flag(help: "List every tensor with type, shape, file offset and bytes.") var tensors = false
    @Flag(help: "List every metadata key.") var metadata = false
    @Flag(
        help:
            "Show the chat template, a program in Jinja: its text, what it needs, and what it makes of a conversation.")
    var template = false
    @Option(help: ArgumentHelp("Show a tensor's bytes as they are in the file.", valueName: "tensor")) var bytes:
        String?
    @Option(help: ArgumentHelp("Show a tensor's values, of whatever type it is.", valueName: "tensor")) var values:
        String?
    @Option(
        help: "With --bytes: the first byte, counted from the tensor's start; with --values: the first of a row.")
    var offset = 0
    @Option(
        help: "With --bytes: how many bytes; with --values: how many of a row. (default: 320 bytes, 64 values)")
    var count: Int?
    @Option(help: "With --values: the first row; counted through all dimensions but the first.") var row = 0
    @Option(help: "With --values: how many rows.") var rows = 1
    @Flag(help: "With --json: long metadata arrays to their end.") var wholeArrays = false
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if offset < 0 { throw ValidationError("--offset takes 0 or more") }
        if count ?? 1 < 1 { throw ValidationError("--count takes 1 or more") }
        if row < 0 { throw ValidationError("--row takes 0 or more") }
        if rows < 1 { throw ValidationError("--rows takes 1 or more") }
        if template, bytes != nil || values != nil || tensors || metadata {
            throw ValidationError("give --template, or --bytes, --values, --tensors and --metadata")
        }
        if bytes != nil || values != nil, tensors || metadata {
            throw ValidationError("give --bytes or --values, or --tensors and --metadata")
        }
        if bytes != nil, values != nil { throw ValidationError("give --bytes or --values, not both") }
        if values == nil, row != 0 || rows != 1 { throw ValidationError("--row and --rows go with --values") }
    }

    func run() throws {
        if template { return try printing.print(try templateReport()) }
        var sections: InspectReport.Section = []
        if tensors { sections.insert(.tensors) }
        if metadata { sections.insert(.metadata) }
        if bytes == nil, values == nil, let path = model ?? ModelArgument.preferred {
            if LegacyFile.isLegacy(path) {
                return try printing.print(
                    LegacyReport(try LegacyFile(path: path), sections: sections, program: Quipu.calledAs))
            }
            if LegacyImportance.isLegacy(path) {
                return try printing.print(ImportanceReport(try LegacyImportance(path: path)))
            }
        }
        let file = try ModelArgument.open(model)
        if let values { return try printing.print(try valuesReport(of: values, in: file)) }
        guard let bytes else {
            return try printing.print(InspectReport(file, sections: sections, wholeArrays: wholeArrays))
        }
        let info = try ModelArgument.tensor(bytes, in: file)
        guard offset < info.byteCount else {
            throw InputError(
                "\(file.path): tensor '\(bytes)' has bytes 0 to \(info.byteCount - 1); --offset \(offset) is outside")
        }
        try printing.print(
            BytesReport(info, in: file, range: offset..<offset + min(count ?? 320, info.byteCount - offset)))
    }

    private func valuesReport(of tensor: String, in file: GGUFFile) throws -> ValuesReport {
        let info = try ModelArgument.tensor(tensor, in: file)
        return ValuesReport(
            try TensorWindow(of: info, in: file, row: row, rows: rows, column: offset, columns: count ?? 64))
    }

    private func templateReport() throws -> TemplateReport {
        let (file, tokenizer) = try ModelArgument.tokenizerAndFile(model)
        let template = try ModelArgument.naming(file) { try ChatTemplate(metadata: file.metadata) }
        return TemplateReport(template, of: file, vocabulary: tokenizer.vocabulary, now: .current)
    }
}
