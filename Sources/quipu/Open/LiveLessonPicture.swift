import Foundation

/// A command of the lesson's current step, asked again for numbers that the page draws.
enum LiveLessonPicture {
    private struct Step: Decodable {
        struct Passage: Decodable {
            let command: String?
        }

        let model: String
        let trace: String
        let passages: [Passage]
        /// What is shown once the question is answered.
        let after: [Passage]
    }

    /// Commands that only look, and whose numbers make a picture.
    private static let drawn: Set = ["show", "sql"]

    /// - Parameters:
    ///   - index: of the command among those of the step.
    ///   - run: runs a command of this program and gives what it prints.
    /// - Returns: its words with `--json`; `nil` if it makes no picture.
    static func words(ofCommand index: Int, run: ([String]) throws -> Data) throws -> [String]? {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let step = try decoder.decode(Step.self, from: try run(["lesson", "start", "--json"]))
        let commands = (step.passages + step.after).compactMap(\.command)
        guard commands.indices.contains(index), let typed = OwnProgram.words(commands[index])?.dropFirst(),
            let name = typed.first, drawn.contains(name), LessonProgram.objection(to: Array(typed)) == nil
        else { return nil }
        return typed.map { ["TRACE": step.trace, "MODEL": step.model][$0] ?? $0 } + ["--json"]
    }
}
