import Foundation
import ProgramFiles

/// All lessons, in order.
public struct Course: Sendable {
    public let lessons: [Lesson]
    /// What is traced for learners who name no prompt of their own.
    public let prompt: String
    /// Tokens generated after it.
    public let generate: Int

    /// What a folder with lessons has beside them.
    static let headFile = "course.yml"

    private struct Head: Decodable {
        let prompt: String
        let generate: Int
        let names: [String: String]

        private enum CodingKeys: String, CodingKey, CaseIterable {
            case prompt, generate
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
        let head: Head = try YAMLSource.decode(try Self.text(headFile), keys: Head.keys) {
            .format(file: headFile, part: "course", reason: $0)
        }
        (prompt, generate) = (head.prompt, head.generate)
        let shared = try QuestionParser.attempt({ .format(file: headFile, part: "let", reason: $0) }) {
            () throws(QueryProblem) in try Definitions.parsed(head.names)
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".md") }.sorted()
        lessons = try names.compactMap { name in
            guard let number = Int(name.prefix { $0.isNumber }) else { return nil }
            let file = url.appending(path: name).path
            return try LessonParser(file: name, number: number, shared: shared).parse(try Self.text(file))
        }
        guard !lessons.isEmpty else {
            throw LessonError.format(file: folder, part: "folder", reason: "expected lessons, 01-name.md and on")
        }
        try checkIds()
    }

    private static func text(_ path: String) throws(LessonError) -> String {
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw .unreadable(path: path, reason: FileProblem.reason(of: error))
        }
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
    }

    /// Only these lessons, by number or id.
    public func keeping(_ names: [String]) throws(LessonError) -> Course {
        var kept: [Lesson] = []
        for name in names { kept.append(try lesson(name)) }
        return Course(lessons: kept, of: self)
    }
}
