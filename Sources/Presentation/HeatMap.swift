/// A matrix as a picture: one cell a value, or the largest of several where there are more values than room.
struct HeatMap {
    let rows: Int
    let columns: Int
    /// Row by row; `nil` where there is no value.
    let values: [Double?]

    /// Without colour: from blank, which is zero or nothing, to full.
    private static let shades = Array(" ·:=+*#%@")

    /// The largest magnitude, which the darkest colour stands for.
    private var scale: Double {
        var largest = 0.0
        for case let value? in values where value.isFinite { largest = max(largest, abs(value)) }
        return largest > 0 ? largest : 1
    }

    /// Lines without line ends: the picture, and a legend.
    ///
    /// - Parameters:
    ///   - firstRow: the number of the first row.
    ///   - axes: what goes right and what down.
    func lines(
        _ style: Style, maximumRows: Int = 32, firstRow: Int = 0, axes: String = "ne0 right, ne1 down"
    ) -> [String] {
        let width = style.width - 8
        let cell = columns * 2 <= width ? 2 : 1
        let shown = (rows: min(rows, maximumRows), columns: min(columns, width / cell))
        let scale = scale
        var lines: [String] = []
        for r in 0..<shown.rows {
            let from = (r * rows / shown.rows, (r + 1) * rows / shown.rows)
            var line = "\(firstRow + from.0)".leftPadded(to: 6) + "  "
            for c in 0..<shown.columns {
                let columnRange = (c * columns / shown.columns, (c + 1) * columns / shown.columns)
                line += paint(largest(from.0..<from.1, columnRange.0..<columnRange.1), scale, cell, style)
            }
            lines.append(line)
        }
        var note = axes
        if shown.rows < rows || shown.columns < columns {
            let most = ((rows + shown.rows - 1) / shown.rows, (columns + shown.columns - 1) / shown.columns)
            note += "; a cell is the largest of up to \(most.1) x \(most.0) values"
        }
        return lines + ["        " + legend(style, scale, hasSigns: cell == 2), "        " + style.dim(note)]
    }

    /// By magnitude: a mean of values of both signs would show next to nothing.
    private func largest(_ rowRange: Range<Int>, _ columnRange: Range<Int>) -> Double? {
        var largest: Double?
        for r in rowRange {
            for c in columnRange {
                guard let value = values[r * columns + c], value.isFinite else { continue }
                if abs(value) >= abs(largest ?? 0) { largest = value }
            }
        }
        return largest
    }

    private func paint(_ value: Double?, _ scale: Double, _ width: Int, _ style: Style) -> String {
        guard let value else { return style.dim("?".leftPadded(to: width)) }
        let share = Self.rooted(value / scale)
        if style.isColored { return style.onBackground(String(repeating: " ", count: width), Self.color(share)) }
        let shade = Self.shades[Int((abs(share) * Double(Self.shades.count - 1)).rounded())]
        // Two columns leave room for the sign.
        return width == 2 ? (share < 0 && shade != " " ? "-" : " ") + String(shade) : String(shade)
    }

    /// A cell for a share of 0 to 1.
    static func mark(_ share: Double, width: Int, _ style: Style) -> String {
        if style.isColored { return style.onBackground(String(repeating: " ", count: width), color(rooted(share))) }
        guard share.isFinite else { return "?".leftPadded(to: width) }
        return String(shades[Int((rooted(share) * Double(shades.count - 1)).rounded())]).leftPadded(to: width)
    }

    /// What the cells of `mark` stand for.
    static func shareLegend(_ style: Style) -> String {
        style.isColored ? "The darker, the more." : "0 '\(String(shades))' 1, root scale."
    }

    /// Text on the colour of a share of -1 to 1, dark on light.
    static func cell(_ text: String, share: Double, _ style: Style) -> String {
        style.onBackground(text, color(rooted(share)), isBlack: true)
    }

    /// A root lifts the many small values out of the blank.
    private static func rooted(_ share: Double) -> Double { min(1, abs(share)).squareRoot() * (share < 0 ? -1 : 1) }

    /// Blue for negative, white for zero, orange for positive: told apart by people who do not see red and green.
    private static func color(_ share: Double) -> (red: UInt8, green: UInt8, blue: UInt8) {
        let end: (Double, Double, Double) = share < 0 ? (33, 102, 172) : (230, 97, 1)
        func mix(_ channel: Double) -> UInt8 { UInt8((247 + (channel - 247) * abs(share)).rounded()) }
        return (mix(end.0), mix(end.1), mix(end.2))
    }

    private func legend(_ style: Style, _ scale: Double, hasSigns: Bool) -> String {
        if style.isColored {
            let cells = [-1, -0.7, -0.3, 0, 0.3, 0.7, 1].map { style.onBackground("  ", Self.color($0)) }.joined()
            return "\(Numbers.short(-scale)) \(cells) \(Numbers.short(scale))"
        }
        return "0 '\(String(Self.shades))' \(Numbers.short(scale))"
            + (hasSigns ? ", with - before what is negative" : " in magnitude") + ", root scale"
    }
}
