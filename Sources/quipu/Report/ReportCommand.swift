import ArgumentParser
import ComputeGraph
import Foundation
import Presentation
import ProgramFiles
import Recording
import ReportPage
import Tracing

struct ReportCommand: AsyncParsableCommand, StopsInOrder {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "A trace as one HTML file to look at in a browser.",
        usage: "quipu report [TRACE] [options]",
        discussion: """
            The page needs no network and no server: overview, the pass operation by operation, attention, quantisation, \
            error propagation, logit lens, roofline, attribution. Quantisation and attribution need the model's file as well. \
            With --against, a view of several runs: where they part, how far they are, which tokens flip.

            Example:
              quipu report trace.db --output report.html
            """)

    @Argument(help: LastTrace.help, completion: .trace) var trace: String?
    @Option(name: .shortAndLong, help: "The file to write.", completion: .file()) var output = "report.html"
    @Flag(help: "Replace the output if it exists.") var force = false
    @Option(help: "The run, by its id. (default: the newest)") var run: Int?
    @Option(
        help: ArgumentHelp(
            """
            Another run to compare with, of a prompt of as many tokens: a trace, or TRACE#RUN. Repeatable. (default: none)
            """, valueName: "trace"), completion: .trace)
    var against: [String] = []
    @Option(help: "The model's file, if it is elsewhere now. (default: where the run found it)", completion: .model)
    var model: String?
    @Option(
        name: .customLong("as"),
        help: "Formats whose errors are measured if the trace has none, separated by commas.")
    var formats = "Q4_0,Q8_0,Q6_K,Q4_K,Q2_K"
    @OptionGroup var memory: MemoryOption
    @OptionGroup var threads: ThreadOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() async throws {
        let store = try LastTrace.open(trace)
        let recorded = try store.run(id: run)
        let chosen = try QuantFormats(formats, importance: nil).formats
        try checkOutput()
        let atHand = try ModelAtHand(of: recorded, in: store, at: model)
        if model != nil, case .missing(let reason) = atHand { throw InputError(reason) }
        let others = try against.map { try compared(TraceDiff.Side(store, recorded), with: $0) }
        let digest = try RunDigest(
            of: recorded, in: store, against: others, model: atHand, formats: chosen,
            workers: Workers(threads: threads.count),
            memoryLimit: memory.bytes
        ) { share in
            try Task.checkCancellation()
            Terminal.status("reading the trace: \(Int(share * 100)) %")
        }
        let page = Data(
            try ReportPage.html(title: "Quipu: \(recorded.prompt.prefix(60))", data: try digest.pageJSON()).utf8)
        Terminal.status("")
        // Again: the work may have taken long enough for someone else to take the name.
        try checkOutput()
        try Folders.replace(output, with: page, advice: "Give another --output.")
        try printing.print(
            HTMLReportSummary(report: output, trace: store.path, sizeBytes: page.count, notes: digest.notes))
    }

    private func compared(_ side: TraceDiff.Side, with text: String) throws -> TraceDiff {
        let name = RunName(text)
        let other = try LastTrace.open(name.path)
        return try TraceDiff(side, TraceDiff.Side(other, try other.run(id: name.run)))
    }

    /// Before the work, not after it. Only a page is ever replaced.
    private func checkOutput() throws {
        guard output != "-" else {
            throw InputError("A report is a page for a browser, not a terminal: give it a name, as in -o report.html.")
        }
        if PathKind(at: output) != .missing {
            guard force else {
                throw InputError("\(output) exists already. Give another --output, or --force to replace it.")
            }
            guard PathKind.start(of: output, bytes: 15) == Data("<!DOCTYPE html>".utf8) else {
                throw InputError(
                    "\(output): found something else than a report, expected one to replace. Nothing was changed.")
            }
        }
        let folder = URL(fileURLWithPath: output).deletingLastPathComponent().path
        guard FileManager.default.isWritableFile(atPath: folder) else {
            throw InputError("\(output) cannot be written: there is no folder \(folder) that may be written to.")
        }
    }
}
