import ArgumentParser
import Foundation
import Recording
import Stepping
import Tracing

/// For commands that walk through a recorded run.
struct StepOptions: ParsableArguments {
    @Flag(help: "Read commands line by line, also on a terminal.") var lines = false
    @OptionGroup var threads: ThreadOption
    @OptionGroup(title: "Output") var printing: OutputOptions

    /// Walks until the user is done.
    ///
    /// - Parameters:
    ///   - state: where to begin; `nil`: at the first operation.
    ///   - greeting: said at the beginning.
    ///   - open: finds the run's model, when it is needed.
    /// - Throws: `ExitCode(1)` if a command read from a pipe could not be done.
    func walk(
        _ run: RecordedRun, in store: TraceStore, _ memory: StepMemory, from state: StepperState?, greeting: String?,
        model open: @escaping @Sendable () throws -> Replay
    ) throws {
        let stepper = try Stepper(
            TraceWalk(run, in: store), model: StepModel(threads: threads.count, open: open), state: state,
            isCancelled: { RawTerminal.isInterrupted })
        var session = StepSession(stepper: stepper, memory: memory)
        defer {
            if let problem = session.unkept {
                Terminal.complain("quipu: note: the next walk will not go on from here. \(problem)")
            }
        }
        if isOnScreen {
            try session.runOnScreen(isColored: printing.isColored, greeting: greeting)
        } else if try !session.runInLines(printing, greeting: greeting) {
            throw ExitCode(1)
        }
    }

    private var isOnScreen: Bool {
        let isDumb = ["", "dumb"].contains(ProcessInfo.processInfo.environment["TERM"] ?? "")
        return !lines && !printing.json && !isDumb && Terminal.isInputTerminal && Terminal.isOutputTerminal
    }
}
