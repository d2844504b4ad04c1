import ArgumentParser
import Foundation
import LlamaModel
import Presentation
import Quantization
import Recording
import Stepping
import Tensors
import Tracing

struct StepCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "step",
        abstract: "Walk through a recorded pass operation by operation, forwards and backwards.",
        usage: "quipu step [TRACE] [options]\n       quipu step [MODEL] --prompt TEXT [options]",
        discussion: """
            On a terminal a screen for each operation; ? explains the keys. From a pipe the same commands, a line each: \
            n and p to the next operation and back, N and P to the next layer and back, goto NAME, find TEXT, break, \
            watch, rwatch, inputs, users, print, heat, why, sql; `help` explains them all. Goes on where the trace was \
            left the last time.

            Example:
              echo 'goto kq_soft_max-0' | quipu step trace.db

            Example:
              echo 'rwatch max(abs) > 1' | quipu step trace.db --restart
            """)

    @Argument(
        help: ArgumentHelp(
            "A trace file (default: the last one written); with --prompt, --chat, --file or --ids, a model.",
            valueName: "trace"),
        completion: .file())
    var file: String?
    @OptionGroup(title: "Record a prompt with MODEL first") var prompt: PromptFileOptions
    @Option(name: .shortAndLong, help: "Tokens to generate after the prompt. The last one is not evaluated.")
    var generate = 1
    @Option(
        name: .shortAndLong, help: "The trace to record to. (default: trace.db, or the next free trace-2.db, …)",
        completion: .trace)
    var output: String?
    @Option(help: "The run, by its id. (default: the newest)") var run: Int?
    @Flag(help: "Begin at the first operation, not where the trace was left.") var restart = false
    @OptionGroup var replaying: ReplayOptions
    @OptionGroup var memory: MemoryOption
    @OptionGroup var walking: StepOptions

    func validate() throws {
        if !prompt.isGiven, output != nil {
            throw ValidationError("--output names the trace that --prompt, --chat, --file or --ids records")
        }
        if !(1...1_000_000).contains(generate) { throw ValidationError("--generate takes 1 to 1000000") }
    }

    func run() async throws {
        let path = prompt.isGiven ? try await recorded() : file
        let store = try LastTrace.open(path)
        let walked = try store.run(id: run)
        let memory = StepMemory(walked, in: store)
        let state = restart ? nil : memory.recall()
        let (replaying, limit) = (replaying, self.memory)
        try walking.walk(
            walked, in: store, memory, from: state, greeting: state == nil ? nil : StepperNote.resumed.description
        ) { try replaying.open(walked, in: store, memory: limit) }
    }

    /// Records the prompt.
    ///
    /// - Returns: the path of the trace.
    private func recorded() async throws -> String {
        let (generate, count) = (generate, walking.threads.count)
        let model = try ModelArgument.llama(file)
        let prompt = try prompt.read(for: model)
        let path = output ?? TraceCommand.freeName()
        try await Interruption.cancelling {
            let ids = prompt.ids
            guard !ids.isEmpty else { throw LlamaError.emptyPrompt }
            let session = try Session(model, positions: ids.count + generate - 1, threads: count)
            let size = try TraceEstimate(
                model: model, capture: Capture(.all), promptTokens: ids.count, decodes: generate - 1)
            try size.check(limit: TraceCommand.bytes(TraceCommand.usualLimit)!)
            let store = try TraceStore.create(path: path)
            LastTrace.remember(path)
            let sampling = Sampler.Options()
            let recorder = try await TraceRecorder(
                store: store, model: model,
                run: RunDescription(
                    prompt: prompt.text, sampling: sampling, threads: count, kernels: InstructionSet.best.rawValue,
                    capture: Capture(.all), engineVersion: Quipu.version))
            var tracing = Tracing(
                session: session, recorder: recorder, sampler: Sampler(sampling), changes: ChangedRun(.none),
                progress: RunProgress(total: ids.count + generate - 1))
            let start = ContinuousClock.now
            do {
                try tracing.run(ids, generate: generate, stream: nil)
                try await recorder.finish(nanoseconds: start.duration(to: .now).nanoseconds)
            } catch {
                tracing.progress.end()
                try? recorder.abandon()
                throw error
            }
        }
        Terminal.complain("quipu: recorded \(path)")
        return path
    }
}
