/// A line being typed: a cursor, earlier lines, completion. Knows no terminal: it is told keys, and says how it looks.
public struct LineEditor: Sendable {
    public enum Outcome: Hashable, Sendable {
        case typing
        /// Complete.
        case line(String)
        /// More than one way to complete it.
        case offers([String])
        /// Ctrl-D, or Ctrl-C, on a line that is empty.
        case end
    }

    private var text: [Character] = []
    private var cursor = 0
    /// Oldest first.
    public private(set) var history: [String]
    /// Which of the earlier lines is shown; their number: none.
    private var recalled: Int
    /// What was typed before going back to earlier lines.
    private var draft = ""

    public init(history: [String] = []) { (self.history, recalled) = (history, history.count) }

    public var line: String { String(text) }

    /// - Parameter completions: all words that the last word of a line may become.
    public mutating func press(_ key: StepKey, completions: (String) -> [String]) -> Outcome {
        switch key {
        case .character(let character):
            text.insert(character, at: cursor)
            cursor += 1
        case .backspace where cursor > 0:
            cursor -= 1
            text.remove(at: cursor)
        case .left: cursor = max(0, cursor - 1)
        case .right: cursor = min(text.count, cursor + 1)
        case .home: cursor = 0
        case .end: cursor = text.count
        case .up: recall(recalled - 1)
        case .down: recall(recalled + 1)
        case .clear: set("")
        case .interrupt:
            if text.isEmpty { return .end }
            set("")
        case .endOfInput: if text.isEmpty { return .end }
        case .tab: return complete(completions)
        case .enter: return .line(enter())
        default: break
        }
        return .typing
    }

    private mutating func set(_ line: String) {
        text = Array(line)
        cursor = text.count
    }

    private mutating func recall(_ index: Int) {
        guard (0...history.count).contains(index) else { return }
        if recalled == history.count { draft = line }
        recalled = index
        set(index < history.count ? history[index] : draft)
    }

    private mutating func enter() -> String {
        let line = line
        if line.contains(where: { !$0.isWhitespace }), history.last != line { history.append(line) }
        set("")
        (recalled, draft) = (history.count, "")
        return line
    }

    /// Adds what all ways to complete the last word before the cursor have in common.
    private mutating func complete(_ completions: (String) -> [String]) -> Outcome {
        let before = String(text[..<cursor])
        let word = String(before.reversed().prefix { !$0.isWhitespace }.reversed())
        let fitting = completions(before).filter { $0.hasPrefix(word) && $0 != word }.sorted()
        guard let first = fitting.first else { return .typing }
        var common = fitting.reduce(first) { $0.sharedStart(with: $1) }
        if fitting.count == 1, !common.hasSuffix("/") { common += " " }
        let more = Array(common.dropFirst(word.count))
        text.insert(contentsOf: more, at: cursor)
        cursor += more.count
        return more.isEmpty ? .offers(fitting) : .typing
    }

    /// Ways to complete a word, in lines of a terminal's width.
    public static func offered(_ words: [String], width: Int) -> String {
        words.wrapped(to: width, separator: "  ", indent: "").joined(separator: "\n")
    }

    /// What is seen of the line in so many columns, and the column of the cursor.
    public func view(columns: Int) -> (text: String, cursor: Int) {
        let start = max(0, cursor - max(1, columns - 1))
        let shown = text[start...].prefix(max(1, columns))
        let width = String(text[start..<cursor]).displayWidth
        return (String(shown).withoutControls, width)
    }
}

extension String {
    fileprivate func sharedStart(with other: String) -> String {
        String(zip(self, other).prefix { $0 == $1 }.map(\.0))
    }
}
