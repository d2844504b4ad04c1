import Foundation

/// A command that writes files, or records: it asks often whether its task is cancelled, and then closes or removes what it
/// was writing.
protocol StopsInOrder {}

/// Ctrl-C as the cancellation of a task, so that files are closed in order.
enum Interruption {
    /// For a command that leaves nothing behind: Ctrl-C ends it at once.
    static func endAtOnce() { for number in [SIGINT, SIGTERM] { signal(number) { _ in _exit(130) } } }

    /// A file that is mapped and gets shorter takes its memory with it; the system then ends whoever reads there. What a
    /// trace has been given until then is in the file or its log.
    static func explainLostMemory() {
        signal(SIGBUS) { _ in
            // Nothing that takes memory or a lock may be called here.
            let text: StaticString = """
                quipu: a file that was being read, such as the model, became shorter meanwhile: found its end, expected the \
                bytes that were there when it was opened. What was recorded until then can be read. Bring the whole file \
                back and run again.

                """
            _ = write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
            _exit(1)
        }
    }

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
