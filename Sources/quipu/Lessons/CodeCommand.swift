import ArgumentParser
import Foundation
import Lessons
import Presentation
import ProgramFiles

struct CodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "code",
        abstract: "Functions to write in Python or Swift: a quantiser, RMSNorm, RoPE, attention, at the end a layer.",
        usage: "quipu lesson code [NAME] [--output FILE] [options]",
        discussion: """
            `lesson code NAME` writes a file to begin with: one function, what it takes and gives, an example. Fill it in, \
            and `lesson check FILE` calls it on blocks of your model that the file does not show, compares, and names \
            the mistake if it is one that others made. Python needs version 3 with NumPy: `python3` on the PATH, or \
            $QUIPU_PYTHON. Swift needs the compiler, `swiftc` or $QUIPU_SWIFTC; known mistakes are named where Python is \
            there too. Your code runs when you say `check`, never otherwise: as you, for \(CodeLimits.seconds) seconds, \
            with up to \(CodeLimits.megabytes / 1024) GB of memory.

            Example:
              quipu lesson code q4_0
            """)

    @Argument(help: "The task. (default: lists them)") var name: String?
    @Option(name: .shortAndLong, help: "The file to write. (default: NAME.py, or NAME.swift)", completion: .file())
    var output: String?
    @Option(help: "python or swift. (default: what --output ends in, else python)") var language: CodeLanguage?
    @Flag(help: "Replace it if it is there.") var force = false
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        let room = try Classroom(style: printing.style)
        let tasks = try CodeTasks(folder: LessonFolder.path(), course: room.tutor.course)
        guard let name else {
            return try printing.print(CodeListReport(tasks, room.tutor.course, room.tutor.progress))
        }
        let task = try tasks.task(name)
        let language = self.language ?? output.flatMap(CodeLanguage.init(path:)) ?? .python
        let path = output ?? "\(task.id).\(language.fileExtension)"
        guard CodeLanguage(path: path) == language else {
            throw InputError(
                "\(path): expected a name that ends in .\(language.fileExtension), by which `lesson check` knows the language."
            )
        }
        let kind = PathKind(at: path)
        if let words = kind.words { throw InputError("\(path): it is \(words), expected a file to write.") }
        guard force || kind == .missing else {
            throw InputError(
                "\(path): there is a file of this name. Choose another with --output, or give --force to replace it.")
        }
        let about = try CodeSubject(task, room)
        let text = try task.starter(for: about.subject, in: language, file: path.quotedIfNeeded, note: about.note)
        try Folders.write(Data(text.utf8), to: URL(filePath: path), advice: "Name another file with --output.")
        try printing.print(
            LessonNoteReport(
                "Written: \(path)\nFill in `\(task.function)`, then: quipu lesson check \(path.quotedIfNeeded)",
                file: path))
    }
}

extension CodeLanguage: ExpressibleByArgument {}

/// A learner's file, graded.
enum CodeCheck {
    /// A file of code, and the task that it names in its first lines.
    struct File {
        let path: String
        let language: CodeLanguage
        let task: CodeTask
        let tasks: CodeTasks

        /// - Returns: `nil` if it is no file of code.
        init?(_ path: String, _ tasks: () throws -> CodeTasks) throws {
            guard let language = CodeLanguage(path: path) else { return nil }
            if let words = PathKind(at: path).words {
                throw InputError("\(path): it is \(words), expected a \(language.title) file.")
            }
            guard let data = FileManager.default.contents(atPath: path) else {
                throw InputError(
                    "\(path): found no such file, expected one that `quipu lesson code` wrote. Check the path.")
            }
            guard data.count < 1 << 20, let text = String(data: data, encoding: .utf8) else {
                throw InputError("\(path): found no text of less than 1 MB, expected a \(language.title) file.")
            }
            let tasks = try tasks()
            let mark = text.split(whereSeparator: \.isNewline).prefix(5).first { $0.hasPrefix(language.mark) }
            guard let name = mark?.dropFirst(language.mark.count).trimmingCharacters(in: .whitespaces) else {
                throw InputError(
                    "\(path): found no line `\(language.mark)NAME` at its beginning, which says what the file is for. "
                        + "Names: \(tasks.tasks.map(\.id).joined(separator: ", "))")
            }
            (self.path, self.language, self.tasks, task) = (path, language, tasks, try tasks.task(name))
        }
    }

    static func check(_ file: File, _ room: inout Classroom) throws -> CodeVerdictReport {
        let (task, tasks) = (file.task, file.tasks)
        let about = try CodeSubject(task, room)
        let cases = try CodeCases(task, of: about.subject, seed: Int.random(in: 1...999_983))
        let scratch = try ScratchFolder("code")
        defer { scratch.remove() }
        let path = URL(filePath: file.path).standardizedFileURL.path
        var printed = ""
        let verdict: CodeVerdict
        do {
            let learner =
                switch file.language {
                case .python: try python(path, [task.function], cases, tasks, scratch.url)
                case .swift:
                    try SwiftRun(harness: tasks.harness(of: .swift), cases: cases, folder: scratch.url).run(path)
                }
            printed = learner.printed
            verdict = try CodeJudge(cases).verdict(learner.run) {
                let wrong = scratch.url.appending(path: "wrong.py")
                try task.write(wrongTo: wrong)
                do { return try python(wrong.path, ["wrong_*"], cases, tasks, scratch.url).run } catch is InputError
                    where file.language != .python
                {
                    return CodeRun()  // Python is not there, and nobody said that it would be.
                }
            }
        } catch let ended as CodeEnded {
            verdict = .ended(ended.says, cases: task)
        }
        room.tutor.note(task, isRight: verdict.isRight)
        try room.save()
        return CodeVerdictReport(
            task, verdict, note: about.note, printed: printed, next: tasks.after(task, room.tutor.progress))
    }

    private static func python(
        _ path: String, _ functions: [String], _ cases: CodeCases, _ tasks: CodeTasks, _ folder: URL
    ) throws -> (run: CodeRun, printed: String) {
        try cases.write(to: folder)
        return try PythonRun(harness: tasks.harness(of: .python), folder: folder).run(path, functions)
    }
}
