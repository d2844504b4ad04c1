import LlamaModel
import Presentation
import Synchronization

/// Shows on standard error how far work on weights or tokens is, once it has taken a second; and lets Ctrl-C stop it.
final class WeightProgress: Sendable {
    private let verb: String
    private let unit: String
    private let start = ContinuousClock.now
    private let lastShown = Mutex<ContinuousClock.Instant?>(nil)

    /// - Parameters:
    ///   - verb: what is being done, in a word.
    ///   - unit: what the work is counted in.
    init(verb: String, unit: String = "weights") {
        self.verb = verb
        self.unit = unit
    }

    /// - Throws: `CancellationError` after Ctrl-C.
    func update(done: Int, total: Int) throws {
        try Task.checkCancellation()
        let now = ContinuousClock.now
        guard Terminal.isErrorTerminal, now - start > .seconds(1) else { return }
        lastShown.withLock { lastShown in
            guard now - (lastShown ?? start) > .milliseconds(100) else { return }
            lastShown = now
            let seconds = Double(start.duration(to: now).nanoseconds) / 1e9
            Terminal.status(ProgressLine(done: Double(done), total: total, seconds: seconds).text(of: verb, in: unit))
        }
    }

    /// Removes the line.
    func clear() {
        lastShown.withLock { lastShown in
            if lastShown != nil { Terminal.status("") }
            lastShown = nil
        }
    }
}
