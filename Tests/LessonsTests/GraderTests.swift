import Foundation
import Lessons
import TestSupport
import Testing

@Suite struct GraderTests {
    private func verdict(_ answer: String, _ yaml: String) async throws -> Verdict {
        let grader = Grader(Evaluator(try await Samples.stories.value.subject), seed: "test")
        return try grader.grade(answer, try Samples.question(yaml))
    }

    /// The width of stories260K is 64.
    private static let width = "answer: sql('SELECT n_embd FROM model')\ntolerance: exact"

    @Test(arguments: [
        "64", " 64 ", "0x40", "128/2", "6400 %", "64.0", "2 ^ 6", "6.4e1", "64 bytes", "h64", "6,400,000 / 100,000",
    ])
    func waysToWriteANumber(answer: String) async throws {
        #expect(try await verdict(answer, Self.width + "\nunit: bytes").outcome == .right)
    }

    @Test(arguments: ["", "many", "sql('SELECT 64')", "1/0", "64 64"])
    func whatIsNoNumber(answer: String) async throws {
        #expect(try await verdict(answer, Self.width).outcome == .unreadable)
    }

    @Test(arguments: [
        ("-64", "the sign"), ("65", "One too many"), ("63", "One too few"), ("0.015625", "upside down"),
        ("512", "in bits"), ("0.0625", "KiB"), ("32", "Half of it"), ("10", "too small"), ("200", "too large"),
    ])
    func mistakesAreNamed(answer: String, says: String) async throws {
        let yaml =
            Self.width + "\nunit: bytes\nmistakes: [{says: Half of it., answer: sql('SELECT n_embd / 2 FROM model')}]"
        let found = try await verdict(answer, yaml)
        #expect(found.outcome == .wrong && found.says?.contains(says) == true, "\(found)")
        #expect(found.isKnownMistake == !says.hasPrefix("too"))
    }

    @Test(arguments: [("64.6", true), ("63.4", true), ("64.7", false), ("63.3", false)])
    func tolerance(answer: String, isRight: Bool) async throws {
        let found = try await verdict(answer, "answer: sql('SELECT n_embd FROM model')\ntolerance: 1%")
        #expect((found.outcome == .right) == isRight)
        #expect(isRight || found.says?.contains("Very close") == true)
    }

    /// Neither half of the answer may do by itself.
    @Test(arguments: [
        ("true 64", Verdict.Outcome.right), ("yes, 64", .right), ("true", .unreadable), ("64", .unreadable),
        ("false 64", .wrong), ("true 60", .wrong), ("false 60", .wrong),
    ])
    func truthNeedsItsNumber(answer: String, outcome: Verdict.Outcome) async throws {
        let yaml =
            "kind: truth\nanswer: sql('SELECT n_embd > 1 FROM model') == 1\nthen: {ask: n, \(Self.width.replacing("\n", with: ", "))}"
        #expect(try await verdict(answer, yaml).outcome == outcome)
    }

    @Test func exactlyOneChoiceIsRight() async throws {
        let yaml = "kind: choice\nanswer: sql('SELECT n_embd FROM model')\namong: \"[1, 2, 3, 4, 5]\""
        let question = try Samples.question(yaml)
        let grader = Grader(Evaluator(try await Samples.stories.value.subject), seed: "test")
        #expect(try grader.choices(question).count == 4)
        #expect(try grader.choices(question) == grader.choices(question))
        let outcomes = try ["a", "b", "c", "d"].map { try grader.grade($0, question).outcome }
        #expect(outcomes.count { $0 == .right } == 1)
        #expect(try grader.grade("e", question).outcome == .unreadable)
        #expect(try grader.grade("64", question).outcome == .right)
        #expect(Grader.areNumbers(try grader.choices(question)))
    }

    /// Choices that are numbers have no letters on a page; what is typed is the number.
    @Test func aNumberAmongChoicesIsAFirstPart() async throws {
        let yaml =
            "kind: choice\nanswer: sql('SELECT n_embd FROM model')\namong: \"[1, 2, 3]\"\nthen: {ask: n, answer: '7', tolerance: exact}"
        let question = try Samples.question(yaml)
        let grader = Grader(Evaluator(try await Samples.stories.value.subject), seed: "test")
        #expect(try grader.isFirstPart("64", question) && grader.isFirstPart("a", question))
        #expect(try !grader.isFirstPart("65", question) && !grader.isFirstPart("64 7", question))
        #expect(try grader.grade("64 7", question).outcome == .right)
        #expect(try grader.grade("64", question).says?.contains("then a number") == true)
    }

    @Test func aWrongSentenceSaysWhy() async throws {
        let yaml = """
            kind: choice
            sentences:
              - {text: wide, when: "sql('SELECT n_embd FROM model') == 64"}
              - {text: narrow, when: "sql('SELECT n_embd FROM model') == 1", says: "Count again."}
            """
        #expect(try await verdict("wide", yaml).outcome == .right)
        #expect(try await verdict("narrow", yaml) == verdict("narrow", yaml))
        #expect(try await verdict("narrow", yaml).says == "Count again.")
    }

    @Test func tokensByIdAndText() async throws {
        let yaml = "kind: token\nanswer: sql('SELECT token_id FROM token WHERE position = 1')"
        let subject = try await Samples.stories.value.subject
        let id = try Evaluator(subject).value(try Query("sql('SELECT token_id FROM token WHERE position = 1')")).plain
        let piece = try Evaluator(subject).value(try Query("piece(\(id))")).plain
        for answer in [id, piece, "‹\(piece)›", piece.trimmingCharacters(in: .whitespaces)] {
            #expect(try await verdict(answer, yaml).outcome == .right, "\(answer)")
        }
        #expect(try await verdict("1", yaml).outcome == .wrong)
        #expect(try await verdict("", yaml).outcome == .unreadable)
        let ranked = try await verdict(id, yaml + "\nranks: trace('result_output')")
        #expect(ranked.outcome == .right && ranked.says?.contains(" is number ") == true)
        let wrong = try await verdict("1", yaml + "\nranks: trace('result_output')")
        #expect(
            wrong.says?.contains("with a probability of") == true
                && wrong.says?.hasSuffix("Which one is number 1?") == true)
    }

    /// Two spellings of one address are equal.
    @Test(arguments: [
        ("norm-0#1[3,2]", Verdict.Outcome.right), ("norm-0[3,2]", .right), ("'norm-0[3, 2,0]'", .right),
        ("norm-0[-61,2]", .right), ("norm-0#0[3,2]", .wrong), ("norm-0[2,3]", .wrong), ("nrm-0[3,2]", .unreadable),
        ("norm-0[99,2]", .unreadable),
    ])
    func addresses(answer: String, outcome: Verdict.Outcome) async throws {
        #expect(try await verdict(answer, "kind: address\nanswer: \"'norm-0[3,2]'\"").outcome == outcome)
    }

    @Test func changesAreCheckedByState() async throws {
        let traced = try await Samples.stories.value
        let question = try Samples.question(
            "kind: change\nholds: made.sql('SELECT n_layer FROM model') == sql('SELECT n_layer FROM model')")
        let made = Grader(Evaluator(traced.subject, made: traced.subject), seed: "test")
        #expect(try made.grade("", question).outcome == .right)
        #expect(throws: QueryProblem.nothingMade) {
            try Grader(Evaluator(traced.subject), seed: "test").grade("", question)
        }
    }
}
