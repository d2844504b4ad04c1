import ArgumentParser
import Foundation
import LlamaModel

/// What a model is given to read: text, or token ids where there is no tokenizer or another one is wanted.
struct PromptOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: "The text. Special tokens such as <|im_start|> are recognised.")
    var prompt: String?
    @Option(
        help: ArgumentHelp(
            """
            Token ids in place of --prompt, taken as they are. `tokenize --json` prints them; brackets may stay. \
            (default: none)
            """,
            valueName: "1,2,3"))
    var ids: TokenIds?

    var isGiven: Bool { prompt != nil || ids != nil }

    func validate() throws {
        if prompt != nil, ids != nil { throw ValidationError("give --prompt or --ids, not both") }
    }

    /// - Throws: `LlamaError` if there is text and no tokenizer for it, or no such id.
    func read(for model: Llama) throws -> Prompt {
        guard let ids else { return Prompt(text: prompt ?? "", ids: try model.tokenizer.encode(prompt ?? "")) }
        try ids.check(in: model)
        let vocabulary = model.vocabulary
        // The text that gives these ids, as far as one does: the beginning is added to a text, not part of it.
        let hasAddedBOS = vocabulary.addsBOS && ids.ids.first == vocabulary.bos
        return Prompt(text: vocabulary.decode(Array(ids.ids.dropFirst(hasAddedBOS ? 1 : 0))), ids: ids.ids)
    }
}

/// A prompt as text and as ids.
struct Prompt {
    let text: String
    let ids: [Int]
}

/// Ids as users write them: `1,2,3`, `1 2 3`, `[1, 2, 3]`.
struct TokenIds: ExpressibleByArgument {
    let ids: [Int]

    init?(argument: String) {
        var text = argument.trimmingCharacters(in: .whitespacesAndNewlines)[...]
        if text.first == "[", text.last == "]" { text = text.dropFirst().dropLast() }
        let parts = text.split { $0 == "," || $0.isWhitespace }
        let ids = parts.compactMap { Int($0) }
        guard ids.count == parts.count, !ids.isEmpty else { return nil }
        self.ids = ids
    }

    /// - Throws: `InputError` if the model has no such id.
    func check(in model: Llama) throws {
        let count = model.configuration.vocabulary
        guard let index = ids.firstIndex(where: { !(0..<count).contains($0) }) else { return }
        throw InputError(
            "\(model.file.path): --ids: number \(index + 1) is \(ids[index]); the vocabulary has \(count) tokens, ids 0 to "
                + "\(count - 1)")
    }
}
