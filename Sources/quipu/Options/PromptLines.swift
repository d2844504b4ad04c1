import Foundation
import GGUF
import LlamaModel
import Presentation
import Tokenization
import Tracing

/// A file of prompts, a line each: a JSON object with `prompt`, `ids` or `chat`, or only the text in quotes.
struct PromptLines {
    struct Line {
        /// From 1.
        let number: Int
        let prompt: Prompt
        /// What it is one of, where lines say that.
        let group: String?
        /// In words, where the line has one of its own.
        let metric: String?
    }

    /// What messages call the file.
    let name: String
    let lines: [Line]

    /// Keys of a line.
    private static let keys = ["prompt", "ids", "chat", "system", "group", "metric"]
    static let help = """
        A line is a JSON object with one of "prompt" (a text), "ids" (an array) and "chat" (a question, with "system" if \
        wanted), and where wanted "group" (a name) and "metric"; or only a text in quotes.
        """

    /// - Parameter takes: keys that lines may have beside the prompt.
    /// - Throws: `InputError` that names the line.
    init(path: String, for model: Llama, takes extra: Set<String> = ["group", "metric"]) throws {
        name = InputFile.name(path)
        let bytes = try InputFile.bytes(path)
        var lines: [Line] = []
        for (index, line) in bytes.split(separator: 10, omittingEmptySubsequences: false).enumerated() {
            // Nothing but spaces, tabs and the end of a line of Windows.
            guard line.contains(where: { ![9, 13, 32].contains($0) }) else { continue }
            lines.append(try Self.line(line, index + 1, of: name, model, extra))
        }
        guard !lines.isEmpty else {
            throw InputError("\(name): found no line, expected a prompt in each. \(Self.help)")
        }
        self.lines = lines
    }

    /// A complaint about a line.
    static func problem(_ name: String, _ number: Int, _ text: String) -> InputError {
        InputError("\(name): line \(number): \(text)")
    }

    private static func line(
        _ bytes: ArraySlice<UInt8>, _ number: Int, of name: String, _ model: Llama, _ extra: Set<String>
    ) throws -> Line {
        func refuse(_ text: String) -> InputError { problem(name, number, text) }
        let parsed: Any
        do {
            parsed = try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
        } catch {
            throw refuse("found what is no JSON, expected a JSON object or a text in quotes. \(help)")
        }
        if let text = parsed as? String { return try line(["prompt": text], refuse, number, model) }
        guard let object = parsed as? [String: Any] else {
            throw refuse("found JSON of another kind, expected an object or a text in quotes. \(help)")
        }
        let allowed = keys.filter { !["group", "metric"].contains($0) || extra.contains($0) }
        if let key = object.keys.sorted().first(where: { !allowed.contains($0) }) {
            throw refuse(
                "found the key \(key.debugDescription), expected " + allowed.joined(separator: ", ")
                    + ". Take it out, or correct it.")
        }
        return try line(object, refuse, number, model)
    }

    private static func line(
        _ object: [String: Any], _ refuse: (String) -> InputError, _ number: Int, _ model: Llama
    ) throws -> Line {
        func text(_ key: String) throws -> String? {
            guard let value = object[key], !(value is NSNull) else { return nil }
            guard let text = value as? String else { throw refuse("\"\(key)\" is no text, expected one in quotes.") }
            return text
        }
        let given = ["prompt", "ids", "chat"].filter { object[$0] != nil }
        guard given.count == 1 else {
            let found = given.isEmpty ? "none" : given.map { "\"\($0)\"" }.joined(separator: " and ")
            throw refuse("found \(found), expected one of \"prompt\", \"ids\" and \"chat\".")
        }
        if object["system"] != nil, given != ["chat"] { throw refuse("\"system\" goes with \"chat\", the question.") }
        let group = try (object["group"] as? NSNumber).map { "\($0)" } ?? text("group")
        let prompt: Prompt
        do {
            if given == ["ids"] {
                let ids = (object["ids"] as? [NSNumber])?.map(\.doubleValue) ?? []
                guard !ids.isEmpty, ids.allSatisfy({ $0 == $0.rounded() && abs($0) < 1e9 }) else {
                    throw refuse("\"ids\" is no array of token ids, expected one such as [1, 2, 3].")
                }
                prompt = try Prompt(ids: ids.map { Int($0) }, for: model)
            } else if let question = try text("chat") {
                let system = try text("system").map { [ChatMessage(role: "system", $0)] } ?? []
                prompt = try ChatOptions.prompt(of: system + [ChatMessage(role: "user", question)], for: model)
            } else {
                guard let words = try text("prompt") else {
                    throw refuse("\"\(given[0])\" is null, expected a text in quotes.")
                }
                prompt = try Prompt(bytes: Array(words.utf8), for: model)
            }
            guard !prompt.ids.isEmpty else { throw LlamaError.emptyPrompt }
        } catch let error as InputError {
            throw error.description.contains(": line \(number): ") ? error : refuse(error.description)
        } catch {
            throw refuse("\(error)")
        }
        return Line(number: number, prompt: prompt, group: group, metric: try text("metric"))
    }
}
