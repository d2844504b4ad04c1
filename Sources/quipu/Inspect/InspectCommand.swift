import ArgumentParser
import GGUF
import Presentation
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
    @Option(help: "With --bytes: the first byte, counted from the tensor's start.") var offset = 0
    @Option(help: "With --bytes: how many bytes.") var count = 320
    @Flag(help: "With --json: long metadata arrays to their end.") var wholeArrays = false
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if offset < 0 { throw ValidationError("--offset takes 0 or more") }
        if count < 1 { throw ValidationError("--count takes 1 or more") }
        if template, bytes != nil || tensors || metadata {
            throw ValidationError("give --template, or --bytes, --tensors and --metadata")
        }
        if bytes != nil, tensors || metadata { throw ValidationError("give --bytes, or --tensors and --metadata") }
    }

    func run() throws {
        if template { return try printing.print(try templateReport()) }
        var sections: InspectReport.Section = []
        if tensors { sections.insert(.tensors) }
        if metadata { sections.insert(.metadata) }
        if bytes == nil, let path = model ?? ModelArgument.preferred {
            if LegacyFile.isLegacy(path) {
                return try printing.print(
                    LegacyReport(try LegacyFile(path: path), sections: sections, program: Quipu.calledAs))
            }
            if LegacyImportance.isLegacy(path) {
                return try printing.print(ImportanceReport(try LegacyImportance(path: path)))
            }
        }
        let file = try ModelArgument.open(model)
        guard let bytes else {
            return try printing.print(InspectReport(file, sections: sections, wholeArrays: wholeArrays))
        }
        let info = try ModelArgument.tensor(bytes, in: file)
        guard offset < info.byteCount else {
            throw InputError(
                "\(file.path): tensor '\(bytes)' has bytes 0 to \(info.byteCount - 1); --offset \(offset) is outside")
        }
        try printing.print(
            BytesReport(info, in: file, range: offset..<offset + min(count, info.byteCount - offset)))
    }

    private func templateReport() throws -> TemplateReport {
        let (file, tokenizer) = try ModelArgument.tokenizerAndFile(model)
        let template = try ModelArgument.naming(file) { try ChatTemplate(metadata: file.metadata) }
        return TemplateReport(template, of: file, vocabulary: tokenizer.vocabulary, now: .current)
    }
}
