import Lessons
import TestSupport
import Testing

/// Lessons with one fault each, which the lint must name.
@Suite struct LintTests {
    private func problems(_ text: String) async throws -> [String] {
        var lint = LessonLint(try Samples.course(text))
        lint.check(
            try await Samples.stories.value.subject, run: { line, _ in line.contains("fail") ? "fails" : nil },
            out: { "out" })
        lint.finish()
        return lint.problems.map(\.says)
    }

    @Test func aSoundLessonPasses() async throws { #expect(try await problems(Samples.text) == []) }

    @Test(arguments: [
        ("minutes: 5", "minutes: 60", "expected 5 to 10"),
        ("hints: [where, \"rms(x)\",", "hints: [", "1 hints"),
        ("yours: quipu show", "yours: ls", "no quipu command"),
        ("answer: rms(x)", "answer: 12.5", "the file holds its answer"),
        ("tolerance: 1%", "tolerance: 1000", "zero, '0', is accepted"),
        ("The width is {{count(x)}}.", "The width is {{count(y)}}.", "nothing is called `y`"),
        ("quipu show TRACE 'embd[0:4,1]'", "quipu fail", "fails"),
        ("answer: mean(x * x)", "answer: rms(x)", "on no model is this mistake told"),
        ("tolerance: 1%", "tolerance: sql('SELECT NULL')", "NULL"),
    ])
    func faultsAreFound(part: String, fault: String, message: String) async throws {
        let text = Samples.text.replacing(part, with: fault, maxReplacements: 1)
        #expect(text != Samples.text)
        let found = try await problems(text)
        #expect(found.contains { $0.contains(message) }, "\(found)")
    }

    @Test func answersInTheTextAreFound() async throws {
        let text = Samples.text.replacing("answer: rms(x)", with: "answer: count(x)").replacing(
            "How large?", with: "How many of 64 ?")
        #expect(try await problems(text).contains { $0.contains("'64', is accepted") })
    }
}
