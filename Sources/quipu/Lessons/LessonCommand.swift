import ArgumentParser
import Foundation
import Lessons
import Presentation
import Recording

struct LessonCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lesson",
        abstract: "Guided lessons: every question is about your own model, every answer computed on it.",
        discussion: """
            `start` begins, or goes on where you were; on a terminal it stays with you line by line. The same steps are \
            commands of their own. Nothing blocks: `next` always goes on, `skip` shows the whole way and asks again later.

            Example:
              quipu lesson start
            """,
        subcommands: [
            ListLessons.self, StartLesson.self, NextStep.self, PreviousStep.self, CheckAnswer.self, HintCommand.self,
            WhyCommand.self, PlayLesson.self, RedoLesson.self, SkipQuestion.self, ResetLessons.self,
            GuessCommand.self, CodeCommand.self, FaultCommand.self, ShowProgress.self, ExportProgress.self,
            ImportProgress.self, Cheatsheet.self, ReviewLessons.self, CertificateCommand.self, ClassCommand.self,
            LintLessons.self,
        ], defaultSubcommand: ListLessons.self)

    /// Help of a subcommand.
    static func configuration(_ name: String, _ abstract: String, example: String) -> CommandConfiguration {
        CommandConfiguration(
            commandName: name, abstract: abstract, discussion: "Example:\n  quipu lesson \(example)")
    }
}

struct ListLessons: ParsableCommand {
    static let configuration = LessonCommand.configuration("list", "All lessons, and what is solved.", example: "list")
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws { try printing.print(try LessonListReport.current(isDetailed: false)) }
}

struct ShowProgress: ParsableCommand {
    static let configuration = LessonCommand.configuration(
        "progress", "What is solved, with how many attempts and hints, and where it is kept.", example: "progress")
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws { try printing.print(try LessonListReport.current(isDetailed: true)) }
}

extension LessonListReport {
    /// Needs no model.
    fileprivate static func current(isDetailed: Bool) throws -> LessonListReport {
        var progress = try LessonProgress.read(Classroom.progressPath)
        let course = try Course(folder: Classroom.courseFolder(progress))
        progress.adopt(course)
        return LessonListReport(course, progress, file: Classroom.progressPath, isDetailed: isDetailed)
    }
}

struct StartLesson: ParsableCommand {
    static let configuration = LessonCommand.configuration(
        "start", "Begin a lesson, or go on; on a terminal, line by line.", example: "start 4")
    @Argument(help: "Number or name of a lesson. (default: where you were)") var lesson: String?
    @Option(
        help: "The model that questions are about. (default: the one before, $QUIPU_MODEL or the embedded one)",
        completion: .model)
    var model: String?
    @Option(
        help: "A folder with other lessons, until `--course quipu`. (default: the one before, or the program's own)",
        completion: .directory)
    var course: String?
    @Option(name: .shortAndLong, help: "The text whose trace questions are about. (default: the one before)")
    var prompt: String?
    @Option(
        help: """
            One of the ways through the lessons that `list` shows, by the beginning of its name, until `--track all`. \
            (default: the one before, or all)
            """)
    var track: String?
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        let isLoop = !printing.json && Terminal.isOutputTerminal && isatty(STDIN_FILENO) == 1
        let ofCourse = try course.flatMap(Classroom.choose)
        var room = try Classroom(model: model, prompt: prompt ?? ofCourse, style: printing.style, isLoop: isLoop)
        if let track { try room.tutor.choose(track: track) }
        if lesson != nil || track != nil || room.tutor.progress.lesson == nil { try room.tutor.start(lesson) }
        try room.save()
        if isLoop {
            var loop = LessonLoop(room)
            return try loop.run()
        }
        try printing.print(try room.stepReport())
    }
}

struct NextStep: ParsableCommand {
    static let configuration = LessonCommand.configuration("next", "The next step.", example: "next")
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        let tutor = try Classroom(style: printing.style).tutor
        if try tutor.openPrediction() == nil, try tutor.isAtTheEnd() {
            try printing.print(LessonRecapReport(tutor))
            throw ExitCode(1)
        }
        try LessonActions.move(printing) { (tutor: inout Tutor) throws(LessonError) in
            if try !tutor.passesPrediction() { try tutor.next() }
        }
    }
}

struct GuessCommand: ParsableCommand {
    static let configuration = LessonCommand.configuration(
        "guess", "Say what you expect, where a step asks for a guess. It is not graded.", example: "guess 60 %")
    @Argument(parsing: .allUnrecognized, help: "Whatever you think.") var text: [String] = []
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        try LessonActions.move(printing) { (tutor: inout Tutor) throws(LessonError) in
            try tutor.guess(text.joined(separator: " "))
        }
    }
}

struct PreviousStep: ParsableCommand {
    static let configuration = LessonCommand.configuration("back", "The step before.", example: "back")
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        try LessonActions.move(printing) { (tutor: inout Tutor) throws(LessonError) in try tutor.back() }
    }
}

struct CheckAnswer: ParsableCommand {
    static let configuration = LessonCommand.configuration(
        "check", "Answer the question of the step; or run a file that `lesson code` wrote.", example: "check 3/4")
    @Argument(
        parsing: .allUnrecognized,
        help:
            "A number (1.5, 3/4, 2*3.5), a letter, a token, an address, a file you made, or FILE.py, FILE.swift to run."
    )
    var answer: [String] = []
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        var room = try Classroom(style: printing.style)
        let text = answer.joined(separator: " ")
        if let file = try LessonActions.codeFile(text, room) {
            try printing.print(try CodeCheck.check(file, &room))
        } else {
            try printing.print(try LessonActions.check(text, &room))
        }
    }
}

struct HintCommand: ParsableCommand {
    static let configuration = LessonCommand.configuration(
        "hint", "Where to look; then the formula; then the formula with your numbers; then the whole way.",
        example: "hint")
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        var room = try Classroom(style: printing.style)
        try printing.print(try LessonActions.hint(&room))
    }
}

struct SkipQuestion: ParsableCommand {
    static let configuration = LessonCommand.configuration(
        "skip", "Show the whole way of a question, and ask it again later.", example: "skip")
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        var room = try Classroom(style: printing.style)
        try printing.print(try LessonActions.skip(&room))
    }
}

struct WhyCommand: ParsableCommand {
    static let configuration = LessonCommand.configuration(
        "why", "Why the question of the step matters, and how it is solved.", example: "why")
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        let room = try Classroom(style: printing.style)
        try printing.print(try LessonActions.why(room))
    }
}

struct RedoLesson: ParsableCommand {
    static let configuration = LessonCommand.configuration(
        "redo", "Ask again what was skipped, or do a lesson again. What is solved stays solved.", example: "redo")
    @Argument(help: "Number or name of a lesson. (default: the first question that was skipped)") var lesson: String?
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        var room = try Classroom(style: printing.style)
        guard try room.tutor.redo(lesson) else {
            return try printing.print(
                LessonNoteReport("Nothing was skipped. `quipu lesson redo 1` does a lesson again."))
        }
        try room.save()
        try printing.print(try room.stepReport())
    }
}

struct ResetLessons: ParsableCommand {
    static let configuration = LessonCommand.configuration(
        "reset", "Forget what was done in a lesson, or in all.", example: "reset 3")
    @Argument(help: "Number or name of a lesson.") var lesson: String?
    @Flag(help: "Forget everything.") var all = false
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if (lesson == nil) != all { throw ValidationError("name a lesson, or give --all to forget everything") }
    }

    func run() throws {
        var room = try Classroom(style: printing.style)
        try room.tutor.reset(lesson)
        try room.save()
        let what = try lesson.map { "lesson \(try room.tutor.course.lesson($0).number)" } ?? "all lessons"
        try printing.print(LessonNoteReport("What was done in \(what) is forgotten.", file: Classroom.progressPath))
    }
}

struct ExportProgress: ParsableCommand {
    static let configuration = LessonCommand.configuration(
        "export", "Copy the progress to a file, to take it elsewhere.", example: "export my-progress.yml")
    @Argument(help: "The file to write.", completion: .file()) var file: String
    @Flag(help: "Replace it if it is there.") var force = false
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        guard force || !FileManager.default.fileExists(atPath: file) else {
            throw InputError("\(file): there is a file of this name. Choose another, or give --force to replace it.")
        }
        try LessonProgress.read(Classroom.progressPath).write(file, advice: "Name another file.")
        try printing.print(LessonNoteReport("Written: \(file)", file: file))
    }
}

struct ImportProgress: ParsableCommand {
    static let configuration = LessonCommand.configuration(
        "import", "Take over progress that was exported. What is solved in either stays solved.",
        example: "import my-progress.yml")
    @Argument(help: "The file to read.", completion: .file()) var file: String
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        guard FileManager.default.fileExists(atPath: file) else {
            throw InputError("\(file): found no such file, expected what `quipu lesson export` wrote. Check the path.")
        }
        var progress = try LessonProgress.read(Classroom.progressPath)
        progress.merge(try LessonProgress.read(file))
        try progress.write(Classroom.progressPath)
        let solved = progress.questions.values.count(where: \.solved)
        try printing.print(
            LessonNoteReport("Taken over: \(solved) questions are solved now.", file: Classroom.progressPath))
    }
}

struct Cheatsheet: ParsableCommand {
    static let configuration = LessonCommand.configuration(
        "cheatsheet", "The commands of all questions that you solved.", example: "cheatsheet")
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        let room = try Classroom(style: printing.style)
        try printing.print(LessonCheatsheetReport(try LessonActions.cheatsheet(room)))
    }
}
