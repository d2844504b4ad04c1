import Foundation
import Lessons
import ProgramFiles

/// Runs a Python file of the learner's, within limits, on prepared cases. Only `quipu lesson check FILE.py` does so.
struct PythonRun {
    private let python: String
    private let harness: String
    private let folder: URL

    /// - Parameter folder: holds the cases.
    init(harness: String, folder: URL) throws {
        (self.harness, self.folder) = (harness, folder)
        python = try CodeLimits.tool(
            "Python", named: "QUIPU_PYTHON", ["python3", "python"], install: "Install Python 3.9 or newer with NumPy")
    }

    /// What the functions of a file give, and what the file printed.
    ///
    /// - Throws: `InputError` if Python cannot run it; `CodeEnded` if it was ended.
    func run(_ file: String, _ functions: [String]) throws -> (run: CodeRun, printed: String) {
        let (result, begun) = (folder.appending(path: "result.json"), folder.appending(path: "begun"))
        for file in [result, begun] { try? FileManager.default.removeItem(at: file) }
        let begin = ContinuousClock.now
        var child = ChildProgram(path: python, seconds: Double(2 * CodeLimits.seconds), longest: CodeLimits.output)
        for name in ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"] { child.environment[name] = "1" }
        child.environment["PYTHONDONTWRITEBYTECODE"] = "1"
        let outcome: ChildProgram.Outcome
        do {
            outcome = try child.run(
                [harness, folder.path, file, "\(CodeLimits.seconds)", "\(CodeLimits.megabytes)"] + functions)
        } catch {
            throw InputError("\(python): cannot be run: \(FileProblem.reason(of: error))")
        }
        let cases = folder.appending(path: "cases.json")
        if !Self.isThere(begun), Self.isThere(cases) { throw notBegun(outcome) }
        guard Self.isThere(result) else { throw Self.ended(outcome, after: .now - begin) }
        guard let run = try? CodeRun(folder: folder) else {
            throw CodeEnded(
                says: "It left no result that can be read. Does it change `json`, or files in the folder where it runs?"
            )
        }
        return (run, outcome.output + outcome.errors)
    }

    private static func isThere(_ file: URL) -> Bool { FileManager.default.fileExists(atPath: file.path) }

    /// Why not even the harness came to the learner's file. Python, not the learner, is at fault.
    private func notBegun(_ outcome: ChildProgram.Outcome) -> InputError {
        let other = "name another Python: QUIPU_PYTHON=/path/to/python3"
        if outcome.status == 3 {
            return InputError(
                "\(python) has no NumPy, which code tasks use. Install it: \(python) -m pip install numpy. Or \(other)")
        }
        let said = outcome.errors.split(whereSeparator: \.isNewline).last.map { " and said: \($0)" } ?? ""
        return InputError(
            "\(python): it ended with status \(outcome.status) before it ran your file\(said). Expected Python 3.9 or newer "
                + "with NumPy; \(other)")
    }

    /// Why there is no result.
    private static func ended(_ outcome: ChildProgram.Outcome, after duration: Duration) -> CodeEnded {
        let hint = ", or a loop where NumPy has one function for all"
        if let ended = CodeLimits.ending(outcome, after: duration, hint: hint) { return ended }
        switch outcome.status - 128 {
        case SIGSEGV, SIGBUS, SIGILL:
            return CodeEnded(
                says: "Python crashed (signal \(outcome.status - 128)). Does a function call itself without an end?")
        case 1...: return CodeEnded(says: "It was ended by signal \(outcome.status - 128).")
        default: return CodeEnded(says: "It ended the program. A function gives its result back with `return`.")
        }
    }
}
