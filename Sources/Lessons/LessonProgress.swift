import Foundation
import ProgramFiles
import Yams

/// What a learner has done: one file that people can read, and edit.
///
/// Lessons and questions are kept by id; those that this version does not know are kept too.
public struct LessonProgress: Codable, Sendable, Equatable {
    /// The model that questions are about, and the trace of it.
    public struct Model: Codable, Sendable, Equatable {
        public var path: String
        /// Lower-case hexadecimal.
        public var sha256: String
        /// Bytes and time of change of the file when it was hashed: while both stay, it is not hashed again.
        public var size: Int
        public var modified: Double
        public var prompt: String
        public var trace: String

        public init(path: String, sha256: String, size: Int, modified: Double, prompt: String, trace: String) {
            (self.path, self.sha256, self.size, self.modified) = (path, sha256, size, modified)
            (self.prompt, self.trace) = (prompt, trace)
        }
    }

    public struct Question: Codable, Sendable, Equatable {
        public var solved = false
        /// To be asked again.
        public var due = false
        public var attempts = 0
        /// Rungs of the ladder that were shown.
        public var hints = 0
        /// The model on which it was solved, by its hash.
        public var model: String?
        public var at: String?
        /// Known mistakes that were made, by the beginning of what was said of them, and how often.
        public var mistakes: [String: Int]?
        /// How often it was asked again after it was solved.
        public var reviews: Int?

        public init() {}

        fileprivate var counts: [Int] { [attempts, hints, reviews ?? 0] + (mistakes?.values.map(\.self) ?? []) }

        /// Whether it is answered, and not being asked again.
        public var isSettled: Bool { solved && !due }

        /// Notes a known mistake.
        mutating func add(mistake: String) {
            let key = String(mistake.split(whereSeparator: \.isWhitespace).joined(separator: " ").prefix(60))
            guard mistakes?.count ?? 0 < 20 || mistakes?[key] != nil else { return }
            var made = mistakes ?? [:]
            made[key, default: 0] += 1
            mistakes = made
        }
    }

    static let newest = 1
    /// That anything was done or shown, in a file that anybody may have written.
    private static let mostTimes = 1_000_000

    public var version = LessonProgress.newest
    public var model: Model?
    public var lesson: String?
    /// From 0.
    public var step = 0
    /// By `lesson/question`.
    public var questions: [String: Question] = [:]
    /// What was guessed, by `lesson/prediction`; empty: nothing. `nil`: this file is from before there were any.
    public var guesses: [String: String]?
    /// The way through the lessons that was chosen, by its name in the course; `nil`: all of them.
    public var track: String?
    /// The folder of lessons, if they are not the program's own.
    public var course: String?

    public init() {}

    /// The progress in a file; none if there is no file.
    ///
    /// - Throws: `LessonError` if it is something else.
    public static func read(_ path: String) throws(LessonError) -> LessonProgress {
        guard FileManager.default.fileExists(atPath: path) else { return LessonProgress() }
        let progress: LessonProgress
        do {
            progress = try YAMLDecoder().decode(
                LessonProgress.self, from: try String(contentsOfFile: path, encoding: .utf8))
        } catch {
            throw .badProgress(path: path, reason: Self.words(error))
        }
        let counts = progress.questions.values.flatMap(\.counts)
        if let count = counts.first(where: { !(0...mostTimes).contains($0) }) {
            throw .badProgress(path: path, reason: "found a count of \(count), expected 0 to \(mostTimes)")
        }
        guard progress.version <= newest else {
            throw .newerProgress(path: path, found: progress.version, supported: newest)
        }
        return progress
    }

    private static func words(_ error: any Error) -> String {
        switch error as? DecodingError {
        case .keyNotFound(let key, _): "the key '\(key.stringValue)' is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            "'\(context.codingPath.map(\.stringValue).joined(separator: "."))' is of another kind"
        default: "it is not YAML as quipu writes it"
        }
    }

    /// Writes all of it to a new file that then takes the old one's name: killed at any moment, one of the two is there.
    ///
    /// - Parameter advice: what to do where that fails.
    /// - Throws: `FileProblem`.
    public func write(_ path: String, advice: String = UserFolders.stateAdvice) throws {
        let head = "# Progress in quipu's lessons; `quipu lesson progress` shows it.\n"
        let encoder = YAMLEncoder()
        encoder.options.sortKeys = true
        try Folders.write(Data((head + (try encoder.encode(self))).utf8), to: URL(filePath: path), advice: advice)
    }

    /// Gives renamed lessons and questions their new ids.
    public mutating func adopt(_ course: Course) {
        for lesson in course.lessons {
            if let current = self.lesson, lesson.aliases.contains(current) { self.lesson = lesson.id }
            for question in lesson.questions {
                let key = "\(lesson.id)/\(question.id)"
                for oldLesson in [lesson.id] + lesson.aliases {
                    for old in [question.id] + question.aliases where "\(oldLesson)/\(old)" != key {
                        guard let note = questions.removeValue(forKey: "\(oldLesson)/\(old)") else { continue }
                        if questions[key]?.solved != true { questions[key] = note }
                    }
                }
            }
        }
    }
}

extension LessonProgress {
    /// Adds other progress: what is solved in either stays solved.
    public mutating func merge(_ other: LessonProgress) {
        for (key, note) in other.questions {
            var merged = questions[key] ?? note
            merged.solved = merged.solved || note.solved
            merged.due = (merged.due || note.due) && !merged.solved
            merged.attempts = max(merged.attempts, note.attempts)
            merged.hints = max(merged.hints, note.hints)
            merged.reviews = [merged.reviews, note.reviews].compactMap(\.self).max()
            if let theirs = note.mistakes {
                merged.mistakes = (merged.mistakes ?? [:]).merging(theirs, uniquingKeysWith: max)
            }
            (merged.model, merged.at) = (merged.model ?? note.model, merged.at ?? note.at)
            questions[key] = merged
        }
        if let theirs = other.guesses { guesses = (guesses ?? [:]).merging(theirs) { mine, _ in mine } }
        if lesson == nil { (lesson, step) = (other.lesson, other.step) }
    }
}
