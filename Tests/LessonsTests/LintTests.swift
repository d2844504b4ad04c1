import Lessons
import TestSupport
import Testing

/// Lessons with one fault each, which the lint must name.
@Suite struct LintTests {
    private func lint(_ text: String, models: Int) async throws -> LessonLint {
        var lint = LessonLint(try Samples.course(text))
        let subject = try await Samples.stories.value.subject
        for _ in 0..<models {
            lint.check(subject, run: { line, _ in line.contains("fail") ? "fails" : nil }, out: { "out" })
        }
        lint.finish()
        return lint
    }

    private func problems(_ text: String) async throws -> [String] {
        try await lint(text, models: 2).problems.map(\.says)
    }

    @Test(arguments: [1, 2]) func aSoundLessonPasses(models: Int) async throws {
        let lint = try await lint(Samples.text, models: models)
        #expect(lint.problems.isEmpty && lint.questionsGuessed == 0)
    }

    @Test(arguments: [
        ("minutes: 5", "minutes: 60", "expected 5 to 10"),
        ("hints: [where, \"rms(x)\",", "hints: [", "1 hints"),
        ("yours: quipu show", "yours: ls", "no quipu command"),
        ("answer: rms(x)", "answer: 12.5", "the file holds its answer"),
        ("tolerance: 1%", "tolerance: 1000", "can be guessed: on 2 of 2 models"),
        ("The width is {{count(x)}}.", "The width is {{count(y)}}.", "nothing is called `y`"),
        ("quipu show TRACE 'embd[0:4,1]'", "quipu fail", "fails"),
        ("tolerance: 1%", "tolerance: sql('SELECT NULL')", "NULL"),
        ("The width is {{count(x)}}.", "{{? count(x) == 3}}It is small.{{/}}", "not true here: It is small."),
        ("The width is {{count(x)}}.", "{{? count(x)}}It is small.{{/}}", "is not for a number"),
    ])
    func faultsAreFound(part: String, fault: String, message: String) async throws {
        let text = Samples.text.replacing(part, with: fault, maxReplacements: 1)
        #expect(text != Samples.text)
        let found = try await problems(text)
        #expect(found.contains { $0.contains(message) }, "\(found)")
    }

    /// What is not true of a model is not said, or something else is.
    @Test(arguments: [
        ("A {{? 1 == 1}}b {{? 1 == 2}}c{{:}}d {{1 + 1}}{{/}}{{/}} e", "A b d 2 e"),
        ("A {{? 1 == 2}}b{{/}}c", "A c"), ("{{? 1 == 1}}b{{:}}c{{/}}", "b"),
    ])
    func claimsAreSaidWhereTheyHold(text: String, said: String) async throws {
        let evaluator = Evaluator(try await Samples.stories.value.subject)
        #expect(try Template(text).filled(evaluator) == said)
    }

    @Test(arguments: ["{{? 1 == 1}}b", "b{{/}}", "{{? 1 == 1}}b{{:}}c", "{{:}}", "{{? }}b{{/}}", "{{? 1 == 1}b{{/}}"])
    func claimsMustBeClosed(text: String) {
        #expect(throws: QueryProblem.self) { try Template(text) }
    }

    /// On one model it may be chance, as two layers are on one whose lesson says "two".
    @Test func answersInTheTextAreFound() async throws {
        let text = Samples.text.replacing("answer: rms(x)", with: "answer: count(x)").replacing(
            "How large?", with: "How many of 64 ?")
        #expect(try await problems(text).contains { $0.contains("is accepted: '64'") })
        let one = try await lint(text, models: 1)
        #expect(one.questionsGuessed == 1 && !one.problems.contains { $0.says.contains("guessed") })
    }

    /// Without `model` there is nothing that the lesson could be about where something is missing.
    @Test func needsStandBesideAModel() throws {
        let text = Samples.text.replacing("minutes: 5", with: "minutes: 5\nneeds: [llama]")
        let error = try #require(throws: LessonError.self) { try Samples.course(text) }
        #expect("\(error)".contains("needs") && "\(error)".contains("expected `model` beside it"))
        let named = text.replacing("needs:", with: "model: MICRO\nneeds:")
        #expect(try Samples.course(named).lessons[0].needs == ["llama"])
    }
}
