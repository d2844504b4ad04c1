import ArgumentParser
import Foundation
import Lessons
import Presentation
import ProgramFiles

struct CodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "code",
        abstract: "Functions to write in Python: a quantiser, RMSNorm, RoPE, attention, at the end a layer.",
        usage: "quipu lesson code [NAME] [--output FILE] [options]",
        discussion: """
            `lesson code NAME` writes a file to begin with: one function, what it takes and gives, an example. Fill it in, \
            and `lesson check FILE.py` calls it on blocks of your model that the file does not show, compares, and names \
            the mistake if it is one that others made. Needs Python 3 with NumPy: `python3` on the PATH, or $QUIPU_PYTHON. \
            Your code runs when you say `check`, never otherwise: as you, for \(PythonRun.seconds) seconds, with up to \
            \(PythonRun.megabytes / 1024) GB of memory.

            Example:
              quipu lesson code q4_0
            """)

    @Argument(help: "The task. (default: lists them)") var name: String?
    @Option(name: .shortAndLong, help: "The file to write. (default: NAME.py)", completion: .file())
    var output: String?
    @Flag(help: "Replace it if it is there.") var force = false
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        let room = try Classroom(style: printing.style)
        let tasks = try CodeTasks(folder: LessonFolder.path(), course: room.tutor.course)
        guard let name else {
            return try printing.print(CodeListReport(tasks, room.tutor.course, room.tutor.progress))
        }
        let task = try tasks.task(name)
        let path = output ?? "\(task.id).py"
        let kind = PathKind(at: path)
        if let words = kind.words { throw InputError("\(path): it is \(words), expected a file to write.") }
        guard force || kind == .missing else {
            throw InputError(
                "\(path): there is a file of this name. Choose another with --output, or give --force to replace it.")
        }
        let text = try task.starter(for: room.ownSubject())
        try Folders.write(Data(text.utf8), to: URL(filePath: path), advice: "Name another file with --output.")
        try printing.print(
            LessonNoteReport(
                "Written: \(path)\nFill in `\(task.function)`, then: quipu lesson check \(path.quotedIfNeeded)",
                file: path))
    }
}

/// A learner's Python file, graded.
enum CodeCheck {
    /// The task that a file names in its first lines.
    ///
    /// - Returns: `nil` if it is no Python file.
    static func task(of path: String, _ tasks: () throws -> CodeTasks) throws -> (CodeTask, CodeTasks)? {
        guard path.lowercased().hasSuffix(".py") else { return nil }
        if let words = PathKind(at: path).words {
            throw InputError("\(path): it is \(words), expected a Python file.")
        }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw InputError(
                "\(path): found no such file, expected one that `quipu lesson code` wrote. Check the path.")
        }
        guard data.count < 1 << 20, let text = String(data: data, encoding: .utf8) else {
            throw InputError("\(path): found no text of less than 1 MB, expected a Python file.")
        }
        let tasks = try tasks()
        let mark = text.split(separator: "\n").prefix(5).first { $0.hasPrefix(CodeTask.mark) }
        guard let name = mark?.dropFirst(CodeTask.mark.count).trimmingCharacters(in: .whitespaces) else {
            throw InputError(
                "\(path): found no line `\(CodeTask.mark)NAME` at its beginning, which says what the file is for. "
                    + "Names: \(tasks.tasks.map(\.id).joined(separator: ", "))")
        }
        return (try tasks.task(name), tasks)
    }

    static func check(_ path: String, _ task: CodeTask, _ tasks: CodeTasks, _ room: inout Classroom) throws
        -> CodeVerdictReport
    {
        let subject = try room.ownSubject()
        let cases = try CodeCases(task, of: subject, seed: Int.random(in: 1...999_983))
        let scratch = try ScratchFolder("code")
        defer { scratch.remove() }
        try cases.write(to: scratch.url)
        let python = try PythonRun(harness: tasks.harness, folder: scratch.url)
        var printed = ""
        let verdict: CodeVerdict
        do {
            let learner = try python.run(URL(filePath: path).standardizedFileURL.path, [task.function])
            printed = learner.printed
            verdict = try CodeJudge(cases).verdict(learner.run) {
                let file = scratch.url.appending(path: "wrong.py")
                try task.write(wrongTo: file)
                return try python.run(file.path, ["wrong_*"]).run
            }
        } catch let limit as PythonLimit {
            verdict = .ended(limit.says, cases: task)
        }
        room.tutor.note(task, isRight: verdict.isRight)
        try room.save()
        return CodeVerdictReport(task, verdict, printed: printed, next: tasks.after(task, room.tutor.progress))
    }
}
