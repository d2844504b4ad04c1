import ArgumentParser
import Foundation
import GGUF
import LlamaModel
import Tokenization

/// What a model is given to read: text, a conversation, or token ids where there is no tokenizer or another one is wanted.
struct PromptOptions: ParsableArguments {
    @Option(
        name: .shortAndLong,
        help: "The text; - is standard input. Special tokens such as <|im_start|> are recognised.")
    var prompt: String?
    @OptionGroup var conversation: ChatOptions
    @Option(
        help: ArgumentHelp(
            """
            Token ids in place of --prompt, taken as they are. `tokenize --json` prints them; brackets may stay. \
            (default: none)
            """,
            valueName: "1,2,3"))
    var ids: TokenIds?

    var isGiven: Bool { prompt != nil || ids != nil || conversation.isGiven }

    func validate() throws {
        if prompt != nil, ids != nil { throw ValidationError("give --prompt or --ids, not both") }
        if conversation.isGiven, prompt != nil || ids != nil {
            throw ValidationError("give --chat or \(prompt != nil ? "--prompt" : "--ids"), not both")
        }
    }

    /// - Throws: `LlamaError` if there is text and no tokenizer for it, or no such id; `InputError`.
    func read(for model: Llama) throws -> Prompt {
        if conversation.isGiven { return try conversation.read(for: model) }
        guard let ids else {
            return try Prompt(bytes: prompt == "-" ? try InputFile.bytes("-") : Array((prompt ?? "").utf8), for: model)
        }
        return try Prompt(ids: ids.ids, for: model)
    }
}

/// A prompt, or a file that it is in.
struct PromptFileOptions: ParsableArguments {
    @OptionGroup var prompt: PromptOptions
    @Option(
        help: ArgumentHelp(
            "Read the text from a file, byte for byte; - is standard input. (default: none)", valueName: "path"),
        completion: .file())
    var file: String?

    var isGiven: Bool { file != nil || prompt.isGiven }

    func validate() throws {
        if file != nil, prompt.isGiven {
            throw ValidationError("give the text with --file, or --prompt, --chat or --ids, not both")
        }
    }

    func read(for model: Llama) throws -> Prompt {
        try file.map { try Prompt(bytes: try InputFile.bytes($0), for: model) } ?? prompt.read(for: model)
    }
}

/// A prompt as text and as ids.
struct Prompt {
    let text: String
    let ids: [Int]
    /// Whether a template wrote it.
    let isConversation: Bool

    init(text: String, ids: [Int], isConversation: Bool = false) {
        (self.text, self.ids, self.isConversation) = (text, ids, isConversation)
    }

    /// Ids as they are. That they begin twice is said on standard error.
    ///
    /// - Throws: `InputError` if the model has no such id.
    init(ids: [Int], for model: Llama) throws {
        try TokenIds(ids).check(in: model)
        let vocabulary = model.vocabulary
        if let warning = vocabulary.doubled(in: ids) { Terminal.complain("quipu: warning: \(warning)") }
        // The text that gives these ids, as far as one does: the beginning is added to a text, not part of it.
        let hasAddedBOS = vocabulary.addsBOS && ids.first == vocabulary.bos
        self.init(text: vocabulary.decode(Array(ids.dropFirst(hasAddedBOS ? 1 : 0))), ids: ids)
    }

    /// A text as it is. That it begins twice is said on standard error.
    init(bytes: [UInt8], for model: Llama) throws {
        ids = try model.tokenizer.encode(bytes: bytes)
        text = String(storedBytes: bytes).showingBytes()
        isConversation = false
        if let warning = model.vocabulary.doubled(in: ids) { Terminal.complain("quipu: warning: \(warning)") }
    }
}

/// Ids as users write them: `1,2,3`, `1 2 3`, `[1, 2, 3]`.
struct TokenIds: ExpressibleByArgument {
    let ids: [Int]

    init(_ ids: [Int]) { self.ids = ids }

    init?(argument: String) {
        var text = argument.trimmingCharacters(in: .whitespacesAndNewlines)[...]
        if text.first == "[", text.last == "]" { text = text.dropFirst().dropLast() }
        let parts = text.split { $0 == "," || $0.isWhitespace }
        let ids = parts.compactMap { Int($0) }
        guard ids.count == parts.count, !ids.isEmpty else { return nil }
        self.ids = ids
    }

    /// - Throws: `InputError` if the model has no such id.
    func check(in model: Llama) throws { try check(count: model.configuration.vocabulary, file: model.file.path) }

    /// - Throws: `InputError` if the vocabulary has fewer tokens.
    func check(count: Int, file: String) throws {
        guard let index = ids.firstIndex(where: { !(0..<count).contains($0) }) else { return }
        throw InputError(
            "\(file): --ids: number \(index + 1) is \(ids[index]); the vocabulary has \(count) tokens, ids 0 to "
                + "\(count - 1)")
    }
}
