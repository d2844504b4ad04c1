import Foundation
import Lessons
import ProgramFiles

/// Runs a Python file of the learner's, within limits, on prepared cases. Only `quipu lesson check FILE.py` does so.
struct PythonRun {
    /// Seconds of processor time; twice as long is waited.
    static let seconds = 10
    /// Memory, in MB.
    static let megabytes = 4096

    private let python: String
    private let harness: String
    private let folder: URL

    /// - Parameter folder: holds the cases.
    init(harness: String, folder: URL) throws {
        (self.harness, self.folder) = (harness, folder)
        python = try Self.found()
    }

    /// `$QUIPU_PYTHON`, else `python3` or `python` on the path.
    private static func found() throws -> String {
        let environment = ProcessInfo.processInfo.environment
        let manager = FileManager.default
        if let named = environment["QUIPU_PYTHON"], !named.isEmpty {
            guard manager.isExecutableFile(atPath: named) else {
                throw InputError("\(named): found no program there, expected Python. Correct $QUIPU_PYTHON.")
            }
            return named
        }
        for name in ["python3", "python"] {
            for folder in (environment["PATH"] ?? "").split(separator: ":") {
                let path = "\(folder)/\(name)"
                if manager.isExecutableFile(atPath: path) { return path }
            }
        }
        throw InputError(
            "found no `python3` on the PATH, which runs code tasks. Install Python 3.9 or newer with NumPy, or say where "
                + "it is: QUIPU_PYTHON=/path/to/python3")
    }

    /// What the functions of a file give, and what the file printed.
    ///
    /// - Throws: `InputError` if Python cannot run it; `PythonLimit` if it was ended.
    func run(_ file: String, _ functions: [String]) throws -> (run: CodeRun, printed: String) {
        let result = folder.appending(path: "result.json")
        try? FileManager.default.removeItem(at: result)
        var child = ChildProgram(path: python, seconds: Double(2 * Self.seconds), longest: 1 << 16)
        for name in ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"] { child.environment[name] = "1" }
        child.environment["PYTHONDONTWRITEBYTECODE"] = "1"
        let outcome: ChildProgram.Outcome
        do {
            outcome = try child.run(
                [harness, folder.path, file, "\(Self.seconds)", "\(Self.megabytes)"] + functions)
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
        let signals: [Int32] = [SIGXCPU, SIGALRM, SIGKILL].map { 128 + $0 }
        if outcome.isLate || signals.contains(outcome.status) {
            return PythonLimit(
                says:
                    "It was ended after \(seconds) seconds. Is there a loop without an end, or a loop where NumPy has "
                    + "one function for all?")
        }
        let said = outcome.errors.split(separator: "\n").last.map { ": \($0)" } ?? ""
        return PythonLimit(says: "Python ended with status \(outcome.status)\(said)")
    }
}

/// That a learner's code was ended before its end.
struct PythonLimit: Error {
    let says: String
}
