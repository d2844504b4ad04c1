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
        let course = try Course(folder: LessonFolder.path())
        var progress = try LessonProgress.read(Self.progressPath)
        let recording = try LessonRecording.prepared(
            for: progress.model, model: model, prompt: prompt, course: course, folder: Self.folder)
        progress.model = recording
        let subject = try LessonProgram.subject(recording, folder: Self.folder)
        tutor = Tutor(course: course, subject: subject, progress: progress)
        (self.model, self.style, self.isLoop) = (recording, style, isLoop)
        try turnToModel()
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
        tutor.subject = try LessonProgram.subject(wanted, folder: Self.folder)
        model = wanted
    }

    private func recording(for lesson: Lesson) throws -> LessonProgress.Model {
        let own = tutor.progress.model!
        guard let path = try LessonProgram.model(broughtBy: lesson, insteadOf: own.path) else { return own }
        return try LessonRecording.prepared(
            for: nil, model: path, prompt: own.prompt, course: tutor.course, folder: Self.folder)
    }

    /// A template of any lesson, filled in for what that lesson is about.
    func filled(_ template: Template, _ lesson: Lesson, _ question: Question) throws -> String {
        var tutor = tutor
        tutor.subject = try LessonProgram.subject(try recording(for: lesson), folder: Self.folder)
        return try tutor.filled(template, lesson, question)
    }

    // MARK: what a learner sees

    func stepReport() throws -> LessonStepReport {
        let (lesson, step) = (try tutor.lesson(), try tutor.step())
        let isSettled = try tutor.isSettled()
        let hasQuestion = step.question != nil
        return LessonStepReport(
            lesson: lesson, about: model, stepTitle: step.title, step: try tutor.stepIndex() + 1,
            passages: try passages(step.beforeAnswer, lesson),
            question: try step.question.map { try question($0, lesson) },
            after: isSettled && hasQuestion ? try passages(step.afterAnswer, lesson) : [], isLoop: isLoop)
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
            isSolved: tutor.note(lesson, question).solved)
    }

    /// What follows the question of the current step.
    func after() throws -> [LessonPassage] { try passages(try tutor.step().afterAnswer, try tutor.lesson()) }

    private func passages(_ passages: [Lesson.Passage], _ lesson: Lesson) throws -> [LessonPassage] {
        try passages.flatMap { passage -> [LessonPassage] in
            switch passage {
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
        let outcome = try LessonProgram.run(
            words + (style.isColored ? ["--color", "always"] : []), model, folder: Self.folder)
        let printed = outcome.output.isEmpty && outcome.status != 0 ? outcome.errors : outcome.output
        return .command("quipu " + typed(line), output: shortened(printed))
    }

    /// As the learner types it: paths only where the commands would not find the files by themselves, or where another
    /// file, `mine.…`, stands in their place.
    func typed(_ line: String) -> String {
        let fallback = (ModelArgument.preferred ?? (try? EmbeddedModel.path())) == model.path
        let isLast = LastTrace.path == model.trace
        let (isEmbedded, micro) = ((try? EmbeddedModel.path()) == model.path, LessonProgram.path("MICRO"))
        return
            line
            .replacing("MODEL mine", with: "\(model.path.quotedIfNeeded) mine")
            .replacing("--base MODEL", with: "--base \(model.path.quotedIfNeeded)")
            .replacing(fallback ? " MODEL" : "MODEL", with: fallback ? "" : model.path.quotedIfNeeded)
            .replacing("--from TRACE", with: "--from \(model.trace.quotedIfNeeded)")
            .replacing(isLast ? " TRACE" : "TRACE", with: isLast ? "" : model.trace.quotedIfNeeded)
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
