import ComputeGraph
import LlamaModel
import Presentation

/// Shows on standard error how far a run is, once it has taken a second; and lets Ctrl-C stop it between two operations.
final class Progress: ExecutionObserver {
    /// Tokens to evaluate in all.
    private let total: Int
    private let start = ContinuousClock.now
    private var lastShown: ContinuousClock.Instant?
    private var finished = 0
    /// The pass under way.
    private var tokens = 0
    private var nodes = 1
    /// Set to leave the terminal to someone else.
    private(set) var isSilent = false

    var takesParts: Bool { true }

    init(total: Int) { self.total = total }

    func begin(_ pass: Pass) {
        tokens = pass.tokens.count
        nodes = pass.interpreter.graph.nodes.count
    }

    func didEvaluate(_ evaluation: Evaluation) throws {
        try Task.checkCancellation()
        let share = Double(evaluation.node.index + 1) / Double(nodes)
        if share == 1 { finished += tokens }
        guard !isSilent, Terminal.isErrorTerminal else { return }
        let now = ContinuousClock.now
        guard now - start > .seconds(1), now - (lastShown ?? start) > .milliseconds(100) else { return }
        lastShown = now
        let done = Double(finished) + (share == 1 ? 0 : share * Double(tokens))
        let line = ProgressLine(done: done, total: total, seconds: Double(start.duration(to: now).nanoseconds) / 1e9)
        Terminal.status(line.text)
    }

    /// Removes the line.
    func clear() {
        if lastShown != nil { Terminal.status("") }
        lastShown = nil
    }

    /// Removes the line for good.
    func end() {
        clear()
        isSilent = true
    }
}
