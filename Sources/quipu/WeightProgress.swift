import LlamaModel
import Presentation
import Synchronization

/// Shows on standard error how far work on weights is, once it has taken a second; and lets Ctrl-C stop it.
final class WeightProgress: Sendable {
    private let verb: String
    private let start = ContinuousClock.now
    private let lastShown = Mutex<ContinuousClock.Instant?>(nil)

    /// - Parameter verb: what is being done, in a word.
    init(verb: String) { self.verb = verb }

    /// - Throws: `CancellationError` after Ctrl-C.
    func update(done: Int, total: Int) throws {
        try Task.checkCancellation()
        let now = ContinuousClock.now
        guard Terminal.isErrorTerminal, now - start > .seconds(1) else { return }
        lastShown.withLock { lastShown in
            guard now - (lastShown ?? start) > .milliseconds(100) else { return }
            lastShown = now
            let seconds = Double(start.duration(to: now).nanoseconds) / 1e9
            Terminal.status(ProgressLine(done: Double(done), total: total, seconds: seconds).text(of: verb))
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
