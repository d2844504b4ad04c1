import GGUF
import Jinja
import Tokenization

/// The result of `inspect --template`.
public struct TemplateReport: Report {
    let file: String
    let template: String
    /// Names of other templates in the file.
    let otherTemplates: [String]
    /// Variables and functions that it reads and does not always set itself.
    let names: [String]
    let filters: [String]
    let tests: [String]
    /// Of these, what Quipu does not know.
    let unknown: [String]
    let example: Example

    struct Example: Encodable {
        let messages: [Message]
        /// What the template makes of them.
        @OrNull var text: String?
        /// What it stopped at.
        @OrNull var problem: String?
    }

    struct Message: Encodable {
        let role: String
        let content: String
    }

    private let marked: ChatPromptPage?

    private enum CodingKeys: CodingKey { case file, template, otherTemplates, names, filters, tests, unknown, example }

    public init(_ template: ChatTemplate, of file: GGUFFile, vocabulary: Vocabulary, now: JinjaMoment) {
        self.file = file.path
        self.template = template.source.showingBytes()
        otherTemplates = template.otherNames
        let needs = template.needs
        (names, filters, tests) = (needs.names.sorted(), needs.filters.sorted(), needs.tests.sorted())
        unknown = needs.unknown
        let turns = [
            ChatMessage(role: "user", "Hello"), ChatMessage(role: "assistant", "Hi there"),
            ChatMessage(role: "user", "How are you?"),
        ]
        let system = ChatMessage(role: "system", "You are a helpful assistant.")
        let first = Self.rendered([system] + turns, template, vocabulary, now)
        // Some models have no system; their templates say so, or stop.
        let second = first.text == nil ? Self.rendered(turns, template, vocabulary, now) : first
        let isFirst = first.text != nil || second.text == nil
        let chosen = isFirst ? first : second
        example = Example(
            messages: ((isFirst ? [system] : []) + turns).map {
                Message(role: $0.role, content: String(decoding: $0.content, as: UTF8.self))
            },
            text: chosen.text.map { String(storedBytes: $0).showingBytes() }, problem: first.problem)
        let tokenizer = try? Tokenizer(metadata: file.metadata)
        marked = chosen.text.flatMap { text in tokenizer.map { ChatPromptPage($0.encode(chat: text).ids, vocabulary) } }
    }

    private static func rendered(
        _ messages: [ChatMessage], _ template: ChatTemplate, _ vocabulary: Vocabulary, _ now: JinjaMoment
    ) -> (text: [UInt8]?, problem: String?) {
        do throws(TokenizationError) {
            return (try template.text(of: messages, vocabulary: vocabulary, now: now), nil)
        } catch {
            return (nil, error.description)
        }
    }

    public func page(_ style: Style) -> String {
        var lines = [style.bold(file.onOneLine), ""]
        let count = template.split(separator: "\n", omittingEmptySubsequences: false).count
        lines += [
            style.bold("The chat template, \(Numbers.count(count, "line")) of Jinja"), template.withoutControls, "",
        ]
        lines +=
            ("It is a program that whoever chats with this model runs. Quipu runs it with bounded steps, depth and "
            + "text, and it reaches nothing but the conversation.")
            .wrapped(to: style.width, indent: "")
        if !otherTemplates.isEmpty {
            lines += "Other templates in the file: \(otherTemplates.joined(separator: ", ").onOneLine)."
                .wrapped(to: style.width, indent: "")
        }
        lines += ["", style.bold("What it needs")]
        for (title, list) in [("variables", names), ("filters", filters), ("tests", tests), ("unknown", unknown)]
        where !list.isEmpty {
            lines += (title.padded(to: 11) + list.joined(separator: ", ").onOneLine)
                .wrapped(to: style.width, indent: String(repeating: " ", count: 11))
        }
        lines += ["", style.bold("An example")]
        lines += example.messages.map { "\($0.role.padded(to: 11))\($0.content)" }
        lines.append("")
        if let problem = example.problem {
            lines += (problem + (example.text == nil ? "" : " Without a system:")).onOneLine
                .wrapped(to: style.width, indent: "")
        }
        if let text = example.text { lines.append(marked?.marked(style) ?? text.withoutControls) }
        return lines.joined(separator: "\n")
    }
}
