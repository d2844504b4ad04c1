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
        let result = folder.appending(path: "result.json")
        try? FileManager.default.removeItem(at: result)
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
        if outcome.status == 3 {
            throw InputError(
                "\(python) has no NumPy, which code tasks use. Install it: \(python) -m pip install numpy. Or name another "
                    + "Python: QUIPU_PYTHON=/path/to/python3")
        }
        guard FileManager.default.fileExists(atPath: result.path) else { throw Self.ended(outcome, python) }
        return (try CodeRun(folder: folder), outcome.output + outcome.errors)
    }

    /// Why there is no result.
    private static func ended(_ outcome: ChildProgram.Outcome, _ python: String) -> any Error {
        if let late = CodeLimits.lateness(outcome, hint: ", or a loop where NumPy has one function for all") {
            return late
        }
        let said = outcome.errors.split(separator: "\n").last.map { ": \($0)" } ?? ""
        return CodeEnded(says: "Python ended with status \(outcome.status)\(said)")
    }
}
