import Quantizing

/// A format on all matrices of a model, those included that it is not written in.
struct RankedFormat: Encodable {
    let type: String
    let textbook: Bool
    /// With fallbacks.
    let bpw: Double
    let n: Int
    /// Weights in types that stand in.
    let nFallback: Int
    let fallbacks: [String]
    let error: QuantErrorsReport.Error

    private enum CodingKeys: CodingKey { case type, textbook, bpw, n, nFallback, fallbacks }

    init(_ row: FormatRanking.Row) {
        type = row.form.name
        textbook = row.form.isTextbook
        bpw = row.bitsPerWeight
        n = row.statistics.count
        nFallback = row.fallbackWeights
        fallbacks = row.fallbacks.keys.sorted()
        error = .init(row.statistics)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(type, forKey: .type)
        try container.encode(textbook, forKey: .textbook)
        try container.encode(bpw, forKey: .bpw)
        try container.encode(n, forKey: .n)
        try container.encode(nFallback, forKey: .nFallback)
        try container.encode(fallbacks, forKey: .fallbacks)
        try error.encode(to: encoder)
    }

    /// A heading and a line for each format, best first.
    static func lines(_ formats: [RankedFormat], without others: [String], _ style: Style) -> [String] {
        let total = formats.first?.n ?? 0
        let fallsBack = formats.contains { $0.nFallback > 0 }
        var table = Table(
            [("format", .whole)] + (fallsBack ? [("fallback", .right)] : []) + QuantErrorsReport.columns)
        for format in formats {
            let share = format.nFallback == 0 ? "" : Numbers.percent(Double(format.nFallback) / Double(max(1, total)))
            table.add(
                [format.textbook ? format.type + "†" : format.type] + (fallsBack ? [share] : [])
                    + [Numbers.short(format.bpw)] + format.error.cells)
        }
        let title = formats.count > 1 ? "By format on all matrices, best first" : "All matrices"
        var lines = [style.bold(title) + ": \(Numbers.grouped(total)) weights", ""] + table.lines(style)
        if fallsBack {
            let pairs = formats.filter { !$0.fallbacks.isEmpty }.map {
                "\($0.type) to \($0.fallbacks.joined(separator: " and "))"
            }
            let note =
                "fallback: weights in rows that the format's blocks do not divide. They count in the type that llama.cpp "
                + "writes in its place: \(pairs.joined(separator: ", "))."
            lines += note.wrapped(to: style.width, indent: "", paint: style.dim)
        }
        if !others.isEmpty {
            let note =
                "Not ranked: \(others.joined(separator: ", ")): some matrices can be written in neither these nor what "
                + "llama.cpp would write in their place; --json has their errors on the others."
            lines += note.wrapped(to: style.width, indent: "", paint: style.dim)
        }
        if formats.contains(where: \.textbook) { lines.append(style.dim(QuantErrorsReport.Line.textbookNote)) }
        return lines
    }
}
