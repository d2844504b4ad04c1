import ArgumentParser
import EmbeddedModel
import Foundation
import Lessons
import Presentation
import ProgramFiles

struct LintLessons: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lint",
        abstract: "For those who write lessons: prove every question on models.",
        discussion: """
            Every question must have hints, take the answer that its query computes, refuse blanks, defaults, its own \
            mistakes and every number of its text, and name each mistake on at least one of the models; every command must \
            run; every sentence that carries a check must be true on each. Says which lessons hold on which model, and why \
            the others do not. Exit status 1 if anything is wrong.

            Example:
              quipu lesson lint --lessons lessons
            """)

    @Option(help: "A model to try the lessons on; repeatable. (default: the embedded one)", completion: .model)
    var model: [String] = []
    @Option(help: "A folder with lessons. (default: those that come with the program)", completion: .directory)
    var lessons: String?
    @Option(help: "Only lessons of this number or name; repeatable.") var only: [String] = []
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() throws {
        var course = try Course(folder: lessons ?? LessonFolder.path())
        if !only.isEmpty { course = try course.keeping(only) }
        var lint = LessonLint(course)
        let models = model.isEmpty ? [try EmbeddedModel.path()] : model
        let plan = try Self.plan(course, models)
        let scratch = try ScratchFolder("lint")
        defer { scratch.remove() }
        let folder = scratch.url
        var made = 0
        var tried: [(path: String, lessons: [Lesson])] = []
        for (model, lessons) in plan {
            Terminal.complain("quipu: \(model)")
            let recording = try LessonRecording.prepared(
                for: nil, model: model, prompt: nil, course: course, folder: folder)
            let subject = try LessonProgram.subject(recording, folder: folder)
            tried.append((subject.file.path, lessons))
            lint.check(
                subject, lessons: lessons,
                run: { line, out in try Self.fault(line, recording, out: out) },
                out: {
                    made += 1
                    return folder.appending(path: "made-\(made)").path
                })
        }
        lint.finish()
        try printing.print(LessonLintReport(course, lint, models: tried))
        if !lint.problems.isEmpty { throw ExitCode(1) }
    }

    /// Which lessons are tried on which model: each on all, save those that bring one because a model is not their kind.
    private static func plan(_ course: Course, _ models: [String]) throws -> [(model: String, lessons: [Lesson])] {
        var plan = models.map { (model: $0, lessons: [Lesson]()) }
        for lesson in course.lessons {
            var tried: Set<String> = []
            for model in models {
                let path = try LessonProgram.model(broughtBy: lesson, insteadOf: model) ?? model
                guard tried.insert(path).inserted else { continue }
                if let index = plan.firstIndex(where: { $0.model == path }) {
                    plan[index].lessons.append(lesson)
                } else {
                    plan.append((path, [lesson]))
                }
            }
        }
        return plan.filter { !$0.lessons.isEmpty }
    }

    /// Runs a command of a lesson.
    ///
    /// - Returns: what is wrong with it.
    private static func fault(
        _ line: String, _ recording: LessonProgress.Model, out: String?
    ) throws -> String? {
        guard let words = OwnProgram.words(line) else { return "a quote is not closed" }
        let filled = LessonProgram.filled(words, recording).map { $0.replacing("OUT", with: out ?? "OUT") }
        let outcome = try OwnProgram.run(filled)
        if outcome.status != 0 { return "ends with status \(outcome.status): \(outcome.errors.prefix(200))" }
        // The text as the model goes on with it is not folded; a file counts by its name.
        let prompts = [recording.prompt] + zip(filled, filled.dropFirst()).filter { $0.0 == "--prompt" }.map(\.1)
        let wide = outcome.output.split(separator: "\n").first { line in
            !prompts.contains(where: line.contains) && withoutFolders(line).count > 80
        }
        return wide.map { "prints a line of \($0.count) columns: \($0)" }
    }

    /// A line in which every path is its last part: how long folders are named is no fault of a lesson.
    private static func withoutFolders(_ line: Substring) -> String {
        line.split(separator: " ", omittingEmptySubsequences: false).map { word in
            word.count > 20 && word.contains("/") ? String(word.split(separator: "/").last ?? word) : String(word)
        }.joined(separator: " ")
    }
}
