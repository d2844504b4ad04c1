/// Reads the YAML of a question.
struct QuestionParser {
    private let step: String
    private let fault: (String, String) -> LessonError

    private struct Source: Decodable {
        struct Sentence: Decodable { let text, when: String; let says: String? }
        struct Mistake: Decodable { let says, answer: String }
        struct FollowUp: Decodable {
            let ask, answer: String
            let tolerance, unit: String?
            let mistakes: [Mistake]?
        }
        let id, ask: String
        let kind, answer, among, tolerance, unit, holds, ranks: String?
        let sentences: [Sentence]?
        let mistakes: [Mistake]?
        let then: FollowUp?
        let solution, aliases: [String]?
        let hints: [String]
        let derivation, why, yours: String

        static let keys = [
            "id", "ask", "kind", "answer", "among", "tolerance", "unit", "holds", "sentences", "mistakes", "then",
            "solution", "aliases", "hints", "ranks", "derivation", "why", "yours",
        ]
    }

    init(part: String, fault: @escaping (String, String) -> LessonError) { (step, self.fault) = (part, fault) }

    func parse(_ text: String) throws -> Question {
        let source: Source = try YAMLSource.decode(text, keys: Source.keys) { fault("a question of '\(step)'", $0) }
        let part = "question '\(source.id)'"
        return try Self.attempt({ fault(part, $0) }) { () throws(QueryProblem) in
            var hints: [Template] = []
            for hint in source.hints { hints.append(try template(hint)) }
            let mistakes = try mistakes(source.mistakes)
            return Question(
                id: source.id, aliases: source.aliases ?? [], kind: try kind(source, mistakes),
                ask: try template(source.ask), mistakes: mistakes, then: try followUp(source.then), hints: hints,
                derivation: try template(source.derivation), why: try template(source.why),
                yours: try template(source.yours))
        }
    }

    private func kind(_ source: Source, _ mistakes: [Question.Mistake]) throws(QueryProblem) -> Question.Kind {
        func needed(_ text: String?, _ key: String) throws(QueryProblem) -> Query {
            guard let text else { throw .syntax(text: source.id, at: 0, expected: "the key '\(key)'") }
            return try Query(text)
        }
        switch source.kind ?? "number" {
        case "number":
            return .number(
                Question.NumberAnswer(
                    answer: try needed(source.answer, "answer"), tolerance: try Tolerance(source.tolerance ?? "1%"),
                    unit: source.unit, mistakes: mistakes))
        case "choice":
            guard let sentences = source.sentences else {
                return .choice(answer: try needed(source.answer, "answer"), among: try needed(source.among, "among"))
            }
            var parsed: [Question.Sentence] = []
            for sentence in sentences {
                let says = sentence.says == nil ? nil : try template(sentence.says!)
                parsed.append(.init(text: try template(sentence.text), when: try Query(sentence.when), says: says))
            }
            return .sentences(parsed)
        case "token":
            return .token(
                try needed(source.answer, "answer"), ranks: source.ranks == nil ? nil : try Query(source.ranks!))
        case "address": return .address(try needed(source.answer, "answer"))
        case "truth": return .truth(try needed(source.answer, "answer"))
        case "change":
            var solution: [Template] = []
            for line in source.solution ?? [] { solution.append(try template(line)) }
            return .change(holds: try needed(source.holds, "holds"), solution: solution)
        case let other:
            throw .syntax(text: other, at: 0, expected: "number, choice, token, address, truth or change")
        }
    }

    private func followUp(_ source: Source.FollowUp?) throws(QueryProblem) -> Question.FollowUp? {
        guard let source else { return nil }
        return Question.FollowUp(
            ask: try template(source.ask),
            number: .init(
                answer: try Query(source.answer), tolerance: try Tolerance(source.tolerance ?? "1%"),
                unit: source.unit, mistakes: try mistakes(source.mistakes)))
    }

    private func mistakes(_ sources: [Source.Mistake]?) throws(QueryProblem) -> [Question.Mistake] {
        var mistakes: [Question.Mistake] = []
        for source in sources ?? [] {
            mistakes.append(.init(says: try template(source.says), answer: try Query(source.answer)))
        }
        return mistakes
    }

    private func template(_ text: String) throws(QueryProblem) -> Template {
        try Template(text.trimmed)
    }

    /// Words a query's problem as a lesson's.
    static func attempt<Result>(
        _ fault: (String) -> LessonError, _ body: () throws(QueryProblem) -> Result
    ) throws(LessonError) -> Result {
        do { return try body() } catch { throw fault("\(error)") }
    }
}
