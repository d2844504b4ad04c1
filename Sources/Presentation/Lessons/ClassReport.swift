import Lessons

/// What a class has done.
public struct ClassReport: Report {
    struct Learner: Encodable, Sendable {
        let name: String
        let solved: Int
        let tasksSolved: Int
        let attempts: Int
        let hints: Int
        let skipped: Int
        @OrNull var last: String?
        @OrNull var prompt: String?
    }

    struct Missed: Encodable, Sendable {
        let question: String
        let says: String
        let learners: Int
        let times: Int
    }

    struct Refused: Encodable, Sendable {
        let file: String
        let why: String
    }

    let questions: Int
    let tasks: Int
    let learners: [Learner]
    let missed: [Missed]
    let refused: [Refused]

    /// - Parameter givesPrompts: a text for each learner.
    public init(_ roll: ClassRoll, _ course: Course, _ code: CodeTasks, givesPrompts: Bool) {
        let asked = course.lessons.flatMap { lesson in lesson.questions.map { "\(lesson.id)/\($0.id)" } }
        let written = code.tasks.map(\.key)
        (questions, tasks) = (asked.count, written.count)
        let prompts: [String?] = givesPrompts ? roll.prompts(course) : roll.learners.map { _ in nil }
        learners = zip(roll.learners, prompts).map { learner, prompt in
            var progress = learner.progress
            progress.adopt(course)
            // A learner may have done lessons of another course, too.
            let answers = asked.compactMap { progress.questions[$0] }
            let functions = written.compactMap { progress.questions[$0] }
            let notes = answers + functions
            return Learner(
                name: learner.name, solved: answers.count(where: \.solved),
                tasksSolved: functions.count(where: \.solved), attempts: notes.reduce(0) { $0 + $1.attempts },
                hints: notes.reduce(0) { $0 + $1.hints }, skipped: notes.count { $0.due && !$0.solved },
                last: notes.compactMap(\.at).max(), prompt: prompt)
        }
        missed = roll.missed.map {
            Missed(question: $0.question, says: $0.says, learners: $0.learners, times: $0.times)
        }
        refused = roll.refused.map { Refused(file: $0.file, why: $0.why) }
    }

    public func page(_ style: Style) -> String {
        guard !learners.isEmpty || !refused.isEmpty else {
            return "No progress is here. Each learner writes a file: quipu lesson export NAME.yml"
        }
        var table = Table([
            ("learner", .left), ("solved", .right), ("code", .right), ("tries", .right), ("hints", .right),
            ("skipped", .right), ("last", .left),
        ])
        for row in learners {
            table.add([
                row.name, "\(row.solved)/\(questions)", "\(row.tasksSolved)/\(tasks)", "\(row.attempts)",
                "\(row.hints)", "\(row.skipped)",
                String((row.last ?? "").prefix(10)),
            ])
        }
        var lines = table.lines(style)
        if !missed.isEmpty {
            lines += ["", style.bold("Most missed")]
            for row in missed.prefix(10) {
                let text = "\(row.question): \(row.says)… (\(Numbers.count(row.learners, "learner")))"
                lines += text.wrapped(to: style.width)
            }
        }
        if learners.contains(where: { $0.prompt != nil }) {
            lines += ["", style.bold("A text for each: quipu lesson start --prompt \"…\"")]
            for row in learners { lines += "\(row.name): \(row.prompt ?? "")".wrapped(to: style.width) }
        }
        for file in refused { lines += [""] + "\(file.file): \(file.why)".wrapped(to: style.width) }
        return lines.joined(separator: "\n")
    }
}
