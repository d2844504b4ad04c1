import Foundation
import ProgramFiles

/// What learners write functions in.
public enum CodeLanguage: String, Sendable, CaseIterable {
    case python, swift

    /// The language of a file of this name.
    public init?(path: String) {
        let name = path.lowercased()
        guard let language = Self.allCases.first(where: { name.hasSuffix("." + $0.fileExtension) }) else { return nil }
        self = language
    }

    public var title: String { rawValue.capitalized }
    public var fileExtension: String { self == .python ? "py" : "swift" }
    /// What begins a comment.
    var comment: String { self == .python ? "#" : "//" }
    /// What the learner's file begins with, and then the task's name, so that it says which task it is for.
    public var mark: String { comment + " quipu lesson code " }
}

/// A function that the learner writes: what it takes and gives on the learner's model, and how it goes wrong.
///
/// Described by `code/NN-name.md` beside the lessons: a head, the contract, and two fences of Python, `start` (what the
/// learner begins with) and `wrong` (functions `wrong_…`, each a mistake made again, whose docstring says what it is).
public struct CodeTask: Sendable {
    struct Argument: Sendable {
        let name: String
        let value: Query
        /// `int`, `float`, `bool`, or NumPy's name for the numbers of an array: `u1`, `i8`, `f4`, `f8`.
        let type: String
        /// Of an array, in NumPy's order.
        let shape: Query?
    }

    /// Kept for good; progress refers to it as `code/ID`.
    public let id: String
    public let title: String
    /// The lesson that it belongs to, by id.
    public let lesson: String
    /// The word for a model that comes with the program: the task is about it where the learner's lacks what it needs. `nil`:
    /// about the learner's in any case.
    public let model: String?
    /// What a file must have: see `Lesson.needs`.
    public let needs: [String]
    /// What must be true of the learner's trace, too, for the task to be about it.
    let holds: Query?
    /// The function's name.
    public let function: String
    /// How many calls are made.
    let cases: Int
    let arguments: [Argument]
    let answer: Argument
    /// The largest error that is forgiven, as a share of a number's size: see `CodeMeasure`.
    let tolerance: Double
    /// How many whole numbers of an answer may be off by one: what lies half-way between two codes may go to either.
    let offByOne: Int
    let definitions: [String: Query]
    let contract: Template
    let start: String
    let wrong: String
    public let file: String

    /// The key of the learner's progress.
    public var key: String { "code/\(id)" }
}

/// All of them.
public struct CodeTasks: Sendable {
    public let tasks: [CodeTask]
    private let folder: URL

    /// - Parameter course: whose folder has a folder `code`.
    public init(folder: String, course: Course) throws {
        let url = URL(filePath: folder).appending(path: "code")
        self.folder = url
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: url.path) else {
            throw LessonError.noFolder(path: url.path)
        }
        tasks = try names.filter { $0.hasSuffix(".md") }.sorted().map { name in
            let file = url.appending(path: name).path
            return try CodeTaskParser(file: file, shared: course.definitions).parse(try LessonText.read(file))
        }
    }

    /// The file that calls a learner's function.
    public func harness(of language: CodeLanguage) -> String {
        folder.appending(path: "harness.\(language.fileExtension)").path
    }

    public func task(_ id: String) throws(LessonError) -> CodeTask {
        guard let task = tasks.first(where: { $0.id == id.lowercased() }) else {
            throw .noCodeTask(name: id, known: tasks.map(\.id))
        }
        return task
    }
}

/// Reads a task.
struct CodeTaskParser {
    let file: String
    let shared: [String: Query]

    private struct Argument: Decodable {
        let name, value, type: String
        let shape: String?
    }

    private struct Head: Decodable {
        let id, title, lesson, function: String
        let cases: Int
        let model: String?
        let needs: [String]?
        let holds: String?
        let names: [String: String]?
        let arguments: [Argument]
        let answer: Argument
        let tolerance: Double?
        let offByOne: Int?

        private enum CodingKeys: String, CodingKey, CaseIterable {
            case id, title, lesson, function, cases, model, needs, holds, arguments, answer, tolerance
            case names = "let"
            case offByOne = "off_by_one"
        }
        static let keys = CodingKeys.allCases.map(\.rawValue)
    }

    func parse(_ text: String) throws -> CodeTask {
        let pieces = text.split(separator: "---\n", maxSplits: 2, omittingEmptySubsequences: false)
        guard pieces.count == 3, pieces[0].isEmpty else {
            throw fault("the head", "expected YAML between two lines of ---")
        }
        let head: Head = try YAMLSource.decode(String(pieces[1]), keys: Head.keys) { fault("the head", $0) }
        if head.needs != nil || head.holds != nil, head.model == nil {
            throw fault("needs", "expected `model` beside it: what the task is about where something is missing")
        }
        let body = String(pieces[2])
        return try QuestionParser.attempt({ fault("the head", $0) }) { () throws(QueryProblem) in
            var arguments: [CodeTask.Argument] = []
            for argument in head.arguments { arguments.append(try parsed(argument)) }
            return CodeTask(
                id: head.id, title: head.title, lesson: head.lesson, model: head.model, needs: head.needs ?? [],
                holds: try head.holds.map { source throws(QueryProblem) in try Query(source) },
                function: head.function, cases: head.cases, arguments: arguments, answer: try parsed(head.answer),
                tolerance: head.tolerance ?? 0, offByOne: head.offByOne ?? 0,
                definitions: shared.merging(try Definitions.parsed(head.names ?? [:])) { $1 },
                contract: try Template(
                    (body.components(separatedBy: "```python").first ?? "").trimmingCharacters(
                        in: .whitespacesAndNewlines)),
                start: Self.fence("start", body), wrong: Self.fence("wrong", body), file: file)
        }
    }

    private func parsed(_ source: Argument) throws(QueryProblem) -> CodeTask.Argument {
        CodeTask.Argument(
            name: source.name, value: try Query(source.value), type: source.type,
            shape: source.shape == nil ? nil : try Query(source.shape!))
    }

    /// The Python of one kind.
    private static func fence(_ kind: String, _ body: String) -> String {
        guard let open = body.range(of: "```python \(kind)\n"),
            let close = body.range(of: "```", range: open.upperBound..<body.endIndex)
        else { return "" }
        return String(body[open.upperBound..<close.lowerBound])
    }

    private func fault(_ part: String, _ reason: String) -> LessonError {
        .format(file: file, part: part, reason: reason)
    }
}

extension CodeTask {
    /// Whether the task can be about a model and its trace.
    public func holds(of subject: Subject) throws(LessonError) -> Bool {
        guard let holds else { return true }
        do { return try CodeCases.evaluator(self, subject, 0, 1).value(holds).truth(for: "holds") } catch {
            throw .query(location: "\(file), holds", problem: error)
        }
    }

    /// Writes the known mistakes as a file of Python.
    public func write(wrongTo file: URL) throws { try Data(wrong.utf8).write(to: file) }
}

extension CodeTasks {
    /// The first task after one that is not solved yet, round the list.
    public func after(_ task: CodeTask, _ progress: LessonProgress) -> CodeTask? {
        let index = tasks.firstIndex { $0.id == task.id } ?? 0
        return (tasks[(index + 1)...] + tasks[...index]).first { progress.questions[$0.key]?.solved != true }
    }
}

extension Tutor {
    /// Remembers what became of a code task.
    public mutating func note(_ task: CodeTask, isRight: Bool) {
        var note = progress.questions[task.key] ?? .init()
        note.attempts += 1
        if isRight {
            (note.solved, note.due) = (true, false)
            (note.model, note.at) = (subject.sha256, Date().formatted(.iso8601))
        }
        progress.questions[task.key] = note
    }
}

extension CodeVerdict {
    /// Of code that came to no end.
    public static func ended(_ says: String, cases task: CodeTask) -> CodeVerdict {
        CodeVerdict(isRight: false, says: says, isKnownMistake: true, right: 0, cases: task.cases)
    }
}
