import Foundation

/// One question on one model: right answers must pass, all others fail, mistakes must be named.
struct QuestionLint {
    let lesson: Lesson
    let question: Question
    let subject: Subject
    /// The lesson's `plainNumbers`, found once for all its questions.
    let plainNumbers: Set<String>

    private(set) var problems: [String] = []
    /// Indices of the mistakes that were named.
    private(set) var named: Set<Int> = []
    /// Zero and numbers of the lesson's text that are accepted.
    private(set) var guesses: [String] = []
    private(set) var answersChecked = 0
    private(set) var slowest: Duration = .zero

    init(lesson: Lesson, question: Question, subject: Subject, plainNumbers: Set<String>) {
        (self.lesson, self.question, self.subject) = (lesson, question, subject)
        self.plainNumbers = plainNumbers
    }

    mutating func run(_ run: LessonLint.Runner, out: () -> String) {
        do {
            try checkTexts()
            try checkYours(run)
            if case .change(_, let solution) = question.kind {
                try checkChange(solution, run, out())
            } else {
                try checkAnswers()
            }
        } catch {
            problems.append("\(error)")
        }
    }

    private var evaluator: Evaluator { Evaluator(subject, definitions: lesson.definitions) }

    private func checkTexts() throws {
        let evaluator = evaluator
        for text in question.hints + [question.ask, question.derivation, question.why] {
            _ = try text.filled(evaluator)
        }
        for mistake in question.allMistakes { _ = try mistake.says.filled(evaluator) }
    }

    /// The command for one's own model must run on this one.
    private mutating func checkYours(_ run: LessonLint.Runner) throws {
        let line = try question.yours.filled(evaluator)
        if let fault = try run(String(line.dropFirst("quipu ".count)), nil) {
            problems.append("`yours`, \(line): \(fault)")
        }
    }

    /// Grades as a learner's answer is graded, from nothing: with a new evaluator, and timed.
    private mutating func verdict(_ answer: String) throws -> Verdict {
        let start = LessonLint.processorTime
        let verdict = try Grader(evaluator, seed: "lint").grade(answer, question)
        let time = LessonLint.processorTime - start
        answersChecked += 1
        slowest = max(slowest, time)
        if time > LessonLint.limit { problems.append("checking '\(answer)' took \(time)") }
        return verdict
    }

    private mutating func expect(_ answer: String, _ outcome: Verdict.Outcome, _ what: String) throws {
        let found = try verdict(answer).outcome
        if outcome == .right, found != .right { problems.append("\(what), '\(answer)', is not accepted") }
        if outcome != .right, found == .right { problems.append("\(what), '\(answer)', is accepted") }
    }

    // MARK: kinds

    private mutating func checkAnswers() throws {
        try expect("", .wrong, "a blank answer")
        let (evaluator, grader) = (evaluator, Grader(evaluator, seed: "lint"))
        let follow =
            try question.then.map { " " + Self.digits(try evaluator.value($0.number.answer).number(for: "answer")) }
            ?? ""
        switch question.kind {
        case .number(let number):
            try checkNumber(number, prefix: "", from: 0)
        case .truth(let query):
            let truth = try evaluator.value(query).truth(for: "truth")
            try expect("\(truth)", .wrong, "the truth without its number")
            try expect("\(!truth)" + follow, .wrong, "the wrong truth")
            try checkNumber(question.then!.number, prefix: "\(truth) ", from: question.mistakes.count)
        case .choice, .sentences:
            let choices = try grader.choices(question)
            if choices.count < 2 { problems.append("there is nothing to choose: \(choices.count) choices") }
            if Set(choices).count < choices.count { problems.append("two choices are the same") }
            try checkChoices(choices.count, follow)
        case .token(let query, let ranks):
            if let ranks { _ = try evaluator.value(ranks).numbers(for: "ranks") }
            try expect(try evaluator.value(query).plain, .right, "the right token")
            for (mistakeIndex, mistake) in question.mistakes.enumerated() {
                note(try verdict(try evaluator.value(mistake.answer).plain), mistakeIndex)
            }
        case .address(let query):
            try expect(try evaluator.value(query).plain, .right, "the right address")
            for (mistakeIndex, mistake) in question.mistakes.enumerated() {
                note(try verdict(try evaluator.value(mistake.answer).plain), mistakeIndex)
            }
        case .change: break
        }
    }

    private mutating func note(_ verdict: Verdict, _ mistakeIndex: Int) {
        if verdict.outcome == .wrong, verdict.isKnownMistake { named.insert(mistakeIndex) }
    }

    private mutating func checkNumber(_ number: Question.NumberAnswer, prefix: String, from first: Int) throws {
        let evaluator = evaluator
        let answer = try evaluator.value(number.answer).number(for: "answer")
        guard answer.isFinite else { return problems.append("the answer is \(answer)") }
        let width = try number.tolerance.width(around: answer, evaluator)
        try expect(prefix + Self.digits(answer), .right, "the right answer")
        for guess in plainNumbers.union(["0"]).map({ prefix + $0 }) where try verdict(guess).outcome == .right {
            guesses.append(guess)
        }
        for (mistakeIndex, mistake) in number.mistakes.enumerated() {
            guard let wrong = try? evaluator.value(mistake.answer).number(for: "mistake"), wrong.isFinite,
                abs(wrong - answer) > 3 * width
            else { continue }
            let verdict = try verdict(prefix + Self.digits(wrong))
            if verdict.outcome == .right {
                problems.append("the mistake \(wrong) is accepted for \(answer)")
            } else if verdict.says == (try mistake.says.filled(evaluator)) {
                named.insert(first + mistakeIndex)
            }
        }
    }

    /// Exactly one of the letters may pass.
    private mutating func checkChoices(_ count: Int, _ follow: String) throws {
        var right = 0
        for choice in 0..<count {
            let verdict = try verdict(String(UnicodeScalar(UInt8(97 + choice))) + follow)
            if verdict.outcome == .right { right += 1 }
        }
        if right != 1 { problems.append("\(right) of \(count) choices are right") }
        // The order of choices is the learner's, so mistakes are found by their text.
        let texts = try Grader(evaluator, seed: "lint").choices(question)
        for (mistakeIndex, mistake) in question.mistakes.enumerated() {
            guard let wrong = try? evaluator.value(mistake.answer).plain, let index = texts.firstIndex(of: wrong)
            else { continue }
            note(try verdict(String(UnicodeScalar(UInt8(97 + index))) + follow), mistakeIndex)
        }
        if let then = question.then, right == 1 {
            let letters = (0..<count).map { String(UnicodeScalar(UInt8(97 + $0))) }
            if let letter = try letters.first(where: { try verdict($0 + follow).outcome == .right }) {
                try checkNumber(then.number, prefix: letter + " ", from: question.mistakes.count)
            }
        }
    }

    /// The solution must pass; what was there before it must not.
    private mutating func checkChange(_ solution: [Template], _ run: LessonLint.Runner, _ out: String) throws {
        guard !solution.isEmpty else { return problems.append("has no `solution`") }
        let evaluator = evaluator
        for line in solution {
            let line = try line.filled(evaluator)
            if let fault = try run(String(line.dropFirst("quipu ".count)), out) {
                return problems.append("the solution, \(line): \(fault)")
            }
        }
        func passes(_ made: Subject) throws -> Bool {
            let grader = Grader(Evaluator(subject, definitions: lesson.definitions, made: made), seed: "lint")
            return try grader.grade("", question).outcome == .right
        }
        let handle = FileHandle(forReadingAtPath: out)
        let isModel = try handle?.read(upToCount: 4) == Data("GGUF".utf8)
        let start = LessonLint.processorTime
        if try !passes(subject.made(at: out, isModel: isModel)) {
            problems.append("the solution does not pass")
        }
        slowest = max(slowest, LessonLint.processorTime - start)
        answersChecked += 2
        // What cannot be asked of the unchanged trace does not hold for it either.
        if (try? passes(subject)) == true { problems.append("holds without any change") }
        // Mistakes of changes are states that would have to be made one by one.
        named.formUnion(question.mistakes.indices)
    }

    /// As many digits as tell the number from its neighbours.
    private static func digits(_ number: Double) -> String { Value.plain(number) }
}
