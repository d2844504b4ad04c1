import Stepping

/// A plane of an operation's output as a picture with words around it.
struct StepHeatMap {
    let view: StepperView
    let picture: StepPicture

    /// A single row longer than this is folded.
    private static let fold = 64

    /// A title, the picture in at most `rows` rows, and a legend.
    func lines(_ style: Style, rows: Int) -> [String] {
        guard rows > 0 else { return [] }
        var (height, width, values) = (picture.rows, picture.columns, picture.values)
        let isFolded = height == 1 && width > Self.fold
        if isFolded {
            height = (width + Self.fold - 1) / Self.fold
            values += Array(repeating: nil, count: height * Self.fold - width)
            width = Self.fold
        }
        let map = HeatMap(rows: height, columns: width, values: values)
        let drawn = map.lines(style, maximumRows: rows)
        let shown = min(height, rows)
        let picture = drawn.prefix(shown).enumerated().map { row, line in
            label(height * row / shown, isFolded: isFolded).leftPadded(to: 7) + " " + line.dropFirst(8)
        }
        return [title(style, isFolded: isFolded, merged: (height + shown - 1) / shown)] + picture + [drawn[shown]]
    }

    private func label(_ row: Int, isFolded: Bool) -> String {
        if isFolded { return "\(row * Self.fold)" }
        guard picture.rowsAreTokens, view.tokens.indices.contains(row) else { return "\(row)" }
        return view.tokens[row].piece.onOneLine.cut(to: 7)
    }

    private func title(_ style: Style, isFolded: Bool, merged: Int) -> String {
        let names = OperationGlossary.dimensions(of: view.operation) ?? []
        func name(_ dimension: Int, _ other: String) -> String {
            names.indices.contains(dimension) && picture.writes == nil ? names[dimension] : other
        }
        var text = isFolded ? "\(name(0, "ne0")) right, \(Self.fold) a row" : "\(name(0, "ne0")) right"
        if !isFolded, picture.rows > 1 {
            text += ", \(picture.rowsAreTokens ? "token" : name(1, "ne1")) down"
            if merged > 1 { text += ", up to \(merged) a line" }
        }
        if picture.planes > 1 {
            let which =
                picture.planesAreTokens && view.tokens.indices.contains(picture.plane)
                ? "token ‹\(view.tokens[picture.plane].piece.onOneLine)›" : "\(name(2, "plane")) \(picture.plane)"
            text += "; \(which), \(picture.plane + 1) of \(picture.planes) (< >)"
        }
        if let source = picture.writes { text = "what is written, \(source.onOneLine): " + text }
        return style.dim("output  \(text)")
    }
}
