import Lessons

/// What `lesson lint` found.
public struct LessonLintReport: Report {
    public let lessons: Int
    public let steps: Int
    public let questions: Int
    public let mistakes: Int
    /// Sentences that carry a check, and how many evaluations of them were made.
    public let claims: Int
    public let claimsChecked: Int
    /// Values in the text that are queries.
    public let filledValues: Int
    /// Mistakes of lessons that were tried on one model, on which they give the right answer.
    public let mistakesNotTold: Int
    /// Questions that zero or a number of the text answers on a model, though not on most.
    public let questionsGuessed: Int
    public let models: [Model]
    public let answersChecked: Int
    public let slowestCheckNs: Int
    public let problems: [LessonLint.Problem]

    /// What can be learnt on a model.
    public struct Model: Encodable, Sendable {
        let path: String
        /// Lessons that hold on it, by id.
        let takes: [String]
        /// The others, with the first thing that does not hold.
        let refuses: [Refusal]

        struct Refusal: Encodable, Sendable {
            let lesson: String
            let why: String
        }

        init(path: String, lessons: [Lesson], problems: [LessonLint.Problem]) {
            self.path = path
            let own = Dictionary(grouping: problems.filter { $0.model == path }, by: \.lesson)
            takes = lessons.map(\.id).filter { own[$0] == nil }
            refuses = lessons.compactMap { lesson in
                own[lesson.id].map { Refusal(lesson: lesson.id, why: $0[0].says) }
            }
        }
    }

    /// - Parameter models: each with the lessons that were tried on it.
    public init(_ course: Course, _ lint: LessonLint, models: [(path: String, lessons: [Lesson])]) {
        lessons = course.lessons.count
        steps = course.lessons.reduce(0) { $0 + $1.steps.count }
        let questions = course.lessons.flatMap(\.questions)
        self.questions = questions.count
        mistakes = questions.reduce(0) { $0 + $1.mistakes.count + ($1.then?.number.mistakes.count ?? 0) }
        claims = course.lessons.reduce(0) { $0 + $1.claims }
        filledValues = course.lessons.reduce(0) { $0 + $1.filledValues }
        (claimsChecked, mistakesNotTold) = (lint.claimsChecked, lint.mistakesNotTold)
        questionsGuessed = lint.questionsGuessed
        self.models = models.map { Model(path: $0.path, lessons: $0.lessons, problems: lint.problems) }
        answersChecked = lint.answersChecked
        let (seconds, attoseconds) = lint.slowest.components
        slowestCheckNs = Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000)
        problems = lint.problems
    }

    public func page(_ style: Style) -> String {
        let times = claimsChecked == 1 ? "once" : "\(claimsChecked) times"
        var lines = [
            "\(Numbers.count(lessons, "lesson")), \(Numbers.count(steps, "step")), "
                + "\(Numbers.count(questions, "question")) with \(Numbers.count(mistakes, "known mistake"))",
            "\(Numbers.count(answersChecked, "answer")) checked on \(Numbers.count(models.count, "model")), "
                + "the slowest in \(Numbers.duration(nanoseconds: slowestCheckNs))",
            "\(Numbers.count(claims, "sentence")) with a check, evaluated \(times); "
                + "\(filledValues) values filled in",
        ]
        if mistakesNotTold > 0 {
            let gives = mistakesNotTold == 1 ? "gives" : "give"
            let text =
                "\(Numbers.count(mistakesNotTold, "known mistake")) \(gives) the right answer on this model. Only other "
                + "models can tell: give more --model."
            lines += text.wrapped(to: style.width, indent: "")
        }
        if questionsGuessed > 0 {
            let text =
                "\(Numbers.count(questionsGuessed, "question")) can be answered with zero or a number of the lesson's text on "
                + "a model, by chance if not on most of them."
            lines += text.wrapped(to: style.width, indent: "")
        }
        for model in models {
            let all = Numbers.count(model.takes.count + model.refuses.count, "lesson")
            let end = model.refuses.isEmpty ? "." : ", not:"
            lines.append("\(model.path) takes \(model.takes.count) of \(all)\(end)")
            for refusal in model.refuses {
                let text = "\(refusal.lesson): \(refusal.why)".onOneLine
                lines += text.wrapped(to: style.width - 2, indent: "  ")
            }
        }
        for problem in problems {
            let heading = problem.lesson + (problem.question.map { "/\($0)" } ?? "")
            let text = problem.says + (problem.model.map { " (on \($0))" } ?? "")
            lines += ["", style.bold(heading)] + LessonProse(text: text.onOneLine, indent: "  ").lines(style)
        }
        return (lines + ["", problems.isEmpty ? "No problems." : Numbers.count(problems.count, "problem") + "."])
            .joined(separator: "\n")
    }
}
