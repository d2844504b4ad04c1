import Foundation
import ProgramFiles

/// What a learner's code may use, whatever language it is in, and the programs that run it.
enum CodeLimits {
    /// Of processor time; twice as long is waited.
    static let seconds = 10
    /// Of memory.
    static let megabytes = 4096
    /// Bytes that are kept of what the code prints.
    static let output = 1 << 16

    /// The program that an environment variable names, else the first of some names on the path.
    ///
    /// - Parameters:
    ///   - language: in words.
    ///   - install: what to do where there is none.
    static func tool(_ language: String, named variable: String, _ names: [String], install: String) throws -> String {
        let environment = ProcessInfo.processInfo.environment
        let manager = FileManager.default
        if let named = environment[variable], !named.isEmpty {
            guard manager.isExecutableFile(atPath: named) else {
                throw InputError("\(named): found no program there, expected \(language). Correct $\(variable).")
            }
            return named
        }
        for name in names {
            for folder in (environment["PATH"] ?? "").split(separator: ":") {
                let path = "\(folder)/\(name)"
                if manager.isExecutableFile(atPath: path) { return path }
            }
        }
        throw InputError(
            "found no `\(names[0])` on the PATH, which code tasks in \(language) need. \(install), or say where it is: "
                + "\(variable)=/path/to/\(names[0])")
    }

    /// That code took too long or was ended otherwise from outside, if it was.
    ///
    /// - Parameter duration: how long it ran.
    static func ending(_ outcome: ChildProgram.Outcome, after duration: Duration, hint: String = "") -> CodeEnded? {
        let signal = outcome.status - 128
        // At its limit of processor time, the system ends a program in one way or the other.
        let isLate = outcome.isLate || signal == SIGXCPU || signal == SIGALRM
        if isLate || signal == SIGKILL && duration >= .seconds(seconds) {
            let after = max(duration.components.seconds, Int64(seconds))
            let ask = "Is there a loop or a recursion without an end\(hint), or does it wait?"
            return CodeEnded(says: "It was ended after \(after) seconds. \(ask)")
        }
        guard signal == SIGKILL else { return nil }
        return CodeEnded(
            says: "It was ended from outside, or by itself (signal 9). Does it take more memory than there is?")
    }
}

/// That a learner's code came to no end of its own.
struct CodeEnded: Error {
    let says: String
}
