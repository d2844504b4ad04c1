import Recording
import Tracing

/// The result of `attention`: the patterns of chosen heads, or what all heads do.
public struct AttentionReport: Report {
    struct Sink: Encodable {
        let position: Int
        let piece: String
        /// Mean attention that later positions give it.
        let weight: Double
    }

    struct Head: Encodable {
        let scores: HeadLine
        /// How many positions, its own included, a position sees; `null` if all before it.
        let window: Int?
        let sinks: [Sink]
        /// Row q: the weights that position q gives to 0 to q.
        let pattern: [[Float]]
        let labels: [HeadScores.Label]

        private enum CodingKeys: CodingKey { case window, sinks, pattern }

        /// The scores beside the pattern, not inside an object of their own.
        func encode(to encoder: any Encoder) throws {
            try scores.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(window, forKey: .window)
            try container.encode(sinks, forKey: .sinks)
            try container.encode(pattern, forKey: .pattern)
        }
    }

    let trace: String
    let source: String
    let tokens: [String]
    let heads: [Head]

    private let overview: HeadScoresReport
    /// Rows to show, if the user chose.
    private let positions: [Int]?

    private enum CodingKeys: CodingKey { case trace, source, tokens, heads }

    /// - Parameters:
    ///   - source: where the patterns are from, in words.
    ///   - shown: heads whose patterns are shown; none: the scores of all are.
    ///   - positions: rows to show.
    public init(
        trace: String, source: String, tokens: [String], scores: [HeadScores],
        shown: [(scores: HeadScores, pattern: AttentionPatterns.Pattern, window: Int?)], positions: [Int]?
    ) {
        self.trace = trace
        self.source = source
        self.tokens = tokens
        self.positions = positions
        heads = shown.map { scores, pattern, window in
            Head(
                scores: HeadLine(scores), window: window,
                sinks: Self.sinks(pattern, window).map { Sink(position: $0, piece: tokens[$0], weight: $1) },
                pattern: pattern, labels: scores.labels)
        }
        overview = HeadScoresReport(
            of: trace, over: "\(Numbers.count(tokens.count, "token")) of the trace, \(source)", scores: scores)
    }

    public func encode(to encoder: any Encoder) throws {
        if heads.isEmpty { return try overview.encode(to: encoder) }
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(trace, forKey: .trace)
        try container.encode(source, forKey: .source)
        try container.encode(tokens, forKey: .tokens)
        try container.encode(heads, forKey: .heads)
    }

    /// Positions that take so much of the attention of later ones, with at least `witnesses` of them.
    private static func sinks(_ pattern: AttentionPatterns.Pattern, _ window: Int?) -> [(Int, Double)] {
        let witnesses = 4
        guard window ?? .max > witnesses else { return [] }
        return pattern.indices.dropLast(witnesses).compactMap { position in
            let later = pattern[(position + 1)...].prefix((window ?? .max) - 1)
            let mean = later.reduce(0.0) { $0 + Double($1[position]) } / Double(later.count)
            return mean >= HeadScores.sinkThreshold ? (position, mean) : nil
        }
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        if heads.isEmpty { return overview.page(style) }
        var lines: [String] = []
        for head in heads {
            if !lines.isEmpty { lines += [""] }
            lines += headLines(head, style)
        }
        if heads.count == 1 { lines += [""] + numbers(heads[0], style) }
        return lines.joined(separator: "\n")
    }

    private func headLines(_ head: Head, _ style: Style) -> [String] {
        let line = head.scores
        func text(_ value: Double?) -> String { value.map { Numbers.fixed($0) } ?? "-" }
        var lines = [
            style.bold("Head \(line.layer).\(line.head) of \(trace)") + ", reads KV head \(line.kvHead), "
                + (head.window.map { "sees \(Numbers.count($0, "position")), " } ?? "") + source
        ]
        lines += HeadScoresReport.paragraph(
            "entropy \(text(line.entropyBits)) bits, first token \(text(line.sink)), previous "
                + "\(text(line.previousToken)), induction \(text(line.induction))"
                + (line.labels.isEmpty ? "" : ": " + line.labels.joined(separator: ", ")), style)
        for sink in head.sinks {
            lines.append(
                "sink: position \(sink.position) '\(sink.piece.onOneLine)' takes "
                    + "\(Numbers.percent(sink.weight)) of the attention of all after it")
        }
        return lines + [""] + picture(head, style)
    }

    private static let labelWidth = 16
    /// Rows of a picture unless the user chose.
    private static let mostRows = 48

    private var rows: [Int] { positions ?? Array(max(0, tokens.count - Self.mostRows)..<tokens.count) }

    /// Rows look, columns are looked at; a cell is one position, or the largest of several.
    private func picture(_ head: Head, _ style: Style) -> [String] {
        let columns = (rows.last ?? 0) + 1
        let room = style.width - Self.labelWidth - 1
        let cell = columns * 2 <= room ? 2 : 1
        let shown = min(columns, room / cell)
        let ranges = (0..<shown).map { $0 * columns / shown..<($0 + 1) * columns / shown }
        let margin = String(repeating: " ", count: Self.labelWidth + 1)
        var lines = [style.dim(margin + Self.axis(ranges.map(\.lowerBound), cell: cell))]
        let sinks = Set(head.sinks.map(\.position))
        if !sinks.isEmpty {
            let marks = ranges.map { (sinks.isDisjoint(with: $0) ? " " : "▼").leftPadded(to: cell) }
            lines.append(margin + marks.joined())
        }
        for row in rows {
            let weights = head.pattern[row]
            let cells = ranges.map { range -> String in
                guard range.lowerBound < weights.count else { return String(repeating: " ", count: cell) }
                if let window = head.window, range.upperBound <= weights.count - window {
                    return style.dim("/".leftPadded(to: cell))
                }
                let largest = weights[range.clamped(to: 0..<weights.count)].max() ?? 0
                return HeatMap.mark(Double(largest), width: cell, style)
            }
            let label = "\(row)".leftPadded(to: 4) + " " + tokens[row].onOneLine.cut(to: Self.labelWidth - 5)
            lines.append(label.padded(to: Self.labelWidth) + " " + cells.joined())
        }
        var note = "A row looks at the columns before it. \(HeatMap.shareLegend(style))"
        if !sinks.isEmpty { note += " ▼ a sink." }
        if let window = head.window, rows.contains(where: { $0 >= window }) {
            note += " / lies before the window of \(Numbers.count(window, "position"))."
        }
        if shown < columns { note += " A cell is the largest of up to \((columns + shown - 1) / shown) positions." }
        if positions == nil, rows.count < tokens.count {
            note += " The last \(rows.count) rows; --positions shows others."
        }
        return lines + HeadScoresReport.paragraph(note, style).map(style.dim)
    }

    /// The numbers of every fifth column or so, each ending where its column does.
    private static func axis(_ positions: [Int], cell: Int) -> String {
        var line = ""
        for (column, position) in positions.enumerated() where column % (10 / cell) == 0 {
            let text = "\(position)"
            let end = (column + 1) * cell
            if end - text.count >= line.count { line = line.padded(to: end - text.count) + text }
        }
        return line
    }

    private func numbers(_ head: Head, _ style: Style) -> [String] {
        var table = Table([("at", .right), ("token", .left), ("looks at", .left), ("first", .right), ("bits", .right)])
        for row in rows {
            let weights = head.pattern[row]
            let top = weights.indices.sorted { (weights[$1], $0) < (weights[$0], $1) }.prefix(3)
                .filter { weights[$0] >= 0.005 }
            let strongest = top.map { "\($0) '\(tokens[$0])' \(Numbers.fixed(Double(weights[$0])))" }
            table.add(
                "\(row)", "'\(tokens[row])'", strongest.joined(separator: ", "), Numbers.fixed(Double(weights[0])),
                Numbers.fixed(AttentionSummary(weights).entropyBits))
        }
        return table.lines(style)
    }
}
