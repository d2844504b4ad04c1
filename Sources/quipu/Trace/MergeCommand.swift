import ArgumentParser
import Foundation
import Presentation
import Recording

struct MergeCommand: AsyncParsableCommand, StopsInOrder {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Unite traces into one, without losing or doubling a row.",
        usage: "quipu merge OUT IN...",
        discussion: """
            OUT is made, or is a trace that gets what it lacks. What is there already is left alone, so that merging again \
            changes nothing: models are known by their bytes, runs by an identity of their own, and errors of weights by \
            tensor, format and reference.

            Example:
              quipu merge all.db trace.db
            """)

    @Argument(help: "The trace to write to.", completion: .trace) var out: String
    @Argument(help: ArgumentHelp("The traces to add.", valueName: "in"), completion: .trace) var inputs: [String]
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() async throws {
        // Before anything is written: all of them can be read.
        for input in inputs {
            guard !TraceStore.isSameFile(input, out) else { throw TraceError.sameTrace(path: input) }
            _ = try TraceStore.open(path: input)
        }
        let store = try TraceStore.createMerged(path: out)
        var merged: [MergedTrace] = []
        for input in inputs {
            try Task.checkCancellation()
            Terminal.status("adding \(input)")
            merged.append(try store.merge(input))
        }
        Terminal.status("")
        let runs = try store.runs().count
        try store.close()
        let size = try FileManager.default.attributesOfItem(atPath: out)[.size] as? Int ?? 0
        try printing.print(MergeReport(output: out, runs: runs, sizeBytes: size, merged: merged))
    }
}
