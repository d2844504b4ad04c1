import ArgumentParser
import Foundation
import Presentation
import Recording
import Tracing

struct DiffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Compare two traces, operation by operation.",
        usage: "quipu diff [A] [B] [options]",
        discussion: """
            Values are compared to the bit; NMSE is the squared error over the squares of A, KL in nats. With one trace, or \
            none for the last written, it is compared with the parent it was made from (`trace --from`). Traces of two \
            files of one model can be compared as well. Exit status 2 if anything differs.

            Example:
              quipu diff trace.db trace.db
            """)

    @Argument(help: "The trace to compare with. (default: the parent of B)", completion: .trace) var a: String?
    @Argument(help: "The trace to compare. (default: the last one written)", completion: .trace) var b: String?
    @Option(help: "The run of A, by its id. (default: the newest)") var runA: Int?
    @Option(help: "The run of B, by its id. (default: the newest)") var runB: Int?
    @Option(help: "Different operations to list.") var limit = 12
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if limit < 0 { throw ValidationError("--limit takes 0 or more") }
        if b == nil, runA != nil { throw ValidationError("--run-a needs two traces; the parent is known by itself") }
    }

    func run() throws {
        let child: TraceDiff.Side, other: TraceDiff.Side
        if let b {
            (other, child) = (try side(a, run: runA), try side(b, run: runB))
        } else {
            child = try side(a, run: runB)
            other = try parent(of: child)
        }
        let diff = try TraceDiff(other, child)
        try printing.print(DiffReport(diff, shown: limit))
        if !diff.isIdentical { throw ExitCode(2) }
    }

    private func side(_ path: String?, run: Int?) throws -> TraceDiff.Side {
        let store = try LastTrace.open(path)
        return TraceDiff.Side(store, try store.run(id: run))
    }

    private func parent(of child: TraceDiff.Side) throws -> TraceDiff.Side {
        guard let parent = child.run.parent else { throw DiffProblem.noParent(path: child.store.path) }
        guard FileManager.default.fileExists(atPath: parent.path) else {
            throw DiffProblem.parentMissing(path: child.store.path, parent: parent)
        }
        let store = try LastTrace.open(parent.path)
        // A trace of an earlier version knows no names of runs; the newest was the one repeated.
        guard let run = try parent.uuid == nil ? store.run() : store.runs().first(where: { $0.uuid == parent.uuid })
        else { throw DiffProblem.parentMissing(path: child.store.path, parent: parent) }
        return TraceDiff.Side(store, run)
    }
}
