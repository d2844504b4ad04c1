import ArgumentParser
import Foundation
import Presentation
import ProgramFiles
import Recording

struct MergeCommand: AsyncParsableCommand, StopsInOrder {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Unite traces, or the parts of long work, without losing or doubling a row.",
        usage: "quipu merge OUT IN...",
        discussion: """
            OUT is made, or is a trace that gets what it lacks. What is there already is left alone, so that merging again \
            changes nothing: models are known by their bytes, runs by an identity of their own, and errors of weights by \
            tensor, format and reference.

            Files of results that long commands wrote with --part are united into one for the whole: all parts of one \
            work, finished, each once.

            Example:
              quipu merge all.db trace.db
            """)

    @Argument(help: "The file to write to.", completion: .trace) var out: String
    @Argument(help: ArgumentHelp("The traces to add, or the parts to unite.", valueName: "in"), completion: .trace)
    var inputs: [String]
    @Flag(help: "Replace OUT if it is a file of results. Traces are always added to.") var force = false
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() async throws {
        if try inputs.contains(where: ResultsFile.isResults) { return try mergeResults() }
        guard !force else { throw ValidationError("--force is for files of results; traces are added to") }
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

    private func mergeResults() throws {
        let merged = try ResultsFile.merge(inputs, to: out, replaces: force)
        try printing.print(
            ResultsMergeReport(
                output: out, command: merged.header.command, rows: merged.header.units,
                inputs: merged.parts.map { .init(results: $0.path, part: "\($0.part)", rows: $0.rows) }))
    }
}
