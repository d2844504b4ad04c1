import Foundation

/// Ctrl-C as the cancellation of a task, so that files are closed in order.
enum Interruption {
    /// Runs `body`; the first SIGINT or SIGTERM cancels it, a second one ends the process.
    static func cancelling(_ body: sending @escaping () async throws -> Void) async throws {
        let task = Task { try await body() }
        let sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)  // the source hears of it all the same
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                task.cancel()
                signal(number, SIG_DFL)
            }
            source.resume()
            return source
        }
        defer { for source in sources { source.cancel() } }
        try await task.value
    }
}
