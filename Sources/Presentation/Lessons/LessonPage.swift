import Lessons

/// A piece of a lesson with everything filled in.
public enum LessonPassage: Encodable, Sendable {
    case prose(String)
    /// A command as it can be typed, and what it printed.
    case command(String, output: String)

    private enum CodingKeys: CodingKey { case kind, text, command, output }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .prose(let text):
            try container.encode("prose", forKey: .kind)
            try container.encode(text, forKey: .text)
        case .command(let command, let output):
            try container.encode("command", forKey: .kind)
            try container.encode(command, forKey: .command)
            try container.encode(output, forKey: .output)
        }
    }

    func lines(_ style: Style) -> [String] {
        switch self {
        case .prose(let text): return LessonProse(text: text).lines(style)
        case .command(let command, let output):
            // Not indented: the program's pages are as wide as a terminal.
            let printed = output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            return FoldedCommand.lines(command, after: "$ ", style) { style.bold($0) } + printed.droppingEmptyEnd
        }
    }
}

/// A question as a learner sees it.
public struct LessonQuestion: Encodable, Sendable {
    public let id: String
    public let kind: String
    public let ask: String
    public let choices: [String]
    /// The number asked for together with a choice.
    @OrNull public var then: String?
    @OrNull public var unit: String?
    public let isSolved: Bool

    public init(
        id: String, kind: String, ask: String, choices: [String], then: String?, unit: String?, isSolved: Bool
    ) {
        (self.id, self.kind, self.ask, self.choices, self.isSolved) = (id, kind, ask, choices, isSolved)
        (_then, _unit) = (OrNull(wrappedValue: then), OrNull(wrappedValue: unit))
    }

    func lines(_ style: Style, isLoop: Bool) -> [String] {
        var lines = LessonProse(text: "**Question.** " + ask).lines(style)
        if Grader.areNumbers(choices) { lines.append("  " + choices.joined(separator: "   ")) }
        for (letter, choice) in zip("abcdefgh", choices) where !Grader.areNumbers(choices) {
            let text = LessonProse(text: choice, indent: "     ").lines(style)
            lines.append("  \(letter)  " + (text.first ?? "").drop { $0 == " " })
            lines += text.dropFirst()
        }
        // Line by line, the number is asked for when the first part was answered.
        if let then, !isLoop { lines += LessonProse(text: "And the number: " + then).lines(style) }
        if let unit, then == nil || !isLoop { lines.append(style.dim("Unit: \(unit)")) }
        return lines
    }

    /// How an answer is given.
    func example(_ prefix: String, isLoop: Bool) -> String {
        let choice = Grader.areNumbers(choices) ? "ONE OF THEM" : "LETTER"
        return switch kind {
        case "number": prefix + "NUMBER"
        case "choice": prefix + choice + (then == nil || isLoop ? "" : " NUMBER")
        case "truth": prefix + (then == nil || isLoop ? "true|false" : "true|false NUMBER")
        case "token": prefix + "ID or TEXT"
        case "address": prefix + "'NAME[…]'"
        default: prefix + "FILE"
        }
    }
}

/// The step a learner stands at.
public struct LessonStepReport: Report {
    public let lesson: String
    public let number: Int
    public let title: String
    /// Paths of what the lesson is about.
    public let model: String
    public let trace: String
    /// The path of the learner's model, where the lesson is about another because of what this one lacks.
    @OrNull public var insteadOf: String?
    public let stepTitle: String
    /// From 1.
    public let step: Int
    public let steps: Int
    public let passages: [LessonPassage]
    /// What is to be guessed before the rest is shown.
    @OrNull public var prediction: String?
    @OrNull public var question: LessonQuestion?
    /// Of a question that was solved: how, and why it matters.
    @OrNull public var answered: String?
    /// What is shown once the question is settled.
    public let after: [LessonPassage]
    /// Whether lines are typed in the lesson, without `quipu lesson`.
    private let isLoop: Bool
    /// Of each step, whether its question was solved.
    private let settled: [Bool]

    private enum CodingKeys: CodingKey {
        case lesson, number, title, model, trace, insteadOf, stepTitle, step, steps, passages, prediction, question,
            answered, after
    }

    public init(
        lesson: Lesson, about model: LessonProgress.Model, insteadOf: String?, stepTitle: String, step: Int,
        settled: [Bool],
        passages: [LessonPassage], prediction: String?, question: LessonQuestion?, answered: String?,
        after: [LessonPassage], isLoop: Bool
    ) {
        (self.lesson, number, title) = (lesson.id, lesson.number, lesson.title)
        (self.model, trace) = (model.path, model.trace)
        (self.stepTitle, self.step, steps) = (stepTitle, step, lesson.steps.count)
        (self.passages, self.after, self.isLoop) = (passages, after, isLoop)
        self.settled = settled
        _insteadOf = OrNull(wrappedValue: insteadOf)
        _prediction = OrNull(wrappedValue: prediction)
        _question = OrNull(wrappedValue: question)
        _answered = OrNull(wrappedValue: answered)
    }

    /// That a lesson or a task is about a model that comes with the program.
    ///
    /// - Parameters:
    ///   - what: the word for it.
    ///   - model: the path of that model.
    ///   - own: the path of the learner's.
    public static func isAbout(_ what: String, _ model: String, insteadOf own: String) -> String {
        func name(_ path: String) -> Substring { path.split(separator: "/").last ?? "" }
        return "This \(what) is about \(name(model)), which comes with Quipu: \(name(own)) lacks what it needs."
    }

    public func page(_ style: Style) -> String {
        // Where one is stands in brackets; what was answered is full.
        let bar = (1...steps).map { number in
            let mark = settled[number - 1] ? style.good("●") : "○"
            return number == step ? "[\(mark)]" : mark
        }.joined()
        var lines = [style.dim("Lesson \(number)  \(title)  \(bar)"), "", style.bold(stepTitle), ""]
        if let insteadOf, step == 1 {
            lines += LessonProse(text: Self.isAbout("lesson", model, insteadOf: insteadOf)).lines(style) + [""]
        }
        for passage in passages { lines += passage.lines(style) + [""] }
        if let prediction { lines += LessonProse(text: "**Guess first.** " + prediction).lines(style) + [""] }
        if let question { lines += question.lines(style, isLoop: isLoop) + [""] }
        if let answered { lines += [style.good("Solved.")] + LessonProse(text: answered).lines(style) + [""] }
        for passage in after { lines += passage.lines(style) + [""] }
        if prediction != nil { return (lines + [LessonFooter.guess(style, isLoop: isLoop)]).joined(separator: "\n") }
        lines += LessonFooter(question: question, isSettled: !after.isEmpty, isLoop: isLoop).lines(style)
        return lines.joined(separator: "\n")
    }
}

/// What can be done next; always in sight.
struct LessonFooter {
    let question: LessonQuestion?
    let isSettled: Bool
    let isLoop: Bool

    /// How a guess is given.
    static func guess(_ style: Style, isLoop: Bool) -> String {
        style.dim(
            isLoop
                ? "Your guess, which is not graded; `next` goes on without one."
                : "Guess: quipu lesson guess …   without one: quipu lesson next")
    }

    func lines(_ style: Style) -> [String] {
        let prefix = isLoop ? "" : "quipu lesson "
        let others = "next  back  hint  skip  why  play  redo" + (isLoop ? "  list  quit" : "")
        guard let question, !question.isSolved else {
            let done = question?.isSolved == true ? "Solved. " : ""
            let others = "   also: back  why  play  redo" + (isLoop ? "  quit" : "")
            return [style.dim(done + "Go on: " + prefix + "next" + others)]
        }
        return [
            style.dim("Answer: " + question.example(prefix + (isLoop ? "" : "check "), isLoop: isLoop)),
            style.dim("Also" + (isLoop ? ": " : ", after `quipu lesson`: ") + others),
        ]
    }
}

extension [String] {
    fileprivate var droppingEmptyEnd: [String] {
        var lines = self
        while lines.last?.allSatisfy(\.isWhitespace) == true { lines.removeLast() }
        return lines
    }
}
