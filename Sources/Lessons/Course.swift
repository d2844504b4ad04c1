import Foundation
import ProgramFiles

/// All lessons, in order.
public struct Course: Sendable {
    public let lessons: [Lesson]
    /// What is traced for learners who name no prompt of their own.
    public let prompt: String
    /// Tokens generated after it.
    public let generate: Int
    /// Other texts, for reviews and for classes.
    let prompts: [String]
    /// All its texts, `prompt` first.
    public var texts: [String] { [prompt] + prompts }
    /// Ways through the lessons: a name, and lessons by id.
    public let tracks: [String: [String]]
    /// What names in the queries of all lessons stand for.
    let definitions: [String: Query]

    /// What a folder with lessons has beside them.
    static let headFile = "course.yml"

    private struct Head: Decodable {
        let prompt: String
        let generate: Int
        let prompts: [String]?
        let tracks: [String: [String]]?
        let names: [String: String]

        private enum CodingKeys: String, CodingKey, CaseIterable {
            case prompt, generate, prompts, tracks
            case names = "let"
        }
        static let keys = CodingKeys.allCases.map(\.rawValue)
    }

    /// Reads `course.yml` and the `NN-name.md` of a folder.
    ///
    /// - Throws: `LessonError` with file, part and what was expected.
    public init(folder: String) throws {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder), isFolder.boolValue else {
            throw LessonError.noFolder(path: folder)
        }
        let url = URL(filePath: folder)
        let headFile = url.appending(path: Self.headFile).path
        let head: Head = try YAMLSource.decode(try LessonText.read(headFile), keys: Head.keys) {
            .format(file: headFile, part: "course", reason: $0)
        }
        (prompt, generate) = (head.prompt, head.generate)
        (prompts, tracks) = (head.prompts ?? [], head.tracks ?? [:])
        let shared = try QuestionParser.attempt({ .format(file: headFile, part: "let", reason: $0) }) {
            () throws(QueryProblem) in try Definitions.parsed(head.names)
        }
        definitions = shared
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".md") }.sorted()
        lessons = try names.compactMap { name in
            guard let number = Int(name.prefix { $0.isNumber }) else { return nil }
            let file = url.appending(path: name).path
            return try LessonParser(file: name, number: number, shared: shared).parse(try LessonText.read(file))
        }
        guard !lessons.isEmpty else {
            throw LessonError.format(file: folder, part: "folder", reason: "expected lessons, 01-name.md and on")
        }
        let ids = Set(lessons.map(\.id))
        for (track, lessons) in tracks {
            guard let unknown = lessons.first(where: { !ids.contains($0) }) else { continue }
            throw LessonError.format(
                file: headFile, part: "tracks",
                reason: "found '\(unknown)' in '\(track)', expected the name of a lesson")
        }
        try checkIds()
    }

    /// Ids must be unique, earlier ones included: progress is kept by them.
    private func checkIds() throws(LessonError) {
        var seen: Set<String> = []
        for lesson in lessons {
            for id in [lesson.id] + lesson.aliases where !seen.insert(id).inserted {
                throw .format(file: lesson.file, part: "id", reason: "'\(id)' is taken by an earlier lesson")
            }
            var own: Set<String> = []
            for question in lesson.questions {
                for id in [question.id] + question.aliases where !own.insert(id).inserted {
                    throw .format(file: lesson.file, part: "question", reason: "the id '\(id)' is there twice")
                }
            }
        }
    }

    /// The lesson of this number, id or earlier id.
    public func lesson(_ name: String) throws(LessonError) -> Lesson {
        let found = lessons.first {
            $0.id == name || $0.aliases.contains(name) || Int(name) == $0.number
        }
        guard let found else { throw .noLesson(name: name, known: lessons.map { "\($0.number) \($0.id)" }) }
        return found
    }
}

extension Course {
    private init(lessons: [Lesson], of course: Course) {
        (self.lessons, prompt, generate) = (lessons, course.prompt, course.generate)
        (definitions, prompts, tracks) = (course.definitions, course.prompts, course.tracks)
    }

    /// Only these lessons, by number or id.
    public func keeping(_ names: [String]) throws(LessonError) -> Course {
        var kept: [Lesson] = []
        for name in names { kept.append(try lesson(name)) }
        return Course(lessons: kept, of: self)
    }
}

/// A file of a course.
enum LessonText {
    static func read(_ path: String) throws(LessonError) -> String {
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw .unreadable(path: path, reason: FileProblem.reason(of: error))
        }
    }
}
