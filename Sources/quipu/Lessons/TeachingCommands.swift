import ArgumentParser
import Foundation
import Lessons
import Presentation
import ProgramFiles

struct ReviewLessons: ParsableCommand {
    static let configuration = LessonCommand.configuration(
        "review", "Ask again what was solved some days ago, about another text.", example: "review")
    @Flag(help: "Ask the question that is due next, even if it is too early.") var now = false
    @Option(help: "Another model to ask about from now on. (default: the one before)", completion: .model)
    var model: String?
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        var room = try Classroom(style: printing.style)
        guard let review = room.tutor.reviews().first else {
            return try printing.print(LessonNoteReport("Nothing was solved yet that could be asked again."))
        }
        guard now || review.due <= Date() else {
            let day = review.due.formatted(.iso8601.year().month().day())
            return try printing.print(
                LessonNoteReport("Nothing is due before \(day). `quipu lesson review --now` asks all the same."))
        }
        let prompt = room.tutor.otherPrompt()
        try room.save()
        room = try Classroom(model: model, prompt: prompt, style: printing.style)
        room.tutor.begin(review)
        try room.save()
        try printing.print(try room.stepReport())
    }
}

struct ClassCommand: ParsableCommand {
    static let configuration = LessonCommand.configuration(
        "class", "For teachers: what a class has done, from files that `lesson export` wrote into a folder.",
        example: "class my-class --prompts")
    @Argument(help: "The folder.", completion: .directory) var folder: String
    @Flag(help: "Name a text for each learner, so that answers differ; after the course's last, its first again.")
    var prompts = false
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        let course = try Course(folder: Classroom.courseFolder(try LessonProgress.read(Classroom.progressPath)))
        let roll = try ClassRoll(folder: folder)
        let tasks = try CodeTasks(folder: LessonFolder.path(), course: course)
        try printing.print(ClassReport(roll, course, tasks, givesPrompts: prompts))
    }
}

struct CertificateCommand: ParsableCommand {
    static let configuration = LessonCommand.configuration(
        "certificate", "Write a page to keep: what you answered, on which model, in HTML.",
        example: "certificate course.html --name \"A. Learner\"")
    @Argument(help: "The file to write.", completion: .file()) var file: String
    @Option(help: "A name to put on it.") var name: String?
    @Flag(help: "Replace it if it is there.") var force = false
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        let room = try Classroom(style: printing.style)
        let tasks = try CodeTasks(folder: LessonFolder.path(), course: room.tutor.course)
        guard force || PathKind(at: file) == .missing else {
            throw InputError("\(file): there is a file of this name. Choose another, or give --force to replace it.")
        }
        let page = CertificatePage(room.tutor, tasks, name: name)
        try Folders.write(Data(page.html().utf8), to: URL(filePath: file), advice: "Name another file.")
        let (solved, count) = page.solved
        try printing.print(LessonNoteReport("Written: \(file), \(solved) of \(count) solved.", file: file))
    }
}
