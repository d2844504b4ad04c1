import Presentation
import Testing

@Suite struct LineEditorTests {
    private func typed(_ text: String, _ editor: inout LineEditor) {
        for character in text { _ = editor.press(.character(character)) { _ in [] } }
    }

    @Test func aLineIsEditedWhereTheCursorIs() {
        var editor = LineEditor()
        typed("nxt", &editor)
        for key in [StepKey.left, .left, .character("e"), .end, .character("!"), .backspace] {
            #expect(editor.press(key) { _ in [] } == .typing)
        }
        #expect(editor.press(.enter) { _ in [] } == .line("next"))
        #expect(editor.line.isEmpty)
    }

    @Test func earlierLinesComeBack() {
        var editor = LineEditor(history: ["one", "two"])
        typed("thr", &editor)
        let lines = [StepKey.up, .up, .up, .down, .down].map { key in
            _ = editor.press(key) { _ in [] }
            return editor.line
        }
        #expect(lines == ["two", "one", "one", "two", "thr"])
        #expect(editor.press(.enter) { _ in [] } == .line("thr"))
        #expect(editor.history == ["one", "two", "thr"])
    }

    @Test func tabCompletesWhatIsCommon() {
        var editor = LineEditor()
        let words = ["show", "sql", "skip"]
        typed("sho", &editor)
        _ = editor.press(.tab) { _ in words }
        #expect(editor.line == "show ")
        _ = editor.press(.clear) { _ in [] }
        typed("s", &editor)
        #expect(editor.press(.tab) { _ in words } == .offers(["show", "skip", "sql"]))
        typed("x", &editor)
        #expect(editor.press(.tab) { _ in words } == .typing && editor.line == "sx")
    }

    @Test func ctrlCClearsThenEnds() {
        var editor = LineEditor()
        typed("x", &editor)
        #expect(editor.press(.interrupt) { _ in [] } == .typing)
        #expect(editor.press(.interrupt) { _ in [] } == .end)
        #expect(editor.press(.endOfInput) { _ in [] } == .end)
    }

    /// A line longer than the terminal moves with the cursor.
    @Test func longLinesScroll() {
        var editor = LineEditor()
        typed("abcdefgh", &editor)
        #expect(editor.view(columns: 5) == ("efgh", 4))
        _ = editor.press(.home) { _ in [] }
        #expect(editor.view(columns: 5) == ("abcde", 0))
    }
}

@Suite struct LessonScreensTests {
    private func screens(_ lines: [String], rows: Int = 8) -> [String] {
        LessonScreens(lines.joined(separator: "\n"), width: 20, rows: rows).screens
    }

    /// Empty lines after the last word ask nobody to go on.
    @Test func whatFitsIsOneScreen() {
        let lines = (1...8).map { "line \($0)" }
        #expect(screens(lines + ["", ""]) == [lines.joined(separator: "\n") + "\n\n"])
    }

    @Test func aScreenEndsAtAnEmptyLine() {
        let lines = (1...6).map { "line \($0)" } + [""] + (7...12).map { "line \($0)" }
        let found = screens(lines)
        #expect(found.count == 2 && found[0].hasSuffix("line 6\n") && found[1].hasPrefix("line 7\n"))
    }

    @Test func aQuestionStaysWhole() {
        let lines = [
            "one", "two", "", "three", "", "\u{1B}[1mQuestion.\u{1B}[0m What?", "", "a", "b", "", "Answer: LETTER",
        ]
        let found = screens(lines)
        #expect(found.count == 2 && found[1].contains("Question.") && found[1].hasSuffix("Answer: LETTER"))
    }

    /// Each word whole, colours counted as nothing, nothing lost.
    @Test func wideLinesAreFoldedBetweenWords() {
        let line = "\u{1B}[32mMia has the ball.\u{1B}[0m Who has the ball? " + String(repeating: "x", count: 30)
        let folded = screens([line])[0]
        #expect(folded.replacing("\n", with: " ") == line)
        #expect(folded.split(separator: "\n")[0] == "\u{1B}[32mMia has the ball.\u{1B}[0m")
    }
}
