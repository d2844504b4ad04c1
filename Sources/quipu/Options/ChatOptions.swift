import ArgumentParser
import Foundation
import GGUF
import Jinja
import LlamaModel
import Tokenization

/// A conversation, which the model's own template writes as a text.
struct ChatOptions: ParsableArguments {
    @Option(
        help: """
            A question to the model, written as its chat template wants it; - is standard input. The template is a program \
            out of the file: it runs with bounded work, and reaches nothing but the conversation. (default: none)
            """)
    var chat: String?
    @Option(help: "With --chat: what the model is told first. (default: nothing, or what the template says)")
    var system: String?
    @Option(
        help: ArgumentHelp(
            """
            With --chat: earlier turns, the oldest first; by turns what the user said and what the model answered, \
            each with a --turn of its own. (default: none)
            """, valueName: "text"))
    var turn: [String] = []

    var isGiven: Bool { chat != nil }

    func validate() throws {
        if chat == nil, system != nil || !turn.isEmpty {
            throw ValidationError("\(system != nil ? "--system" : "--turn") goes with --chat, the question")
        }
        if turn.count % 2 == 1 {
            throw ValidationError(
                "give --turn in pairs, what the user said and what the model answered; the question itself is --chat")
        }
    }

    /// The messages in order. An empty --system is a message too: templates may have one of their own for none.
    func messages() throws -> [ChatMessage] {
        let earlier = turn.enumerated().map { ChatMessage(role: $0 % 2 == 0 ? "user" : "assistant", $1) }
        let question = chat == "-" ? try InputFile.bytes("-") : Array((chat ?? "").utf8)
        return (system.map { [ChatMessage(role: "system", $0)] } ?? []) + earlier
            + [ChatMessage(role: "user", content: question)]
    }

    /// The conversation as the template of a file writes it.
    ///
    /// Special tokens in what people typed are said on standard error.
    ///
    /// - Throws: `InputError` that names the file, if it has no template, or one that cannot be rendered.
    func text(_ file: GGUFFile, _ tokenizer: Tokenizer) throws -> [UInt8] {
        try Self.text(of: try messages(), file, tokenizer)
    }

    private static func text(
        of messages: [ChatMessage], _ file: GGUFFile, _ tokenizer: Tokenizer
    ) throws -> [UInt8] {
        for message in messages {
            let tokens = Set(tokenizer.controlTokens(in: message.content)).sorted().map(
                tokenizer.vocabulary.displayPiece)
            guard !tokens.isEmpty else { continue }
            Terminal.complain(
                "quipu: warning: the text of the \(message.role) holds \(tokens.joined(separator: ", ")); the model cannot "
                    + "tell it from what its template writes.")
        }
        return try ModelArgument.naming(file) {
            let template = try ChatTemplate(metadata: file.metadata)
            return try template.text(of: messages, vocabulary: tokenizer.vocabulary, now: .current)
        }
    }

    func read(for model: Llama) throws -> Prompt { try Self.prompt(of: try messages(), for: model) }

    /// A conversation as the model's template writes it.
    static func prompt(of messages: [ChatMessage], for model: Llama) throws -> Prompt {
        let tokenizer = try model.tokenizer
        let text = try text(of: messages, model.file, tokenizer)
        return Prompt(
            text: String(storedBytes: text).showingBytes(), ids: tokenizer.encode(chat: text).ids, isConversation: true)
    }
}

extension JinjaMoment {
    /// What the clock on the wall shows.
    static var current: JinjaMoment {
        let parts = Calendar(identifier: .gregorian)
            .dateComponents([.year, .month, .day, .hour, .minute, .second], from: Date())
        return JinjaMoment(
            year: parts.year!, month: parts.month!, day: parts.day!, hour: parts.hour!, minute: parts.minute!,
            second: parts.second!)
    }
}
