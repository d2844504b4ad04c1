import Foundation
import ProgramFiles

/// This program, run by itself: lessons show what their commands really print.
enum OwnProgram {
    struct Outcome {
        let status: Int32
        let output: String
        let errors: String
    }

    /// - Throws: `InputError` if the program cannot be started.
    static func run(_ arguments: [String], folder: String? = nil) throws -> Outcome {
        let (process, output, errors) = (Process(), Pipe(), Pipe())
        process.executableURL = ProgramFolder.program
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        (process.standardOutput, process.standardError) = (output, errors)
        if let folder { process.currentDirectoryURL = URL(filePath: folder) }
        do {
            try process.run()
        } catch {
            throw InputError(
                "\(ProgramFolder.program.path): cannot be run again for a lesson: \(FileProblem.reason(of: error))")
        }
        // Both at once: a pipe that nobody empties would stop the other.
        let reading = Reading(errors.fileHandleForReading)
        let printed = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return Outcome(
            status: process.terminationStatus, output: String(decoding: printed, as: UTF8.self),
            errors: String(decoding: reading.wait(), as: UTF8.self))
    }

    /// Reads a pipe to its end on another thread.
    private final class Reading: @unchecked Sendable {
        private let done = DispatchSemaphore(value: 0)
        // Written before `done` is signalled, read after it: never at the same time.
        private var data = Data()

        init(_ handle: FileHandle) {
            Thread.detachNewThread { [self] in
                data = (try? handle.readToEnd()) ?? Data()
                done.signal()
            }
        }

        func wait() -> Data {
            done.wait()
            return data
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
