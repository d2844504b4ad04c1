/// A page of a lesson in screens of a terminal, broken where its text is.
public struct LessonScreens {
    public let screens: [String]

    /// - Parameters:
    ///   - width: columns; wider lines are folded between words.
    ///   - rows: of a screen, without the one that asks for more.
    public init(_ text: String, width: Int, rows: Int) {
        var rest = text.folded(to: width)[...]
        var blank: [String] = []
        while rest.last == "" { blank.append(rest.removeLast()) }
        var screens: [String] = []
        while rest.count > rows {
            let end = Self.end(rest, rows)
            screens.append(rest[..<end].joined(separator: "\n") + "\n")
            rest = rest[end...].drop { $0.isEmpty }
        }
        self.screens = screens + [(rest + blank).joined(separator: "\n")]
    }

    /// Where a screen ends: before a question that would be cut in two, or else at the last empty line of its lower half.
    private static func end(_ rest: ArraySlice<String>, _ rows: Int) -> Int {
        let full = rest.startIndex + rows
        let question = rest[..<full].lastIndex { $0.contains("Question.") }
        if let question, question > rest.startIndex, rest.endIndex - question <= rows { return question }
        return rest[(rest.startIndex + rows / 2)..<full].lastIndex(of: "") ?? full
    }
}
