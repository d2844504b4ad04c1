import Foundation
import Presentation
import Synchronization

/// Where the program writes.
enum Terminal {
    static var isOutputTerminal: Bool { isatty(STDOUT_FILENO) == 1 }
    static let isErrorTerminal = isatty(STDERR_FILENO) == 1

    static var isInputTerminal: Bool { isatty(STDIN_FILENO) == 1 }

    /// Columns of the terminal, 80 where there is none.
    static var width: Int { size.columns }

    /// Rows and columns of the terminal, 24 and 80 where there is none.
    static var size: (rows: Int, columns: Int) {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return (24, 80) }
        return (max(1, Int(size.ws_row)), Int(size.ws_col))
    }

    /// A path without what leads to the working directory, so that it is short to read and to type.
    static func pathFromHere(_ path: String) -> String {
        let here = FileManager.default.currentDirectoryPath + "/"
        return path.hasPrefix(here) ? String(path.dropFirst(here.count)) : path
    }

    /// Makes the standard streams safe to use, once, before any file is opened.
    ///
    /// A closed stream goes nowhere: otherwise the next file opened, such as the trace, would get its number and what
    /// is printed would land in it. A reader that went away, as in `| head -1`, does not end a trace half-way.
    static func secureStandardStreams() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) == -1 {
            _ = open("/dev/null", O_RDWR)
        }
        signal(SIGPIPE, SIG_IGN)
    }

    /// Writes a result, without a line end of its own.
    static func write(_ text: String) { _ = writeIfRead(text) }

    private static let wrote = Atomic<Bool>(false)
    /// Whether any part of a result has been written.
    static var hasWritten: Bool { wrote.load(ordering: .relaxed) }

    /// - Returns: whether someone still reads.
    static func writeIfRead(_ text: String) -> Bool {
        wrote.store(true, ordering: .relaxed)
        guard let failure = put(text, on: STDOUT_FILENO) else { return true }
        if failure == EPIPE { return false }
        complain("quipu: the result cannot be written: \(String(cString: strerror(failure)))")
        exit(1)
    }

    /// Writes progress, hints and errors, in which names and paths from files may stand.
    static func complain(_ text: String) { _ = put(text.withoutControls + "\n", on: STDERR_FILENO) }

    /// Asks for a line, where someone is watching.
    ///
    /// - Parameter ifTyped: only where that someone also types what is read.
    static func prompt(_ text: String, ifTyped: Bool = false) {
        if isErrorTerminal, !ifTyped || isInputTerminal { _ = put(text, on: STDERR_FILENO) }
    }

    /// Shows a line that the next one replaces, where someone is watching.
    static func status(_ text: String) {
        guard isErrorTerminal else { return }
        _ = put("\r\u{1B}[K\(text.withoutControls)", on: STDERR_FILENO)
    }

    /// - Returns: the error number, `nil` if all was written.
    private static func put(_ text: String, on descriptor: Int32) -> Int32? {
        var text = text
        return text.withUTF8 { bytes in
            var written = 0
            while written < bytes.count {
                let count = Foundation.write(descriptor, bytes.baseAddress! + written, bytes.count - written)
                if count < 0 && errno != EINTR { return errno }
                written += max(0, count)
            }
            return nil
        }
    }
}
