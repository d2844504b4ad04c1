import Foundation
import Presentation
import Testing

/// Text as it reaches a terminal.
@Suite struct PageTests {
    @Test(arguments: [
        ("plain", "plain"), ("two\nlines\tand", "two\nlines\tand"), ("\u{1B}[2J", "␛[2J"), ("a\u{7F}\u{0}\r", "a␡␀␍"),
        ("c1 \u{9B}31m", "c1 \u{FFFD}31m"), ("日本 🎉", "日本 🎉"),
        ("a\u{202E}b\u{2069}c", "a\\u202Eb\\u2069c"), ("a\u{2028}b", "a\\u2028b"),
    ])
    func controlCharactersBecomePictures(text: String, picture: String) {
        #expect(text.withoutControls == picture)
    }

    /// What a page had its colours from stays; nothing else that begins like it.
    @Test func onlyColoursPassTheDoor() {
        let page = Style(isColored: true).bold("a\u{1B}[2Jb") + "\u{1B}[3\u{1B}]0;x\u{7}\u{1B}[1;31mred\u{1B}[0m"
        #expect(Style(isColored: true).shown(page) == "\u{1B}[1ma␛[2Jb\u{1B}[0m␛[3␛]0;x␇\u{1B}[1;31mred\u{1B}[0m")
        #expect(Style(isColored: true).shown("\u{1B}[") == "␛[" && Style.plain.shown("plain\n") == "plain\n")
    }

    @Test func documentsEscapeWhatATerminalActsOn() throws {
        let text = "a\u{202E}b\u{9B}c\u{7F}\u{1B}"
        let document = try JSONOutput.text([text])
        let isPlain = document.unicodeScalars.allSatisfy { $0.isASCII }
        #expect(isPlain)
        #expect(try JSONDecoder().decode([String].self, from: Data(document.utf8)) == [text])
    }

    /// Whatever the environment says, and however often: a style is nothing but its two values.
    @Test func aStyleAloneDecidesAboutColors() {
        let (colored, plain) = (Style(isColored: true), Style(isColored: false))
        #expect(colored.bold("a") == "\u{1B}[1ma\u{1B}[0m")
        #expect(colored.accent("a") == "\u{1B}[36ma\u{1B}[0m")
        #expect(colored.bold("a" + colored.warning("b") + "c") == "\u{1B}[1ma\u{1B}[33mb\u{1B}[0m\u{1B}[1mc\u{1B}[0m")
        #expect(plain.bold("a" + plain.dim("b")) == "ab" && colored.dim("") == "")
    }

    @Test func progressHasABarARateAndTheTimeLeft() {
        #expect(
            ProgressLine(tokens: 12, of: 48, seconds: 3).text
                == "tracing  ██████                    12 of 48 tokens  4.0 tokens/s  9 s left")
        #expect(
            ProgressLine(tokens: 1, of: 1000, seconds: 2).text.hasSuffix(
                "1 of 1000 tokens  0.5 tokens/s  33 min 18 s left"))
        #expect(ProgressLine(tokens: 1, of: 1, seconds: 2).text.hasSuffix("1 of 1 token  0.5 tokens/s  0 s left"))
        #expect(ProgressLine(tokens: 0, of: 5, seconds: 0).text.hasSuffix("0.0 tokens/s  0 s left"))
        #expect(ProgressLine(tokens: 1, of: 5000, seconds: 10).text.hasSuffix("  13 h 53 min left"))
        for done in stride(from: 0.0, through: 99_999, by: 3333.3) {
            #expect(ProgressLine(tokens: done, of: 99_999, seconds: done * 7).text.count <= 79)
        }
    }

    /// In a log there is no bar; what an earlier run did counts as done, and not for the rate.
    @Test func progressInALog() {
        let line = ProgressLine(verb: "scoring", unit: "tokens", done: 3000, before: 1000, total: 9000, seconds: 4)
        #expect(line.logged == "scoring: 33 %, 500 tokens/s, 12 s left")
        #expect(line.text.hasPrefix("scoring  ████") && line.text.hasSuffix("33 %  500 tokens/s  12 s left"))
        #expect(
            ProgressLine(tokens: 12, of: 48, seconds: 3).logged == "tracing: 12 of 48 tokens, 4.0 tokens/s, 9 s left")
    }

    @Test func documentsUseSnakeCaseAndKeepInfinities() throws {
        struct Example: Encodable { let someValue = Double.infinity, otherValue = "a/b" }
        #expect(try JSONOutput.text(Example()) == "{\n  \"other_value\" : \"a/b\",\n  \"some_value\" : \"inf\"\n}")
    }
}

/// Pages of query results: what fits, what is cut and what is left out.
@Suite struct TablePageTests {
    private func page(_ columns: [String], _ rows: [[String]], width: Int = 80) -> [String] {
        var report = SQLReport()
        report.columns = columns
        for row in rows { report.add(row.map { Int64($0).map { .integer($0) } ?? .text($0) }) }
        return report.page(Style(isColored: false, width: width)).split(separator: "\n").map(String.init)
    }

    @Test func numbersStandRightAndWordsLeft() {
        #expect(
            page(["n", "word"], [["7", "a"], ["1234", "two"]]) == ["   n  word", "   7  a", "1234  two", "2 rows"])
    }

    @Test func wideCharactersTakeTwoColumns() {
        #expect(page(["a", "n"], [["日本", "1"], ["x", "2"]]) == ["a     n", "日本  1", "x     2", "2 rows"])
    }

    @Test func theWidestWordsAreCutFirst() {
        let lines = page(
            ["a", "b"], [[String(repeating: "x", count: 60), String(repeating: "y", count: 18)]], width: 40)
        #expect(lines[1] == String(repeating: "x", count: 19) + "…  " + String(repeating: "y", count: 18))
    }

    @Test func columnsThatDoNotFitAreNamed() {
        let columns = (0..<8).map { "column\($0)" }
        let lines = page(columns, [columns.indices.map { "\($0)" }], width: 40)
        #expect(lines[0] == "column0  column1  column2  column3")
        #expect(
            lines[2...] == [
                "Too wide for the page, left out:", "  column4, column5, column6, column7.",
                "  Name fewer columns, or use --json.", "1 row",
            ])
        for line in lines { #expect(line.count <= 40) }
    }

    @Test func noRows() {
        #expect(page(["a"], []) == ["a", "0 rows"])
        #expect(page(["a"], [["1"]]).last == "1 row")
    }

    @Test func linesStayLines() {
        #expect(page(["a"], [["x\ny\u{1B}z"]])[1] == "x⏎y␛z")
    }
}
