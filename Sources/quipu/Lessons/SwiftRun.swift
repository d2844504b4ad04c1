import Foundation
import Lessons
import ProgramFiles

/// Compiles a learner's Swift file and runs its function, within limits, on prepared cases. Only `quipu lesson check
/// FILE.swift` does so.
struct SwiftRun {
    private let compiler: String
    private let harness: String
    private let folder: URL
    private let cases: CodeCases

    /// - Parameter folder: where it works; holds nothing else.
    init(harness: String, cases: CodeCases, folder: URL) throws {
        (self.harness, self.cases, self.folder) = (harness, cases, folder)
        compiler = try CodeLimits.tool(
            "Swift", named: "QUIPU_SWIFTC", ["swiftc"], install: "Install Swift (swift.org/install)")
    }

    /// What the function gives, and what the file printed.
    ///
    /// - Throws: `InputError` if the compiler cannot be run; `CodeEnded` if the program was ended.
    func run(_ file: String) throws -> (run: CodeRun, printed: String) {
        let program = folder.appending(path: "program").path
        try FileManager.default.copyItem(atPath: file, toPath: folder.appending(path: Self.learner).path)
        let call = folder.appending(path: "main.swift")
        try Data(cases.swiftCall.utf8).write(to: call)
        try cases.write(swiftTo: folder)
        // As one module: one compiler reads the three files together, not three of them each all.
        let flags = ["-O", "-whole-module-optimization", "-g", "-suppress-warnings"]
        let files = [folder.appending(path: Self.learner).path, harness, call.path]
        let compiled = try start(compiler, seconds: 300, flags + files + ["-o", program])
        guard compiled.status == 0 else { return (try notCompiled(compiled), "") }
        // A shell sets limits that it knows; a program cannot undo them.
        let limits =
            "ulimit -t \(CodeLimits.seconds); ulimit -v \(CodeLimits.megabytes << 10); ulimit -f 131072; ulimit -c 0"
        let begin = ContinuousClock.now
        let outcome = try start(
            "/bin/sh", seconds: Double(2 * CodeLimits.seconds),
            ["-c", "{ \(limits); } 2>/dev/null; cd \"$1\" && exec ./program", "sh", folder.path])
        if let ended = CodeLimits.ending(outcome, after: .now - begin) { throw ended }
        let isTrap = outcome.status >= 128
        let ended = isTrap ? trap(outcome) : CodeRun.Fault(kind: CodeRun.Fault.isExit, says: "", line: nil)
        return (CodeRun(folder: folder, of: cases, endedBy: ended), outcome.output + (isTrap ? "" : outcome.errors))
    }

    private static let learner = "learner.swift"

    private func start(_ program: String, seconds: Double, _ arguments: [String]) throws -> ChildProgram.Outcome {
        var child = ChildProgram(path: program, seconds: seconds, longest: CodeLimits.output)
        // Where it stopped, in lines that are read below.
        child.environment["SWIFT_BACKTRACE"] =
            "enable=yes,color=no,threads=crashed,registers=none,images=none,interactive=no,cache=no,limit=64"
        do { return try child.run(arguments) } catch {
            throw InputError("\(program): cannot be run: \(FileProblem.reason(of: error))")
        }
    }

    /// What the compiler says first of the learner's file, or of the call of its function.
    private func notCompiled(_ outcome: ChildProgram.Outcome) throws -> CodeRun {
        let found = outcome.errors.matches(of: /(\w+)\.swift:(\d+):\d+: error: (.*)/)
        if let first = found.first(where: { $0.output.1 == "learner" }) {
            return CodeRun(
                fault: .init(kind: "It does not compile", says: String(first.output.3), line: Int(first.output.2)))
        }
        if let first = found.first {
            let says = "\(first.output.3). Expected `\(cases.swiftSignature)`."
            return CodeRun(fault: .init(kind: "The function cannot be called", says: says, line: nil))
        }
        if outcome.isLate { throw CodeEnded(says: "The compiler was ended after 300 seconds.") }
        let said = outcome.errors.split(separator: "\n").first ?? "no word"
        throw InputError("\(compiler): ended with status \(outcome.status): \(said)")
    }

    /// Why a call came to no end: Swift's own words, and the line of the learner's file.
    private func trap(_ outcome: ChildProgram.Outcome) -> CodeRun.Fault {
        let line = outcome.errors.firstMatch(of: /learner\.swift:(\d+)/).flatMap { Int($0.output.1) }
        let said = outcome.errors.firstMatch(
            of: /(?:Fatal error|Swift runtime failure): (.*?)(?: \*\*\*| in .* at .*)?\n/)
        let says =
            said.map { String($0.output.1) }
            ?? "an index outside an array, a number too large for its type, or nil where a value must be"
        return CodeRun.Fault(
            kind: says == CodeTask.notWritten ? CodeRun.Fault.isUnwritten : "It stopped", says: says, line: line)
    }
}
