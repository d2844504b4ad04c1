import GGUF
import Jinja

/// One message of a conversation.
public struct ChatMessage: Sendable, Equatable {
    /// `system`, `user` or `assistant`; a template may know others.
    public let role: String
    /// UTF-8; what is not is passed on as it is.
    public let content: [UInt8]

    public init(role: String, content: [UInt8]) { (self.role, self.content) = (role, content) }
    public init(role: String, _ text: String) { self.init(role: role, content: Array(text.utf8)) }
}

/// How a model wants a conversation to be written: the Jinja template of its file.
public struct ChatTemplate: Sendable {
    public static let key = "tokenizer.chat_template"

    /// The template as the file has it.
    public let source: String
    /// Other templates of the file, for tools for example, by their names.
    public let otherNames: [String]
    private let template: JinjaTemplate

    /// - Throws: `TokenizationError` if the file has no template, or one that cannot be read.
    public init(metadata: Metadata) throws(TokenizationError) {
        guard let value = metadata[Self.key] else { throw .noChatTemplate }
        guard let source = value.string else {
            throw .wrongType(key: Self.key, found: "of type \(value.type.name)", expected: "a string")
        }
        self.source = source
        otherNames = metadata.entries.map(\.key).filter { $0.hasPrefix(Self.key + ".") }
            .map { String($0.dropFirst(Self.key.count + 1)) }
        template = try Self.naming { try JinjaTemplate(source.storedBytes) }
    }

    /// Jinja's errors as those of a chat template; others it does not throw.
    private static func naming<Result>(_ body: () throws -> Result) throws(TokenizationError) -> Result {
        do { return try body() } catch let error as JinjaError {
            throw .chatTemplate(error)
        } catch {
            preconditionFailure("templates throw JinjaError, not \(error)")
        }
    }

    /// What the template asks for.
    public var needs: JinjaNeeds { template.needs }

    /// The text of a conversation, with the beginning of an answer.
    ///
    /// The template gets what Hugging Face's `apply_chat_template` gives it: `messages`, `tools` and `documents` (none),
    /// `add_generation_prompt`, and the texts of the vocabulary's special tokens; without one, an empty text.
    ///
    /// - Throws: `TokenizationError` with what the template stopped at.
    public func text(
        of messages: [ChatMessage], vocabulary: Vocabulary, now: JinjaMoment, beginsAnswer: Bool = true
    ) throws(TokenizationError) -> [UInt8] {
        func token(_ id: Int?) -> JinjaData { .bytes(id.map { vocabulary.piece($0) } ?? []) }
        let list = messages.map { JinjaData.object(["role": .text($0.role), "content": .bytes($0.content)]) }
        return try Self.naming {
            try template.render(
                [
                    "messages": .list(list), "tools": .none, "documents": .none,
                    "add_generation_prompt": .bool(beginsAnswer), "bos_token": token(vocabulary.bos),
                    "eos_token": token(vocabulary.eos), "unk_token": token(vocabulary.unknown),
                ], now: now)
        }
    }
}

extension Tokenizer {
    /// The ids of a conversation as a template wrote it.
    ///
    /// Where the vocabulary adds a beginning and the template wrote one too, there is one in the end, as in llama.cpp; the
    /// same goes for the end.
    public func encode(chat text: [UInt8], steps: Bool = false) -> (ids: [Int], steps: [TokenizationStep]?) {
        var text = text[...]
        if vocabulary.addsBOS, let bos = vocabulary.bos {
            let piece = vocabulary.piece(bos)
            if text.starts(with: piece) { text = text.dropFirst(piece.count) }
        }
        if vocabulary.addsEOS, let eos = vocabulary.eos {
            let piece = vocabulary.piece(eos)
            if text.suffix(piece.count).elementsEqual(piece) { text = text.dropLast(piece.count) }
        }
        guard steps else { return (encode(bytes: Array(text)), nil) }
        let result = encodeWithSteps(bytes: Array(text))
        return (result.ids, result.steps)
    }

    /// The control tokens that a text holds, which a model takes for its own: in a question, they can end a turn.
    public func controlTokens(in text: [UInt8]) -> [Int] {
        encode(bytes: text, addSpecial: false).filter { vocabulary.kind($0) == .control }
    }
}

extension Vocabulary {
    /// What is said of a prompt that begins twice, or ends twice; `nil` if it does not.
    public func doubled(in ids: [Int]) -> String? {
        if addsBOS, let bos, ids.starts(with: [bos, bos]) {
            return "the prompt begins with \(text(bos)), and the model adds one by itself: now it begins with two, "
                + "which it was not trained on. Leave it out of the prompt."
        }
        if addsEOS, let eos, ids.suffix(2).elementsEqual([eos, eos]) {
            return "the prompt ends with \(text(eos)), and the model adds one by itself: now it ends with two. "
                + "Leave it out of the prompt."
        }
        return nil
    }

    /// A part of a text: special tokens, each on its own, and what is between them.
    public struct Segment: Sendable, Equatable {
        public let text: String
        public let isSpecial: Bool
    }

    /// The text of ids, apart where special tokens are.
    public func segments(of ids: [Int]) -> [Segment] {
        var segments: [Segment] = []
        var pending: [UInt8] = []
        func finish() {
            if !pending.isEmpty {
                segments.append(Segment(text: String(decoding: pending, as: UTF8.self), isSpecial: false))
            }
            pending = []
        }
        for id in ids {
            switch kind(id) {
            case .control, .unknown, .userDefined:
                finish()
                segments.append(Segment(text: String(decoding: piece(id), as: UTF8.self), isSpecial: true))
            default: pending += piece(id)
            }
        }
        finish()
        return segments
    }
}
