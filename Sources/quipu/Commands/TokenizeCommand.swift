import ArgumentParser
import Presentation
import Tokenization

struct TokenizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize",
        abstract: "How a text becomes token ids.",
        usage: "quipu tokenize [MODEL] (TEXT | --file PATH) [options]",
        discussion: """
            A GGUF file with nothing but a vocabulary is enough.

            Example:
              quipu tokenize model.gguf "Hello, world" --steps
            """)

    @Argument(
        help: ArgumentHelp(
            "The model and the text; or one of them, with --file or $QUIPU_MODEL.", valueName: "model> <text"))
    var arguments: [String] = []
    @Option(help: ArgumentHelp("Read the text from a file; - is standard input.", valueName: "path")) var file: String?
    @Flag(help: "Show how each piece was merged.") var steps = false
    @Flag(help: "Leave out the tokens a model adds at start and end (BOS, EOS).") var noAddSpecial = false
    @Flag(help: "Take special tokens in the text, such as <|im_start|>, for plain text.") var noParseSpecial = false
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if arguments.count > 2 { throw ValidationError("give a model and one text; quote a text of several words") }
        if file != nil, arguments.count > 1 { throw ValidationError("give the text or --file, not both") }
        if file == nil, arguments.isEmpty { throw ValidationError("give a model and a text, or --file") }
        if file == nil, arguments.count == 1, ModelArgument.fallback == nil {
            throw ValidationError("give a model and a text; the model may be left out if QUIPU_MODEL names one")
        }
    }

    func run() throws {
        let model = file != nil ? arguments.first : arguments.count == 2 ? arguments[0] : nil
        let tokenizer = try ModelArgument.tokenizer(model)
        let bytes = try file.map(InputFile.bytes) ?? Array(arguments.last!.utf8)
        if steps {
            let result = tokenizer.encodeWithSteps(
                bytes: bytes, addSpecial: !noAddSpecial, parseSpecial: !noParseSpecial)
            return try printing.print(TokenizeReport(ids: result.ids, steps: result.steps, tokenizer: tokenizer))
        }
        let ids = tokenizer.encode(bytes: bytes, addSpecial: !noAddSpecial, parseSpecial: !noParseSpecial)
        try printing.print(TokenizeReport(ids: ids, steps: nil, tokenizer: tokenizer))
    }
}
