/// Rows and columns as text: numbers to the right, words to the left, nothing past the page.
struct Table {
    enum Alignment {
        case left, right
        /// To the left, and never cut: names that are typed again.
        case whole
    }

    private let header: [String]
    private let alignments: [Alignment]
    private var rows: [[String]] = []

    /// Columns that a cut cell keeps at least.
    private static let narrowest = 12

    init(_ columns: [(String, Alignment)]) {
        header = columns.map { $0.0.onOneLine }
        alignments = columns.map(\.1)
    }

    mutating func add(_ cells: String...) { add(cells) }

    mutating func add(_ cells: [String]) {
        precondition(cells.count == header.count, "\(cells.count) cells for \(header.count) columns")
        rows.append(cells.map(\.onOneLine))
    }

    /// Lines without line ends. Where the page is too narrow, columns of words are cut, the widest first; then columns at
    /// the end are left out, which a line below says.
    ///
    /// - Parameter advice: how to see what was left out.
    func lines(_ style: Style, advice: String = "A wider terminal shows them, or --json.") -> [String] {
        let layout = layout(style)
        return [layout.header(style)] + rows.map(layout.line) + layout.leftOut(style, advice)
    }

    /// Where columns stand, by the rows so far.
    func layout(_ style: Style) -> Layout {
        var widths = header.indices.map { column in
            ([header] + rows).reduce(0) { max($0, $1[column].displayWidth) }
        }
        let least = header.map { max(Self.narrowest, $0.displayWidth) }
        func excess(_ count: Int) -> Int { widths.prefix(count).reduce(2 * (count - 1), +) - style.width }
        while excess(widths.count) > 0 {
            let words = widths.indices.filter { alignments[$0] == .left && widths[$0] > least[$0] }
            guard let widest = words.max(by: { widths[$0] < widths[$1] }) else { break }
            let next = words.filter { $0 != widest }.map { widths[$0] }.max() ?? 0
            widths[widest] = max(
                least[widest], min(widths[widest] - 1, max(next, widths[widest] - excess(widths.count))))
        }
        let shown = (1...max(1, widths.count)).last { $0 == 1 || excess($0) <= 0 }!
        return Layout(names: header, alignments: alignments, widths: widths, shown: shown)
    }

    /// Columns of fixed widths.
    struct Layout {
        fileprivate let names: [String]
        fileprivate let alignments: [Alignment]
        fileprivate let widths: [Int]
        /// Columns that fit on the page.
        fileprivate let shown: Int

        func header(_ style: Style) -> String { style.dim(line(names)) }

        func line(_ cells: [String]) -> String {
            let fitted = (0..<min(shown, cells.count)).map { column in
                let cell = cells[column].onOneLine
                // A number of a later row may be longer than those looked at; it is never cut.
                return alignments[column] == .right
                    ? cell.leftPadded(to: widths[column])
                    : cell.cut(to: widths[column]).padded(to: widths[column])
            }
            return fitted.joined(separator: "  ").withoutTrailingSpaces
        }

        func leftOut(_ style: Style, _ advice: String) -> [String] {
            guard shown < names.count else { return [] }
            let left = "Too wide for the page, left out: " + names[shown...].joined(separator: ", ")
            return "\(left). \(advice)".wrapped(to: style.width, paint: style.dim)
        }
    }
}

extension String {
    var withoutTrailingSpaces: String {
        var text = self[...]
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
