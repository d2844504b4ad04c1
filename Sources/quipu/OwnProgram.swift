import Foundation
import ProgramFiles

/// This program, run by itself: lessons and the live page show what its commands really print.
enum OwnProgram {
    typealias Outcome = ChildProgram.Outcome

    /// - Parameters:
    ///   - seconds: after which it is ended; `nil`: never.
    ///   - longest: bytes of what it prints that are kept.
    ///   - isStopped: asked ten times a second; `true` stops the program as Ctrl-C does.
    /// - Throws: `InputError` if the program cannot be started.
    static func run(
        _ arguments: [String], seconds: Double? = nil, longest: Int = .max, isStopped: (() -> Bool)? = nil
    ) throws -> Outcome {
        let path = ProgramFolder.program.path
        do {
            return try ChildProgram(path: path, seconds: seconds, longest: longest).run(arguments, isStopped: isStopped)
        } catch {
            throw InputError("\(path): cannot be run again: \(FileProblem.reason(of: error))")
        }
    }

    /// The words of a command line, as a shell splits them: spaces, quotes of both kinds.
    ///
    /// - Returns: `nil` if a quote is not closed.
    static func words(_ line: String) -> [String]? {
        var (words, word, quote, isWord) = ([String](), "", Character?.none, false)
        for character in line {
            if let open = quote {
                if character == open { quote = nil } else { word.append(character) }
            } else if character == "'" || character == "\"" {
                (quote, isWord) = (character, true)
            } else if character.isWhitespace {
                if isWord { words.append(word) }
                (word, isWord) = ("", false)
            } else {
                word.append(character)
                isWord = true
            }
        }
        if isWord { words.append(word) }
        return quote == nil ? words : nil
    }
}
