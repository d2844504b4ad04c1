import ArgumentParser
import ComputeGraph
import Foundation
import Measuring
import Presentation
import ProgramFiles
import Recording
import Tracing

struct VerifyCommand: AsyncParsableCommand, StopsInOrder {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "A trace against its model, every number evaluated again; or a model against its checks.",
        usage: "quipu verify [TRACE|MODEL] [options]",
        discussion: """
            What does not reproduce to the bit is named: operation, element, recorded and recomputed value. A model file \
            that has changed since is told by its hash. Of a model, structure and every weight are checked. The exit \
            status is 2 if anything fails.

            Example:
              quipu verify trace.db
            """)

    @Argument(help: "A trace, or a .gguf file. (default: the last trace written)", completion: .file()) var file:
        String?
    @Option(help: "The run, by its id. (default: the newest)") var run: Int?
    @OptionGroup var replaying: ReplayOptions
    @OptionGroup var memory: MemoryOption
    @OptionGroup var threads: ThreadOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    func run() async throws {
        defer { Terminal.status("") }
        if let file, Self.isModel(file) { return try verifyModel(file) }
        let store = try LastTrace.open(file)
        let run = try store.run(id: self.run)
        let report = try await report(on: run, in: store)
        Terminal.status("")
        try printing.print(report)
        if !report.isSound { throw ExitCode(2) }
    }

    private func report(on run: RecordedRun, in store: TraceStore) async throws -> VerifyReport {
        let replay: Replay
        do {
            replay = try replaying.open(run, in: store, hashingAnew: true, memory: memory)
        } catch ReplayProblem.otherModel(_, let model, let recorded, let found) {
            return VerifyReport(otherModel: model, recorded: recorded, found: found, run: run)
        }
        let metric = try store.metric(of: run).map {
            try NamedMetric($0, for: replay.model, option: "run.metric").metric
        }
        let verification = try await TraceVerification(
            of: run, in: store, replay: replay, metric: metric, threads: threads.count
        ) { done, total in
            Terminal.status("\(done) of \(total) passes")
        }
        return VerifyReport(verification, of: run, model: replay.model.file.path)
    }

    private func verifyModel(_ path: String) throws {
        let file = try ModelArgument.open(path)
        let verification = try ModelVerification(of: file, workers: Workers(threads: threads.count)) { done, total in
            Terminal.status("\(done * 100 / max(1, total)) % of \(total) weights")
        }
        Terminal.status("")
        let report = VerifyModelReport(verification, of: file)
        try printing.print(report)
        if !report.isSound { throw ExitCode(2) }
    }

    /// Whether a file begins as models do; any other is for the trace reader to judge.
    private static func isModel(_ path: String) -> Bool {
        PathKind.start(of: path, bytes: 4) == Data("GGUF".utf8) || path.hasSuffix(".gguf")
    }
}
