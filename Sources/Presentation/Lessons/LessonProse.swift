/// The Markdown of lessons on a page: paragraphs, lists, fences, **bold** or *bold*, and `code`; a paragraph that is a
/// command is folded so that it can be copied.
struct LessonProse {
    let text: String
    /// Columns that every line begins with.
    var indent = ""

    func lines(_ style: Style) -> [String] {
        var (lines, paragraph, isFenced) = ([String](), [Substring](), false)
        func flush() {
            guard !paragraph.isEmpty else { return }
            lines += wrapped(paragraph.joined(separator: " "), style)
            paragraph = []
        }
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") {
                flush()
                isFenced.toggle()
            } else if isFenced {
                lines.append(indent + "  " + line.description.cut(to: style.width - indent.count - 2))
            } else if line.allSatisfy(\.isWhitespace) {
                flush()
                if lines.last != "" { lines.append("") }
            } else {
                if line.hasPrefix("- ") { flush() }
                paragraph.append(line)
            }
        }
        flush()
        while lines.last == "" { lines.removeLast() }
        return lines
    }

    /// A paragraph or an item of a list, whose further lines are indented.
    private func wrapped(_ paragraph: String, _ style: Style) -> [String] {
        if let command = paragraph.wholeMatch(of: /`(quipu [^`]+)`/)?.output.1 {
            return FoldedCommand.lines(String(command), width: min(style.width, 80) - indent.count).map {
                indent + style.accent($0)
            }
        }
        let hanging = indent + (paragraph.hasPrefix("- ") ? "  " : "")
        var (lines, line, used) = ([String](), indent, indent.count)
        var (isBold, isCode, isFirst) = (false, false, true)
        for word in paragraph.split(separator: " ") {
            let (painted, width) = Self.painted(word, &isBold, &isCode, style)
            if !isFirst, used + 1 + width > min(style.width, 80) {
                lines.append(line)
                (line, used, isFirst) = (hanging, hanging.count, true)
            }
            line += (isFirst ? "" : " ") + painted
            used += (isFirst ? 0 : 1) + width
            isFirst = false
        }
        return lines + [line]
    }

    /// A word without its marks, and the columns it takes.
    private static func painted(
        _ word: Substring, _ isBold: inout Bool, _ isCode: inout Bool, _ style: Style
    ) -> (String, Int) {
        var (text, plain, width, rest) = ("", "", 0, word)
        func paint() {
            text += isCode ? style.accent(plain) : isBold ? style.bold(plain) : plain
            width += plain.displayWidth
            plain = ""
        }
        while let first = rest.first {
            if first == "`" {
                paint()
                isCode.toggle()
                rest.removeFirst()
            } else if !isCode, rest.hasPrefix("**") {
                paint()
                isBold.toggle()
                rest.removeFirst(2)
            } else if !isCode, first == "*", isBold || rest.dropFirst().first?.isLetter == true {
                paint()
                isBold.toggle()
                rest.removeFirst()
            } else {
                plain.append(first)
                rest.removeFirst()
            }
        }
        paint()
        return (text, width)
    }
}
