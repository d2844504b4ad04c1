import Lessons

/// What became of an answer, and what follows from it.
public struct LessonVerdictReport: Report {
    public let question: String
    public let outcome: Verdict.Outcome
    @OrNull public var says: String?
    public let isKnownMistake: Bool
    public let attempts: Int
    public let after: [LessonPassage]
    @OrNull public var why: String?
    /// The command that does it on a model of one's own.
    @OrNull public var yours: String?
    private let isLoop: Bool

    private enum CodingKeys: CodingKey { case question, outcome, says, isKnownMistake, attempts, after, why, yours }

    /// - Parameters:
    ///   - says: what the verdict says, with commands as they can be typed.
    ///   - after: what is shown once the question is solved.
    public init(
        question: String, verdict: Verdict, says: String?, attempts: Int, after: [LessonPassage], why: String?,
        yours: String?, isLoop: Bool
    ) {
        (self.question, outcome, isKnownMistake) = (question, verdict.outcome, verdict.isKnownMistake)
        (self.attempts, self.after, self.isLoop) = (attempts, after, isLoop)
        _says = OrNull(wrappedValue: says)
        _why = OrNull(wrappedValue: why)
        _yours = OrNull(wrappedValue: yours)
    }

    public func page(_ style: Style) -> String {
        let prefix = isLoop ? "" : "quipu lesson "
        switch outcome {
        case .unreadable:
            return LessonProse(text: "That cannot be read. " + (says ?? "")).lines(style).joined(separator: "\n")
        case .wrong:
            let opening = isKnownMistake ? "Not quite, and this is why." : "No."
            let advice = isKnownMistake ? "" : "\n\n`\(prefix)hint` helps."
            let text = says.map { "\n" + $0 } ?? ""
            return ([style.bad(opening)] + LessonProse(text: text + advice).lines(style)).joined(separator: "\n")
        case .right:
            var lines = [style.good("Right.")] + (says.map { LessonProse(text: $0).lines(style) } ?? []) + [""]
            for passage in after { lines += passage.lines(style) + [""] }
            if let why { lines += LessonProse(text: "**Why it matters.** " + why).lines(style) + [""] }
            if let yours {
                lines += ["On a model of your own:"]
                lines += FoldedCommand.lines(yours, after: "  ", style) { style.accent($0) } + [""]
            }
            return (lines + [style.dim("Go on: \(prefix)next")]).joined(separator: "\n")
        }
    }
}

/// A hint, a derivation, or a reason.
public struct LessonTextReport: Report {
    /// `hint`, `derivation` or `why`.
    public let kind: String
    public let text: String
    /// Of a hint: which, from 1, of how many.
    @OrNull public var rung: Int?
    public let rungs: Int
    public let after: [LessonPassage]
    private let isLoop: Bool
    private let isDue: Bool

    private enum CodingKeys: CodingKey { case kind, text, rung, rungs, after }

    /// - Parameters:
    ///   - text: the hint's, with commands as they can be typed.
    ///   - isDue: whether the question will be asked again.
    public init(_ hint: Tutor.Hint, text: String, after: [LessonPassage] = [], isDue: Bool, isLoop: Bool) {
        (kind, self.text, rungs) = (hint.rung == nil ? "derivation" : "hint", text, hint.rungs)
        self.isDue = isDue
        (self.after, self.isLoop) = (after, isLoop)
        _rung = OrNull(wrappedValue: hint.rung)
    }

    public init(why text: String, isLoop: Bool) {
        (kind, self.text, rungs, after, self.isLoop, isDue) = ("why", text, 0, [], isLoop, false)
        _rung = OrNull(wrappedValue: nil)
    }

    public func page(_ style: Style) -> String {
        let prefix = isLoop ? "" : "quipu lesson "
        if kind == "why" { return LessonProse(text: text).lines(style).joined(separator: "\n") }
        if let rung {
            let more = rung < rungs ? "`\(prefix)hint` says more." : "`\(prefix)hint` once more shows the whole way."
            let lines = LessonProse(text: "**Hint \(rung) of \(rungs).** " + text).lines(style)
            return (lines + LessonProse(text: "\n" + more).lines(style)).joined(separator: "\n")
        }
        var lines = LessonProse(text: "**The whole way.** " + text).lines(style) + [""]
        for passage in after { lines += passage.lines(style) + [""] }
        let later =
            (isDue ? "It will be asked again: `\(prefix)redo` comes back to it. " : "") + "`\(prefix)next` goes on."
        return (lines + LessonProse(text: later).lines(style)).joined(separator: "\n")
    }
}

/// All lessons, and how far one is; also the answer of `progress`.
public struct LessonListReport: Report {
    public struct Row: Encodable, Sendable {
        public let number: Int
        public let id: String
        public let title: String
        public let idea: String
        public let minutes: Int
        public let questions: Int
        public let solved: Int
        /// To be asked again.
        public let due: Int
        public let attempts: Int
        public let hints: Int
    }

    /// A way through the lessons.
    public struct Track: Encodable, Sendable {
        public let name: String
        /// Their ids, in order.
        public let lessons: [String]
    }

    public let lessons: [Row]
    public let tracks: [Track]
    /// The name of the one that was chosen.
    @OrNull public var track: String?
    /// The lesson one stands at.
    @OrNull public var current: String?
    @OrNull public var model: String?
    @OrNull public var prompt: String?
    @OrNull public var trace: String?
    public let file: String
    private let isDetailed: Bool

    private enum CodingKeys: CodingKey { case lessons, tracks, track, current, model, prompt, trace, file }

    public init(_ course: Course, _ progress: LessonProgress, file: String, isDetailed: Bool) {
        tracks = course.tracks.sorted { $0.key < $1.key }.map { Track(name: $0.key, lessons: $0.value) }
        lessons = course.lessons.map { lesson in
            let notes = lesson.questions.map { progress.questions["\(lesson.id)/\($0.id)"] ?? .init() }
            return Row(
                number: lesson.number, id: lesson.id, title: lesson.title, idea: lesson.idea, minutes: lesson.minutes,
                questions: notes.count, solved: notes.count(where: \.solved), due: notes.count { $0.due && !$0.solved },
                attempts: notes.reduce(0) { $0 + $1.attempts }, hints: notes.reduce(0) { $0 + $1.hints })
        }
        (self.file, self.isDetailed) = (file, isDetailed)
        _track = OrNull(wrappedValue: progress.track)
        _current = OrNull(wrappedValue: progress.lesson)
        _model = OrNull(wrappedValue: progress.model?.path)
        _prompt = OrNull(wrappedValue: progress.model?.prompt)
        _trace = OrNull(wrappedValue: progress.model?.trace)
    }

    public func page(_ style: Style) -> String {
        var columns: [(String, Table.Alignment)] = [
            ("", .left), ("", .left), ("no", .right), ("lesson", .left), ("solved", .right),
        ]
        columns += isDetailed ? [("again", .right), ("tries", .right), ("hints", .right)] : [("min", .right)]
        var table = Table(columns)
        for row in lessons {
            let solved = "\(row.solved)/\(row.questions)"
            let rest =
                isDetailed
                ? ["\(row.due)", "\(row.attempts)", "\(row.hints)"].map { $0 == "0" ? "" : $0 } : ["\(row.minutes)"]
            let marks = [row.id == current ? "▸" : "", row.solved == row.questions ? "✓" : ""]
            table.add(marks + ["\(row.number)", row.title, solved] + rest)
        }
        var lines = table.lines(style) + [""]
        if isDetailed {
            if let model { lines += ["Model   \(model)", "Prompt  \(prompt ?? "")", "Trace   \(trace ?? "")"] }
            lines += ["Kept in \(file)", ""]
        }
        lines += trackLines
        let due = lessons.reduce(0) { $0 + $1.due }
        if due > 0 { lines.append("`quipu lesson redo` asks again what was skipped: \(due).") }
        lines.append((current == nil ? "Begin" : "Go on") + ": quipu lesson start")
        return lines.joined(separator: "\n")
    }

    /// Each way by the numbers of its lessons, those that are solved marked.
    private var trackLines: [String] {
        guard !tracks.isEmpty else { return [] }
        let width = tracks.map(\.name.count).max() ?? 0
        return ["Ways through them, if you do not want all (`quipu lesson start --track NAME`):"]
            + tracks.map { track in
                let numbers = track.lessons.compactMap { id in lessons.first { $0.id == id } }
                    .map { $0.solved == $0.questions ? "✓\($0.number)" : "\($0.number)" }
                let gap = String(repeating: " ", count: width - track.name.count + 2)
                let mark = track.name == self.track ? "▸ " : "  "
                return "\(mark)\(track.name)\(gap)\(numbers.joined(separator: " "))"
            } + [""]
    }
}

/// The commands of all questions that were solved.
public struct LessonCheatsheetReport: Report {
    public struct Row: Encodable, Sendable {
        public let lesson: String
        public let title: String
        public let command: String

        public init(lesson: String, title: String, command: String) {
            (self.lesson, self.title, self.command) = (lesson, title, command)
        }
    }

    public let commands: [Row]

    public init(_ commands: [Row]) { self.commands = commands }

    public func page(_ style: Style) -> String {
        guard !commands.isEmpty else {
            return "Nothing is solved yet. Each question that you solve adds a command here."
        }
        var (lines, title) = ([String](), "")
        for row in commands {
            if row.title != title { lines += (lines.isEmpty ? [] : [""]) + [style.bold(row.title)] }
            title = row.title
            lines += FoldedCommand.lines(row.command, after: "  ", style) { style.accent($0) }
        }
        return lines.joined(separator: "\n")
    }
}

/// What the course was about, at its end.
public struct LessonRecapReport: Report {
    public struct Row: Encodable, Sendable {
        public let number: Int
        public let title: String
        public let idea: String
        public let isDone: Bool
    }

    public let lessons: [Row]
    public let questions: Int
    public let solved: Int
    /// The way through the lessons that was chosen; `null`: all of them.
    @OrNull public var track: String?

    public init(_ tutor: Tutor) {
        _track = OrNull(wrappedValue: tutor.progress.track)
        lessons = tutor.way.map {
            Row(number: $0.number, title: $0.title, idea: $0.idea, isDone: tutor.isDone($0))
        }
        let all = tutor.way.flatMap { lesson in lesson.questions.map { tutor.note(lesson, $0) } }
        (questions, solved) = (all.count, all.count(where: \.solved))
    }

    public func page(_ style: Style) -> String {
        let what = track.map { "“\($0)”" } ?? "the course"
        var lines = [style.bold("That was \(what). What it said:"), ""]
        for row in lessons {
            let mark = row.isDone ? style.good("✓") : " "
            let text = LessonProse(text: "**\(row.title).** \(row.idea)", indent: "      ").lines(style)
            lines += ["\(mark) \(row.number < 10 ? " " : "")\(row.number)  " + (text.first ?? "").drop { $0 == " " }]
            lines += text.dropFirst()
        }
        lines += ["", "\(solved) of \(questions) questions are solved. Open ones: quipu lesson progress"]
        if track != nil { lines.append("All other lessons: quipu lesson start --track all") }
        lines += ["Functions to write: quipu lesson code. A page to keep: quipu lesson certificate"]
        return lines.joined(separator: "\n")
    }
}

/// That something was done.
public struct LessonNoteReport: Report {
    public let done: String
    @OrNull public var file: String?

    public init(_ done: String, file: String? = nil) {
        self.done = done
        _file = OrNull(wrappedValue: file)
    }

    public func page(_ style: Style) -> String { done }
}
