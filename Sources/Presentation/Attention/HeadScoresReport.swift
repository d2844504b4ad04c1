import Tracing

/// A head's scores as documents have them.
struct HeadLine: Encodable {
    let layer: Int
    let head: Int
    let kvHead: Int
    @OrNull var entropyBits: Double?
    /// Mean attention to the first token.
    @OrNull var sink: Double?
    @OrNull var previousToken: Double?
    /// null if no token occurred twice.
    @OrNull var induction: Double?
    /// `previous token`, `induction`, `sink`.
    let labels: [String]

    init(_ scores: HeadScores) {
        layer = scores.layer
        head = scores.head
        kvHead = scores.kvHead
        labels = scores.labels.map(\.rawValue)
        entropyBits = scores.entropyBits
        sink = scores.sink
        previousToken = scores.previousToken
        induction = scores.induction
    }
}

/// The result of `attention` without a head: what all heads do.
public struct HeadScoresReport: Report {
    /// The trace or model.
    let source: String
    let over: String
    let heads: [HeadLine]

    private let scores: [HeadScores]

    private enum CodingKeys: CodingKey { case source, over, heads }

    /// - Parameter over: what was measured on, in words.
    public init(of source: String, over: String, scores: [HeadScores]) {
        self.source = source
        self.over = over
        self.scores = scores
        heads = scores.map(HeadLine.init)
    }

    /// Heads that a table may list before it gives way to a map.
    private static let mostRows = 64
    /// Heads of a kind that are named.
    private static let mostListed = 12

    public func page(_ style: Style) -> String {
        var lines = [style.bold("Attention heads of \(source)")]
        lines += Self.paragraph("over \(over)", style) + [""]
        for label in HeadScores.Label.allCases { lines += Self.list(label, of: scores, style) }
        lines += [""]
        lines += heads.count <= Self.mostRows ? table(style) : map(style)
        return lines.joined(separator: "\n")
    }

    /// The heads of a kind, clearest first.
    private static func list(_ label: HeadScores.Label, of scores: [HeadScores], _ style: Style) -> [String] {
        let found = scores.filter { $0.labels.contains(label) }
            .sorted { ($1.value(label), $0.order) < ($0.value(label), $1.order) }
        var words = found.prefix(mostListed).map { "\($0.layer).\($0.head) (\(Numbers.fixed($0.value(label))))" }
        if found.count > words.count { words.append("and \(found.count - words.count) more") }
        let isUnknown = scores.allSatisfy { $0.score(label) == nil }
        let none = isUnknown ? "no token occurred twice" : "none"
        return (["\(label.title):"] + (words.isEmpty ? [none] : words)).wrapped(to: style.width)
    }

    private static let columns: [(String, Table.Alignment)] = [
        ("head", .whole), ("kv", .right), ("entropy", .right), ("first", .right), ("previous", .right),
        ("induction", .right), ("is", .whole),
    ]

    private func table(_ style: Style) -> [String] {
        var table = Table(Self.columns)
        for score in scores {
            func text(_ value: Double?) -> String { value.map { Numbers.fixed($0) } ?? "-" }
            table.add(
                "\(score.layer).\(score.head)", "\(score.kvHead)", text(score.entropyBits), text(score.sink),
                text(score.previousToken), text(score.induction), score.labels.map(\.rawValue).joined(separator: ", "))
        }
        return table.lines(style) + [""]
            + Self.paragraph("quipu attention LAYER.HEAD shows a head's pattern.", style).map(style.dim)
    }

    /// A letter a head, a line a layer.
    private func map(_ style: Style) -> [String] {
        let count = (scores.map(\.head).max() ?? 0) + 1
        var lines = [style.dim("layer  heads 0 to \(count - 1)".padded(to: 7 + max(count, 16)) + "  entropy, mean")]
        for (layer, heads) in Dictionary(grouping: scores, by: \.layer).sorted(by: { $0.key < $1.key }) {
            let letters = heads.map { $0.labels.first.map(\.letter) ?? "·" }.joined()
            let entropies = heads.compactMap(\.entropyBits)
            let mean = entropies.reduce(0, +) / Double(max(1, entropies.count))
            lines.append(
                "\(layer)".leftPadded(to: 5) + "  " + letters.padded(to: max(count, 16)) + "  "
                    + Numbers.fixed(mean) + " bits")
        }
        return lines + [""]
            + Self.paragraph(
                "P previous token, I induction, S rests on the first token, · none of these. --layer N lists the numbers "
                    + "of a layer, LAYER.HEAD shows a pattern, --json has all.", style
            ).map(style.dim)
    }

    static func paragraph(_ text: String, _ style: Style) -> [String] {
        text.wrapped(to: style.width, indent: "")
    }
}

extension HeadScores {
    fileprivate var order: Int { layer << 16 + head }

    fileprivate func score(_ label: Label) -> Double? {
        switch label {
        case .previousToken: previousToken
        case .induction: induction
        case .sink: sink
        }
    }

    fileprivate func value(_ label: Label) -> Double { score(label) ?? 0 }
}

extension HeadScores.Label {
    fileprivate var title: String {
        switch self {
        case .previousToken: "Previous-token heads"
        case .induction: "Induction heads"
        case .sink: "Heads that rest on the first token"
        }
    }

    fileprivate var letter: String {
        switch self {
        case .previousToken: "P"
        case .induction: "I"
        case .sink: "S"
        }
    }
}
