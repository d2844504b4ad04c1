import Lessons

/// What `lesson lint` found.
public struct LessonLintReport: Report {
    public let lessons: Int
    public let steps: Int
    public let questions: Int
    public let mistakes: Int
    public let models: [String]
    public let answersChecked: Int
    public let slowestCheckNs: Int
    public let problems: [LessonLint.Problem]

    public init(_ course: Course, _ lint: LessonLint, models: [String]) {
        lessons = course.lessons.count
        steps = course.lessons.reduce(0) { $0 + $1.steps.count }
        let questions = course.lessons.flatMap(\.questions)
        self.questions = questions.count
        mistakes = questions.reduce(0) { $0 + $1.mistakes.count + ($1.then?.number.mistakes.count ?? 0) }
        self.models = models
        answersChecked = lint.answersChecked
        let (seconds, attoseconds) = lint.slowest.components
        slowestCheckNs = Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000)
        problems = lint.problems
    }

    public func page(_ style: Style) -> String {
        var lines = [
            "\(Numbers.count(lessons, "lesson")), \(Numbers.count(steps, "step")), "
                + "\(Numbers.count(questions, "question")) with \(Numbers.count(mistakes, "known mistake"))",
            "\(Numbers.count(answersChecked, "answer")) checked on \(Numbers.count(models.count, "model")), "
                + "the slowest in \(Numbers.duration(nanoseconds: slowestCheckNs))",
        ]
        for problem in problems {
            let heading = problem.lesson + (problem.question.map { "/\($0)" } ?? "")
            let text = problem.says + (problem.model.map { " (on \($0))" } ?? "")
            lines += ["", style.bold(heading)] + LessonProse(text: text.onOneLine, indent: "  ").lines(style)
        }
        return (lines + ["", problems.isEmpty ? "No problems." : Numbers.count(problems.count, "problem") + "."])
            .joined(separator: "\n")
    }
}
