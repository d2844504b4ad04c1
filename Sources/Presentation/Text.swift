import GGUF

/// Text made to fit the page.
extension String {
    /// Columns the text takes on a terminal: East Asian wide characters and emoji take two, combining ones none.
    var displayWidth: Int { reduce(0) { $0 + $1.displayWidth } }

    /// The text in at most `width` columns, the end replaced by `…` if it was longer.
    func cut(to width: Int) -> String {
        guard displayWidth > width else { return self }
        var (text, used) = ("", 0)
        for character in self {
            guard used + character.displayWidth < width else { break }
            text.append(character)
            used += character.displayWidth
        }
        return text + "…"
    }

    /// The same from the other end: of a path, the name is what matters.
    func cutAtFront(to width: Int) -> String { String(String(reversed()).cut(to: width).reversed()) }

    /// A path as a shell takes it in a command line.
    public var quotedIfNeeded: String { contains { $0.isWhitespace || $0 == "'" } ? "\"\(self)\"" : self }

    func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - displayWidth)) }

    func leftPadded(to width: Int) -> String { String(repeating: " ", count: max(0, width - displayWidth)) + self }

    /// A whole page without controls, but for the colours that a style gave it: the last door before a terminal, for
    /// whatever was not shown as a cell or a word.
    var pageWithoutControls: String {
        guard unicodeScalars.contains("\u{1B}") else { return withoutControls }
        return split(separator: "\u{1B}[", omittingEmptySubsequences: false).enumerated().map { index, part in
            guard index > 0 else { return String(part).withoutControls }
            guard let end = part.firstIndex(where: { !($0.isASCII && $0.isNumber) && $0 != ";" }), part[end] == "m"
            else {
                return "␛[" + String(part).withoutControls
            }
            return "\u{1B}[" + part[...end] + String(part[part.index(after: end)...]).withoutControls
        }.joined()
    }
}

extension [String] {
    /// The words in lines of at most `width` columns, each line but the first indented.
    ///
    /// - Parameter paint: dresses a word; its escape sequences take no columns.
    func wrapped(
        to width: Int, separator: String = " ", indent: String = "  ", paint: (String) -> String = { $0 }
    ) -> [String] {
        var lines: [String] = []
        var (line, used) = ("", 0)
        for word in self {
            let word = word.cut(to: width - indent.count)
            if used == 0 {
                (line, used) = (paint(word), word.displayWidth)
            } else if used + separator.displayWidth + word.displayWidth <= width {
                line += separator + paint(word)
                used += separator.displayWidth + word.displayWidth
            } else {
                lines.append(line)
                (line, used) = (indent + paint(word), indent.count + word.displayWidth)
            }
        }
        return lines + [line]
    }
}

extension Character {
    var displayWidth: Int {
        guard let scalar = unicodeScalars.first else { return 0 }
        if scalar.properties.isEmojiPresentation || unicodeScalars.contains("\u{FE0F}") { return 2 }
        switch scalar.value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF,
            0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x20000...0x3FFFD:
            return 2
        default:
            return scalar.properties.generalCategory == .nonspacingMark ? 0 : 1
        }
    }
}

extension String {
    /// Its lines, those that are wider than `width` columns broken between words; colours take no columns.
    public func folded(to width: Int) -> [String] {
        split(separator: "\n", omittingEmptySubsequences: false).flatMap { line -> [String] in
            guard String(line).columns > width else { return [String(line)] }
            var (lines, used) = ([""], 0)
            for (index, word) in line.split(separator: " ", omittingEmptySubsequences: false).enumerated() {
                let columns = String(word).columns
                if index > 0, used + 1 + columns <= width {
                    lines[lines.count - 1] += " " + word
                    used += 1 + columns
                } else if index == 0 {
                    (lines[0], used) = (String(word), columns)
                } else {
                    lines.append(String(word))
                    used = columns
                }
            }
            return lines
        }
    }

    /// The columns that it takes on a terminal, colours left out.
    private var columns: Int { replacing(/\u{1B}\[[0-9;]*m/, with: "").displayWidth }

    /// Its words in lines of at most `width` columns; those after the first begin with `indent`.
    func wrapped(to width: Int, indent: String = "  ", paint: (String) -> String = { $0 }) -> [String] {
        split(separator: " ").map(String.init).wrapped(to: width, indent: indent, paint: paint)
    }
}
