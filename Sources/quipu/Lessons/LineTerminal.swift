import Foundation
import Presentation
import ProgramFiles

/// Lines typed on a terminal, with a cursor, earlier lines (kept from lesson to lesson) and completion.
struct LineTerminal {
    private var editor: LineEditor
    private var decoder = StepKeyDecoder()
    /// Keys that came after the end of a line.
    private var waiting: [StepKey] = []
    private let file: URL

    /// Lines that are kept.
    private static let longest = 500

    init(file: URL) {
        self.file = file
        let kept = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        editor = LineEditor(history: kept.split(separator: "\n").suffix(Self.longest).map(String.init))
    }

    /// - Returns: `nil` at the end of the input.
    mutating func line(_ prompt: String, completions: (String) -> [String]) -> String? {
        guard let raw = RawLines() else {
            Terminal.write(prompt)
            return readLine()
        }
        defer { raw.end() }
        draw(prompt)
        while true {
            guard let key = nextKey() else {
                Terminal.write("\n")
                return nil
            }
            switch editor.press(key, completions: completions) {
            case .typing: draw(prompt)
            case .offers(let words):
                Terminal.write("\n" + LineEditor.offered(words, width: Terminal.width) + "\n")
                draw(prompt)
            case .line(let line):
                Terminal.write("\n")
                keep()
                return line
            case .end:
                Terminal.write("\n")
                return nil
            }
        }
    }

    private mutating func nextKey() -> StepKey? {
        while waiting.isEmpty {
            if decoder.isWaiting, !Self.isReady(milliseconds: 60) {
                waiting += decoder.flush()
                continue
            }
            var bytes = [UInt8](repeating: 0, count: 256)
            let count = read(STDIN_FILENO, &bytes, bytes.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return nil }
            waiting += decoder.add(bytes[..<count])
        }
        return waiting.removeFirst()
    }

    private static func isReady(milliseconds: Int32) -> Bool {
        var descriptor = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        return poll(&descriptor, 1, milliseconds) > 0
    }

    private func draw(_ prompt: String) {
        let (text, cursor) = editor.view(columns: Terminal.width - prompt.count - 1)
        Terminal.write("\r\u{1B}[K" + prompt + text + "\r\u{1B}[\(prompt.count + cursor)C")
    }

    /// A convenience: where it cannot be written, lines are known until the end.
    private func keep() {
        let text = editor.history.suffix(Self.longest).joined(separator: "\n") + "\n"
        try? Folders.write(Data(text.utf8), to: file, advice: UserFolders.stateAdvice)
    }
}

/// A terminal that gives keys one by one, until `end`. Ctrl-C is a key.
private struct RawLines {
    private let before: termios

    /// `nil` if the input is no terminal.
    init?() {
        var settings = termios()
        guard tcgetattr(STDIN_FILENO, &settings) == 0 else { return nil }
        before = settings
        settings.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG | IEXTEN)
        settings.c_iflag &= ~tcflag_t(IXON)
        withUnsafeMutableBytes(of: &settings.c_cc) {
            $0[Int(VMIN)] = 1; $0[Int(VTIME)] = 0
        }
        tcsetattr(STDIN_FILENO, TCSADRAIN, &settings)
    }

    func end() {
        var settings = before
        tcsetattr(STDIN_FILENO, TCSADRAIN, &settings)
    }
}
