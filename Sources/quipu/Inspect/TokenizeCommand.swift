import ArgumentParser
import Presentation
import Tokenization

struct TokenizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize",
        abstract: "How a text becomes token ids; with --ids: which tokens ids are.",
        usage: "quipu tokenize [MODEL] (TEXT | --file PATH | --chat TEXT | --ids IDS)",
        discussion: """
            A GGUF file with nothing but a vocabulary is enough.

            Example:
              quipu tokenize model.gguf "Hello, world" --steps

            Example:
              quipu tokenize chat.gguf --chat "Who are you?" --system "You are brief."

            Example:
              quipu tokenize model.gguf --ids 1,2,300
            """)

    @Argument(
        help: ArgumentHelp(
            "The model (default: $QUIPU_MODEL, or the embedded model) and, without --file or --chat, the text.",
            valueName: "model> <text"),
        completion: .model)
    var arguments: [String] = []
    @Option(
        help: ArgumentHelp("Read the text from a file; - is standard input.", valueName: "path"), completion: .file())
    var file: String?
    @OptionGroup var conversation: ChatOptions
    @Option(
        help: ArgumentHelp(
            "Ids in place of a text: their pieces, kinds, and the text they make. (default: none)",
            valueName: "list"))
    var ids: TokenIds?
    @Flag(help: "Show how each piece was merged.") var steps = false
    @Flag(help: "Leave out the tokens a model adds at start and end (BOS, EOS).") var noAddSpecial = false
    @Flag(help: "Take special tokens in the text, such as <|im_start|>, for plain text.") var noParseSpecial = false
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if ids != nil {
            if conversation.isGiven || file != nil || arguments.count > 1 {
                throw ValidationError("give --ids, or a text, --file or --chat")
            }
            if steps || noAddSpecial || noParseSpecial {
                throw ValidationError("--steps, --no-add-special and --no-parse-special go with a text, not with --ids")
            }
            return
        }
        if conversation.isGiven {
            if file != nil { throw ValidationError("give --chat or --file, not both") }
            if arguments.count > 1 { throw ValidationError("give the text or --chat, not both") }
            if noAddSpecial || noParseSpecial {
                throw ValidationError("--no-add-special and --no-parse-special go with a text, not with --chat")
            }
            return
        }
        if file == nil { _ = try LeadingFile(arguments, file: "model", rest: "a text") }
        if file != nil, arguments.count > 1 { throw ValidationError("give the text or --file, not both") }
    }

    func run() throws {
        if conversation.isGiven { return try runChat() }
        if let ids {
            let (file, tokenizer) = try ModelArgument.tokenizerAndFile(arguments.first)
            let vocabulary = tokenizer.vocabulary
            try ids.check(count: vocabulary.count, file: file.path)
            return try printing.print(
                TokenizeReport(ids: ids.ids, steps: nil, vocabulary: vocabulary, text: vocabulary.decodeBytes(ids.ids)))
        }
        let (model, bytes) = try input()
        let tokenizer = try ModelArgument.tokenizer(model)
        if steps {
            let result = tokenizer.encodeWithSteps(
                bytes: bytes, addSpecial: !noAddSpecial, parseSpecial: !noParseSpecial)
            return try printing.print(
                TokenizeReport(ids: result.ids, steps: result.steps, vocabulary: tokenizer.vocabulary))
        }
        let ids = tokenizer.encode(bytes: bytes, addSpecial: !noAddSpecial, parseSpecial: !noParseSpecial)
        if let warning = tokenizer.vocabulary.doubled(in: ids) { Terminal.complain("quipu: warning: \(warning)") }
        try printing.print(TokenizeReport(ids: ids, steps: nil, vocabulary: tokenizer.vocabulary))
    }

    private func runChat() throws {
        let (file, tokenizer) = try ModelArgument.tokenizerAndFile(arguments.first)
        let text = try conversation.text(file, tokenizer)
        let result = tokenizer.encode(chat: text, steps: steps)
        try printing.print(
            TokenizeReport(ids: result.ids, steps: result.steps, vocabulary: tokenizer.vocabulary, chat: text))
    }

    private func input() throws -> (model: String?, bytes: [UInt8]) {
        if let file { return (arguments.first, try InputFile.bytes(file)) }
        let named = try LeadingFile(arguments, file: "model", rest: "a text")
        return (named.file, Array(named.rest.utf8))
    }
}
