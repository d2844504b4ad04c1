import Foundation
import Yams

/// Reads a lesson: a YAML head between lines of `---`, then Markdown. A heading `##` begins a step; a fence `run` holds
/// commands, a fence `question` the YAML of a question, a fence `predict` that of a guess.
struct LessonParser {
    let file: String
    let number: Int
    private let shared: [String: Query]

    private struct Head: Decodable {
        let id, title, idea: String
        let minutes: Int
        let aliases: [String]?
        let model, always: String?
        let needs: [String]?
        let names: [String: String]?

        private enum CodingKeys: String, CodingKey, CaseIterable {
            case id, title, idea, minutes, aliases, model, always, needs
            case names = "let"
        }
        static let keys = CodingKeys.allCases.map(\.rawValue)
    }

    /// - Parameter shared: the definitions of the course.
    init(file: String, number: Int, shared: [String: Query]) {
        (self.file, self.number, self.shared) = (file, number, shared)
    }

    func parse(_ text: String) throws -> Lesson {
        let pieces = text.split(separator: "---\n", maxSplits: 2, omittingEmptySubsequences: false)
        guard pieces.count == 3, pieces[0].isEmpty else {
            throw fault("the head", "expected YAML between two lines of ---")
        }
        let head: Head = try YAMLSource.decode(String(pieces[1]), keys: Head.keys) { fault("the head", $0) }
        if head.needs != nil, head.model == nil {
            throw fault("needs", "expected `model` beside it: what the lesson is about where something is missing")
        }
        let own = try QuestionParser.attempt({ fault("let", $0) }) { () throws(QueryProblem) in
            try Definitions.parsed(head.names ?? [:])
        }
        return Lesson(
            id: head.id, aliases: head.aliases ?? [], number: number, title: head.title, idea: head.idea,
            minutes: head.minutes, model: head.model ?? head.always, needs: head.needs ?? [],
            isAboutIt: head.always != nil,
            definitions: shared.merging(own) { $1 },
            steps: try steps(String(pieces[2])), file: file)
    }

    private func steps(_ body: String) throws -> [Lesson.Step] {
        var steps: [(title: String, lines: [String])] = []
        var isFenced = false
        for line in body.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            let line = String(Substring(line))
            if line.hasPrefix("```") { isFenced.toggle() }
            if line.hasPrefix("## "), !isFenced {
                steps.append((String(line.dropFirst(3)), []))
            } else if !steps.isEmpty {
                steps[steps.count - 1].lines.append(line)
            } else if !line.allSatisfy(\.isWhitespace) {
                throw fault("before the first step", "expected a heading ##, found '\(line)'")
            }
        }
        guard !steps.isEmpty else { throw fault("the body", "expected a step, which begins with ##") }
        return try steps.map { Lesson.Step(title: $0.title, passages: try passages($0.lines, step: $0.title)) }
    }

    private func passages(_ lines: [String], step: String) throws -> [Lesson.Passage] {
        var (passages, prose, rest) = ([Lesson.Passage](), [String](), lines[...])
        func flush() throws {
            let text = prose.joined(separator: "\n").trimmed
            if !text.isEmpty { passages.append(.prose(try template(text, step))) }
            prose = []
        }
        while let line = rest.popFirst() {
            guard ["```run", "```question", "```predict"].contains(line) else {
                prose.append(line)
                continue
            }
            try flush()
            let inside = rest.prefix { $0 != "```" }
            guard inside.endIndex < rest.endIndex else { throw fault(step, "a fence \(line) is not closed") }
            rest = rest[(inside.endIndex + 1)...]
            if line == "```run" {
                passages.append(.commands(try inside.filter { !$0.isEmpty }.map { try command($0, step) }))
            } else if line == "```predict" {
                passages.append(.prediction(try prediction(inside.joined(separator: "\n"), step)))
            } else {
                let parser = QuestionParser(part: step) { fault($0, $1) }
                passages.append(.question(try parser.parse(inside.joined(separator: "\n"))))
            }
        }
        try flush()
        guard passages.filter({ if case .question = $0 { true } else { false } }).count <= 1 else {
            throw fault(step, "a step asks one question at most")
        }
        return passages
    }

    private struct Prediction: Decodable {
        let id, ask, answer: String
        static let keys = ["id", "ask", "answer"]
    }

    private func prediction(_ text: String, _ step: String) throws -> Lesson.Prediction {
        let source: Prediction = try YAMLSource.decode(text, keys: Prediction.keys) {
            fault("a prediction of '\(step)'", $0)
        }
        return Lesson.Prediction(
            id: source.id, ask: try template(source.ask.trimmed, step),
            answer: try template(source.answer.trimmed, step))
    }

    private func command(_ line: String, _ step: String) throws -> Template {
        guard line.hasPrefix("quipu ") else { throw fault(step, "expected `quipu …`, found '\(line)'") }
        return try template(String(line.dropFirst(6)), step)
    }

    private func template(_ text: String, _ step: String) throws -> Template {
        try QuestionParser.attempt({ fault(step, $0) }) { () throws(QueryProblem) in try Template(text) }
    }

    private func fault(_ part: String, _ reason: String) -> LessonError {
        .format(file: file, part: part, reason: reason)
    }
}

/// Names and the queries they stand for.
enum Definitions {
    static func parsed(_ texts: [String: String]) throws(QueryProblem) -> [String: Query] {
        var definitions: [String: Query] = [:]
        for (name, text) in texts { definitions[name] = try Query(text) }
        return definitions
    }
}

extension String {
    /// Without spaces and empty lines at its ends. Foundation's would copy each text twice: lessons have hundreds.
    var trimmed: String {
        let start = drop(while: \.isWhitespace)
        guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(start[...last])
    }
}

/// YAML of which every key is known.
enum YAMLSource {
    /// To make one takes longer than to decode a question, for it looks through the environment. It keeps nothing of what
    /// it decodes.
    private nonisolated(unsafe) static let decoder = YAMLDecoder()

    static func decode<Content: Decodable>(
        _ text: String, keys: [String], fault: (String) -> LessonError
    ) throws -> Content {
        do {
            // Without looking at each word for what it may mean: its reader knows what it wants.
            guard let node = try Yams.compose(yaml: text, .basic, .default, .utf8) else {
                throw fault("there is nothing in it")
            }
            for case let key? in (node.mapping ?? [:]).keys.map(\.string) where !keys.contains(key) {
                throw fault("there is no key '\(key)'; there are \(keys.joined(separator: ", "))")
            }
            return try decoder.decode(Content.self, from: node)
        } catch let error as LessonError {
            throw error
        } catch let error as DecodingError {
            throw fault(words(error))
        } catch {
            throw fault("\(error)")
        }
    }

    private static func words(_ error: DecodingError) -> String {
        switch error {
        case .keyNotFound(let key, let context):
            "the key '\((context.codingPath + [key]).map(\.stringValue).joined(separator: "."))' is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            context.codingPath.map(\.stringValue).joined(separator: ".") + ": " + context.debugDescription
        @unknown default: "\(error)"
        }
    }
}
