import RealModule

/// A prompt by how surprised the model was at each token: the darker, the more.
enum SurpriseLines {
    /// Bits from which on nothing gets darker: one in a thousand.
    private static let most = 10.0

    static func lines(_ pieces: [String], _ logProbabilities: [Double?], _ style: Style) -> [String] {
        let bits = logProbabilities.map { $0.map { -$0 / Double.log(2) } }
        let words = zip(pieces, bits).map { piece, bits -> String in
            let text = "‹\(piece.onOneLine)›"
            guard let bits else { return text }
            return style.isColored ? text : text + Numbers.fixed(bits, 1)
        }
        // Words of one text may be of several amounts: each is dressed by its place.
        var (lines, line, used) = ([String](), "", 0)
        for (word, bits) in zip(words, bits) {
            let shown = word.cut(to: style.width - 4)
            if used > 0, used + 1 + shown.displayWidth > style.width - 3 {
                lines.append(line)
                (line, used) = ("", 0)
            }
            let dressed = bits.map { HeatMap.cell(shown, share: min(1, $0 / most), style) } ?? shown
            line += (used > 0 ? " " : "") + dressed
            used += (used > 0 ? 1 : 0) + shown.displayWidth
        }
        lines.append(line)
        let known = bits.compactMap(\.self)
        let mean = known.reduce(0, +) / Double(max(1, known.count))
        let note =
            "\(style.isColored ? "The darker, the" : "Behind each token: how") surprising it was after those before it, in "
            + "bits; \(Numbers.fixed(mean)) on average."
        return [style.bold("1  The prompt as the model reads it: \(Numbers.count(pieces.count, "token"))")]
            + lines.map { "   " + $0 } + note.wrapped(to: style.width - 3, indent: "").map { "   " + style.dim($0) }
    }
}
