import ComputeGraph
import Foundation
import LlamaModel
import Presentation
import Synchronization

/// Shows on standard error how far something is, once it has taken a second: on a terminal in one line that changes;
/// elsewhere, in a log say, a line every half minute.
final class Progress: Sendable {
    private let start = ContinuousClock.now
    private let lastShown = Mutex<ContinuousClock.Instant?>(nil)

    /// Seconds between two lines of a log; another number for who watches one.
    private static let logInterval =
        ProcessInfo.processInfo.environment["QUIPU_PROGRESS_SECONDS"].flatMap(Double.init).map { max(0.01, $0) } ?? 30

    /// - Parameter line: how far it is after so many seconds.
    func show(_ line: (_ seconds: Double) -> ProgressLine) {
        let now = ContinuousClock.now
        let isTerminal = Terminal.isErrorTerminal
        guard !isTerminal || now - start > .seconds(1) else { return }
        lastShown.withLock { lastShown in
            let interval: Duration = isTerminal ? .milliseconds(100) : .seconds(Self.logInterval)
            guard now - (lastShown ?? start) > interval else { return }
            lastShown = now
            let line = line(Double(start.duration(to: now).nanoseconds) / 1e9)
            if isTerminal { Terminal.status(line.text) } else { Terminal.complain("quipu: note: \(line.logged)") }
        }
    }

    /// Removes the line of a terminal.
    func clear() {
        lastShown.withLock { lastShown in
            if lastShown != nil, Terminal.isErrorTerminal {
                Terminal.status("")
                lastShown = nil
            }
        }
    }
}

/// How far work on weights, tokens or the like is; lets Ctrl-C stop it.
final class WorkProgress: Sendable {
    private let verb: String
    private let unit: String
    /// Done by an earlier run.
    private let before: Double
    private let progress = Progress()

    /// - Parameters:
    ///   - verb: what is being done, in a word.
    ///   - unit: what the work is counted in.
    init(verb: String, unit: String = "weights", before: Double = 0) {
        (self.verb, self.unit, self.before) = (verb, unit, before)
    }

    /// - Parameter done: of the total, by this run and those before it.
    /// - Throws: `CancellationError` after Ctrl-C.
    func update(done: Double, total: Double) throws {
        try Task.checkCancellation()
        progress.show { seconds in
            ProgressLine(verb: verb, unit: unit, done: done, before: before, total: total, seconds: seconds)
        }
    }

    func update(done: Int, total: Int) throws { try update(done: Double(done), total: Double(total)) }

    /// Removes the line.
    func clear() { progress.clear() }
}

/// How far a run is; lets Ctrl-C stop it between two operations.
final class RunProgress: ExecutionObserver {
    /// Tokens to evaluate in all.
    private let total: Int
    private let progress = Progress()
    private var finished = 0
    /// The pass under way.
    private var tokens = 0
    private var nodes = 1
    /// Nanoseconds of evaluation since the clock was looked at.
    private var untold = 0
    /// Set to leave the terminal to someone else.
    private(set) var isSilent = false

    var takesParts: Bool { true }
    var looksAtScores: Bool { false }
    var looksAtViews: Bool { false }

    init(total: Int) { self.total = total }

    func begin(_ pass: Pass) {
        tokens = pass.tokens.count
        nodes = pass.interpreter.graph.nodes.count
    }

    func didEvaluate(_ evaluation: Evaluation) throws {
        let isEnd = evaluation.node.index + 1 == nodes
        if isEnd { finished += tokens }
        // Small operations take no longer than to look at the clock.
        untold += evaluation.nanoseconds
        guard isEnd || untold > 5_000_000 else { return }
        untold = 0
        try Task.checkCancellation()
        guard !isSilent else { return }
        let share = Double(evaluation.node.index + 1) / Double(nodes)
        let done = Double(finished) + (isEnd ? 0 : share * Double(tokens))
        progress.show { ProgressLine(tokens: done, of: total, seconds: $0) }
    }

    /// Removes the line.
    func clear() { progress.clear() }

    /// Removes the line for good.
    func end() {
        clear()
        isSilent = true
    }
}
