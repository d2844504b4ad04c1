/// A command line on several lines of a page, as a shell takes it back: lines end with a backslash. Where a quote is open,
/// nothing is indented, so that no space gets into the text; single quotes are left whole.
enum FoldedCommand {
    /// The lines of a page, each painted, the first behind `lead`; at most 80 columns, as wide as what is typed may be.
    static func lines(_ command: String, after lead: String, _ style: Style, paint: (String) -> String) -> [String] {
        let folded = lines(command, width: min(style.width, 80), first: lead.displayWidth).map(paint)
        return [lead + folded[0]] + folded.dropFirst()
    }

    /// - Parameter first: columns that are taken already on the first line.
    static func lines(_ command: String, width: Int, first: Int = 0) -> [String] {
        var (lines, line, quote) = ([String](), "", Character?.none)
        for (index, word) in command.split(separator: " ", omittingEmptySubsequences: false).enumerated() {
            let room = width - (lines.isEmpty ? first : 0) - " \\".count
            if index > 0, quote != "'", (line + " " + word).displayWidth > room {
                lines.append(line + " \\")
                line = quote == nil ? "    " : ""
            } else if index > 0 {
                line += " "
            }
            line += word
            for character in word {
                if quote == nil, character == "'" || character == "\"" {
                    quote = character
                } else if character == quote {
                    quote = nil
                }
            }
        }
        return lines + [line]
    }
}
