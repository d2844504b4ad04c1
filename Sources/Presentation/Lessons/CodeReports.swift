import Lessons

/// The functions that a learner can write.
public struct CodeListReport: Report {
    struct Row: Encodable, Sendable {
        let task: String
        let title: String
        /// The number of the lesson that explains it.
        @OrNull var lesson: Int?
        let isSolved: Bool
        let attempts: Int
    }

    let tasks: [Row]

    public init(_ tasks: CodeTasks, _ course: Course, _ progress: LessonProgress) {
        self.tasks = tasks.tasks.map { task in
            let note = progress.questions[task.key] ?? .init()
            return Row(
                task: task.id, title: task.title, lesson: (try? course.lesson(task.lesson))?.number,
                isSolved: note.solved, attempts: note.attempts)
        }
    }

    public func page(_ style: Style) -> String {
        var table = Table([("", .left), ("task", .left), ("what the function does", .left), ("lesson", .right)])
        for row in tasks {
            table.add([row.isSolved ? "✓" : "", row.task, row.title, row.lesson.map { "\($0)" } ?? ""])
        }
        let next = tasks.first { !$0.isSolved }
        let last = next.map { "Begin: quipu lesson code \($0.task)" } ?? "All of them are solved."
        return (table.lines(style) + ["", last]).joined(separator: "\n")
    }
}

/// What became of a learner's function.
public struct CodeVerdictReport: Report {
    public let task: String
    public let isRight: Bool
    @OrNull public var says: String?
    public let isKnownMistake: Bool
    public let right: Int
    public let cases: Int
    /// That it is not about the learner's model, where it is not.
    @OrNull public var note: String?
    /// What the code printed, cut.
    public let printed: String
    /// The next task that is not solved.
    @OrNull public var next: String?

    public init(_ task: CodeTask, _ verdict: CodeVerdict, note: String?, printed: String, next: CodeTask?) {
        (self.task, isRight, isKnownMistake) = (task.id, verdict.isRight, verdict.isKnownMistake)
        (right, cases, self.printed) = (verdict.right, verdict.cases, String(printed.prefix(2000)))
        _says = OrNull(wrappedValue: verdict.says)
        _note = OrNull(wrappedValue: note)
        _next = OrNull(wrappedValue: next?.id)
    }

    public func page(_ style: Style) -> String {
        var lines: [String] = []
        if !printed.isEmpty {
            let shown = printed.withoutControls.split(separator: "\n").prefix(10).map {
                "  " + $0.description.cut(to: style.width - 2)
            }
            lines += [style.dim("It printed:")] + shown + [""]
        }
        if let note { lines += LessonProse(text: note).lines(style) + [""] }
        if isRight {
            lines.append(
                style.good("Right.")
                    + " All \(cases) calls on \(note == nil ? "your" : "that") model give what they must.")
            lines.append(next.map { "Go on: quipu lesson code \($0)" } ?? "That was the last of the code tasks.")
            return lines.joined(separator: "\n")
        }
        let opening = isKnownMistake ? "**Not quite, and this is why.** " : "**No.** "
        lines += LessonProse(text: opening + (says ?? "")).lines(style)
        lines += ["", style.dim("\(right) of \(cases) calls are right. Calls are on other numbers each time.")]
        return lines.joined(separator: "\n")
    }
}
