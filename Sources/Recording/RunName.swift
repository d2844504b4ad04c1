import ProgramFiles

/// A run as users name it: a trace, and `#` with the run's id where it is not the newest. `other.db`, `all.db#2`.
public struct RunName: Sendable, Equatable {
    public let path: String
    /// `nil`: the newest.
    public let run: Int?

    /// A file that has the whole text as its name is that file.
    public init(_ text: String) {
        guard PathKind(at: text) == .missing, let hash = text.lastIndex(of: "#"), hash != text.startIndex,
            let run = Int(text[text.index(after: hash)...]), run > 0
        else {
            (path, self.run) = (text, nil)
            return
        }
        (path, self.run) = (String(text[..<hash]), run)
    }
}
