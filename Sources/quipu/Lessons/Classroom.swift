import EmbeddedModel
import Foundation
import GGUF
import Lessons
import Presentation
import ProgramFiles

/// A course, a learner's progress in it, and the model and trace that its questions are about.
struct Classroom {
    static var folder: URL { UserFolders.current.state.appending(path: "lessons") }
    static var progressPath: String { folder.appending(path: "progress.yml").path }

    var tutor: Tutor
    /// What the current lesson is about: the learner's model, in the progress, or one that the lesson brings.
    private(set) var model: LessonProgress.Model
    let style: Style
    /// Whether lines are typed in the lesson itself.
    let isLoop: Bool

    /// - Parameters:
    ///   - model: a model to begin with, instead of the one in the progress.
    ///   - prompt: likewise a prompt.
    init(model: String? = nil, prompt: String? = nil, style: Style, isLoop: Bool = false) throws {
        var progress = try LessonProgress.read(Self.progressPath)
        let course = try Course(folder: Self.courseFolder(progress))
        let recording = try LessonRecording.prepared(
            for: progress.model, model: model, prompt: prompt, course: course, folder: Self.folder)
        progress.model = recording
        let subject = try LessonProgram.subject(recording, folder: Self.folder, isOwn: progress.course == nil)
        tutor = Tutor(course: course, subject: subject, progress: progress)
        (self.model, self.style, self.isLoop) = (recording, style, isLoop)
        try turnToModel()
    }

    /// Where the lessons are: a folder that the learner named, or the program's.
    static func courseFolder(_ progress: LessonProgress) throws -> String {
        guard let course = progress.course else { return try LessonFolder.path() }
        guard PathKind(at: course) == .folder else { throw LessonError.lostCourse(path: course) }
        return course
    }

    /// Takes lessons from another folder from now on; `quipu`: the program's own.
    ///
    /// - Returns: the text to trace from now on, where the one before was of the course before.
    static func choose(course: String) throws -> String? {
        var progress = try LessonProgress.read(progressPath)
        let before = try? Course(folder: courseFolder(progress))
        let path = course == "quipu" ? nil : URL(filePath: course).standardizedFileURL.path
        let next = try Course(folder: try path ?? LessonFolder.path())
        let isOther = progress.course != path
        progress.course = path
        (progress.lesson, progress.step, progress.track) = (nil, 0, nil)
        try progress.write(progressPath)
        let isOfCourse = progress.model.map { before?.texts.contains($0.prompt) ?? false } ?? false
        return isOther && isOfCourse ? next.prompt : nil
    }

    /// Keeps the progress; call it after another lesson was begun, too.
    mutating func save() throws {
        try turnToModel()
        try tutor.progress.write(Self.progressPath)
    }

    /// Lets queries and commands be about what the current lesson is about.
    private mutating func turnToModel() throws {
        guard let lesson = try? tutor.lesson() else { return }
        let wanted = try recording(for: lesson)
        guard wanted != model else { return }
        tutor.subject = try LessonProgram.subject(wanted, folder: Self.folder, isOwn: tutor.progress.course == nil)
        model = wanted
    }

    private func recording(for lesson: Lesson) throws -> LessonProgress.Model {
        let own = tutor.progress.model!
        guard let path = try LessonProgram.model(broughtBy: lesson, insteadOf: own.path) else { return own }
        return try LessonRecording.prepared(
            for: nil, model: path, prompt: own.prompt, course: tutor.course, folder: Self.folder)
    }

    /// The learner's model and trace, whatever the current lesson is about.
    func ownSubject() throws -> Subject {
        try LessonProgram.subject(tutor.progress.model!, folder: Self.folder)
    }

    /// A template of any lesson, filled in for what that lesson is about.
    func filled(_ template: Template, _ lesson: Lesson, _ question: Question) throws -> String {
        var tutor = tutor
        let isOwn = tutor.progress.course == nil
        tutor.subject = try LessonProgram.subject(try recording(for: lesson), folder: Self.folder, isOwn: isOwn)
        return try tutor.filled(template, lesson, question)
    }

    // MARK: what a learner sees

    func stepReport() throws -> LessonStepReport {
        let (lesson, step) = (try tutor.lesson(), try tutor.step())
        let isSettled = try tutor.isSettled()
        let hasQuestion = step.question != nil
        let (open, own) = (try tutor.openPrediction(), tutor.progress.model!.path)
        return LessonStepReport(
            lesson: lesson, about: model, insteadOf: model.path == own || lesson.isAboutIt ? nil : own,
            stepTitle: step.title, step: try tutor.stepIndex() + 1,
            settled: lesson.steps.map { $0.question.map { tutor.note(lesson, $0).isSettled } ?? false },
            passages: try passages(step.beforeAnswer, lesson),
            prediction: try open.map { typed(try tutor.filled($0.ask, lesson)) },
            question: open == nil ? try step.question.map { try question($0, lesson) } : nil,
            answered: try answered(step, lesson),
            after: isSettled && hasQuestion ? try passages(step.afterAnswer, lesson) : [], isLoop: isLoop)
    }

    /// Of a question that was solved: how, and why it matters.
    private func answered(_ step: Lesson.Step, _ lesson: Lesson) throws -> String? {
        guard let question = step.question, tutor.note(lesson, question).isSettled else { return nil }
        let (way, why) = (
            try tutor.derivation(question, lesson), try tutor.filled(question.why, lesson, question)
        )
        return typed("**The whole way.** \(way)\n\n**Why it matters.** \(why)")
    }

    private func question(_ question: Question, _ lesson: Lesson) throws -> LessonQuestion {
        let unit: String? =
            switch question.kind {
            case .number(let number): number.unit
            default: question.then?.number.unit
            }
        let choices = try LessonError.naming(lesson, question) { () throws(QueryProblem) in
            try tutor.grader(lesson).choices(question)
        }
        return LessonQuestion(
            id: question.id, kind: question.name, ask: typed(try tutor.filled(question.ask, lesson, question)),
            choices: choices, then: try question.then.map { typed(try tutor.filled($0.ask, lesson, question)) },
            unit: unit,
            isSolved: tutor.note(lesson, question).isSettled)
    }

    /// What follows the question of the current step.
    func after() throws -> [LessonPassage] { try passages(try tutor.step().afterAnswer, try tutor.lesson()) }

    private func passages(_ passages: [Lesson.Passage], _ lesson: Lesson) throws -> [LessonPassage] {
        var isHidden = false
        return try passages.flatMap { passage -> [LessonPassage] in
            if isHidden { return [] }
            switch passage {
            case .prediction(let prediction):
                guard let guess = try tutor.guess(prediction) else {
                    isHidden = true
                    return []
                }
                let answer = try tutor.filled(prediction.answer, lesson)
                let ask = typed(try tutor.filled(prediction.ask, lesson))
                return [
                    .prose(guess.isEmpty ? "\(ask) It is \(answer)." : "\(ask) You said \(guess); it is \(answer).")
                ]
            case .prose(let template): return [.prose(typed(try tutor.filled(template, lesson)))]
            case .commands(let lines): return try lines.map { try ran(try tutor.filled($0, lesson)) }
            case .question: return []
            }
        }
    }

    /// A command of a lesson, run once.
    private func ran(_ line: String) throws -> LessonPassage {
        guard let words = OwnProgram.words(line) else {
            throw InputError("in a lesson's command, a quote is not closed: quipu \(line)")
        }
        if tutor.progress.course != nil, let fault = LessonProgram.objection(to: words) {
            throw InputError("this course is not the program's own, and \(fault): quipu \(line)")
        }
        let outcome = try LessonProgram.run(
            words + (style.isColored ? ["--color", "always"] : []), model, folder: Self.folder)
        let printed = outcome.output.isEmpty && outcome.status != 0 ? outcome.errors : outcome.output
        return .command("quipu " + typed(line), output: shortened(printed))
    }

    /// As the learner types it: paths only where the commands would not find the files by themselves, or where another
    /// file, `lesson-N.…`, stands in their place. Line by line, MODEL and TRACE are words that commands know.
    func typed(_ line: String) -> String {
        let fallback = (ModelArgument.preferred ?? (try? EmbeddedModel.path())) == model.path
        let isLast = isLoop || LastTrace.path == model.trace
        let (isEmbedded, micro) = ((try? EmbeddedModel.path()) == model.path, LessonProgram.path("MICRO"))
        let (own, trace) =
            isLoop ? ("MODEL", "TRACE") : (model.path.quotedIfNeeded, model.trace.quotedIfNeeded)
        let (mark, traceMark) = ("\u{1}", "\u{2}")
        return
            line
            .replacing("MODEL lesson-", with: "\(mark) lesson-")
            .replacing("--base MODEL", with: "--base \(mark)")
            .replacing(fallback ? " MODEL" : "MODEL", with: fallback ? "" : mark)
            .replacing("--from TRACE", with: "--from \(traceMark)")
            .replacing(" TRACE", with: isLast ? "" : " \(trace)")
            .replacing(traceMark, with: trace)
            .replacing(mark, with: own)
            .replacing(
                isEmbedded ? " --file TEXT" : "TEXT", with: isEmbedded ? "" : LessonProgram.path("TEXT").quotedIfNeeded
            )
            .replacing(isEmbedded ? " MICRO" : "MICRO", with: isEmbedded ? "" : micro.quotedIfNeeded)
            .replacing("TRAINED", with: LessonProgram.path("TRAINED").quotedIfNeeded)
            .replacing(" OLD", with: " \(LessonProgram.path("OLD").quotedIfNeeded)")
            .replacing(" NEW", with: " \(LessonProgram.path("NEW").quotedIfNeeded)")
            .replacing("EXPERTS", with: LessonProgram.path("EXPERTS").quotedIfNeeded)
    }

    /// For files of the learner's own.
    static func own(_ line: String) -> String {
        line.replacing("MODEL", with: "my.gguf").replacing("TRACE", with: "my.db").replacing(
            "TEXT", with: "my.txt")
    }

    /// Files by their names: a path is wider than the page.
    private func shortened(_ output: String) -> String {
        let paths = [model.path, model.trace, LessonProgram.path("OLD"), LessonProgram.path("NEW")]
        return paths.reduce(output) { $0.replacing($1, with: URL(filePath: $1).lastPathComponent) }
    }
}

extension LessonError {
    /// Says which question it is that a model cannot be asked.
    static func naming<Result>(
        _ lesson: Lesson, _ question: Question, _ body: () throws(QueryProblem) -> Result
    ) throws(LessonError) -> Result {
        do { return try body() } catch {
            throw .query(location: "\(lesson.file), question '\(question.id)'", problem: error)
        }
    }
}
