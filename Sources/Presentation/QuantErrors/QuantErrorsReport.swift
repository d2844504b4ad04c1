import Quantizing
import Tensors

/// The result of `quant errors`: which layer, tensor and role loses the most.
public struct QuantErrorsReport: Report {
    /// The numbers every line has: in the weights' own unit, as a share, and in decibels.
    struct Error: Encodable {
        let rmse: Double
        let relRmse: Double
        let maxAbs: Double
        @OrNull var p95Abs: Double?
        let sqnrDb: Double
        let cosine: Double

        init(_ s: ErrorStatistics) {
            rmse = s.rmse
            relRmse = s.relativeRMSE
            maxAbs = Double(s.maximum)
            p95Abs = s.p95
            sqnrDb = s.sqnr
            cosine = s.cosine
        }

        enum CodingKeys: CodingKey { case rmse, relRmse, maxAbs, p95Abs, sqnrDb, cosine }

        /// Under all `columns` but the first.
        var cells: [String] {
            [
                Numbers.fixed(relRmse * 100) + " %", sqnrDb.isFinite ? Numbers.fixed(sqnrDb) : "exact",
                Numbers.fixed(cosine, 5), Numbers.short(rmse), Numbers.short(p95Abs), Numbers.short(maxAbs),
            ]
        }
    }

    /// A tensor, a layer, a role or an expert of a layer in one format.
    struct Line: Encodable {
        let name: String?
        let layer: Int?
        let role: String?
        var expert: Int?
        let type: String
        /// A scheme of textbooks, which no file holds.
        let textbook: Bool
        let bpw: Double
        let n: Int
        let error: Error

        private enum CodingKeys: CodingKey { case name, layer, role, expert, type, textbook, bpw, n }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(name, forKey: .name)
            try container.encode(layer, forKey: .layer)
            try container.encode(role, forKey: .role)
            try container.encodeIfPresent(expert, forKey: .expert)
            try container.encode(type, forKey: .type)
            try container.encode(textbook, forKey: .textbook)
            try container.encode(bpw, forKey: .bpw)
            try container.encode(n, forKey: .n)
            try error.encode(to: encoder)
        }
    }

    let file: String
    let reference: String
    /// All worst first, by relative rmse.
    let tensors: [Line]
    let layers: [Line]
    let roles: [Line]
    /// The routed experts of each layer, all of an expert's matrices together; none in a model without.
    let experts: [Line]
    let types: [Line]
    /// Formats on all matrices, fallbacks included, the most exact first; none against another file.
    let ranking: [RankedFormat]
    /// Formats that some matrix can be written in neither itself nor by a fallback.
    let notRanked: [String]
    @OrNull var imatrix: String?
    let notTried: [FormatNotTried]
    /// Formats that the weights were quantised to before, if they stand for themselves.
    private let stored: [TensorType]
    private let limit: Int

    private enum CodingKeys: CodingKey {
        case file, reference, tensors, layers, roles, experts, types, ranking, notRanked, imatrix, notTried
    }

    /// - Parameters:
    ///   - reference: what the errors are against, in words or as a path.
    ///   - ranking: the formats on all matrices; `nil` where errors are of what the file holds.
    ///   - imatrix: the importance matrix's path.
    ///   - notTried: formats that were asked for, or that all means, and that no tensor was written in.
    ///   - stored: the types of the file's weights if they are what errors are against.
    ///   - limit: tensors on the page; the document has all.
    public init(
        file: String, reference: String, errors: [TensorError], ranking: FormatRanking? = nil,
        imatrix: String? = nil,
        notTried: [FormatNotTried] = [], stored: Set<TensorType> = [], limit: Int
    ) {
        self.stored = stored.filter { $0.blockElements > 1 }.sorted { $0.rawValue < $1.rawValue }
        self.file = file
        self.reference = reference
        self.imatrix = imatrix
        self.ranking = ranking?.rows.map(RankedFormat.init) ?? []
        notRanked = ranking?.unranked.map(\.name) ?? []
        self.notTried = notTried
        self.limit = limit
        tensors = errors.map(Line.init).sortedWorstFirst(by: \.error.relRmse)
        // Several formats of one tensor are kept apart; the formats of a mix make up a layer's error together.
        let isMix = Set(errors.map(\.name)).count == errors.count
        layers = Self.grouped(errors.filter { $0.layer != nil }) {
            GroupKey(layer: $0.layer, role: nil, type: isMix ? nil : $0.type)
        }
        roles = Self.grouped(errors) { GroupKey(layer: nil, role: $0.role, type: isMix ? nil : $0.type) }
        experts = Self.byExpert(errors, isMix: isMix)
        types = Self.grouped(errors) { GroupKey(layer: nil, role: nil, type: $0.type) }
        shown = Self.shown(errors, stored: Set(stored.map(\.name)))
        let isShown = { [shown] (error: TensorError) in shown == nil || error.type == shown }
        count = Set(errors.map(\.name)).count
        let weights = Dictionary(errors.map { ($0.name, $0.statistics.count) }, uniquingKeysWith: max)
        total = weights.values.reduce(0, +)
        // A layer has one tensor of each role, so nothing needs adding up but the layer.
        var cells: [GroupKey: Double] = [:]
        for (layer, members) in Dictionary(grouping: errors.filter(isShown), by: \.layer) where layer != nil {
            for error in members {
                cells[GroupKey(layer: layer, role: error.role, type: nil)] = error.statistics.relativeRMSE
            }
            let all = members.reduce(into: ErrorStatistics(quantiles: false)) { $0.merge($1.statistics) }
            cells[GroupKey(layer: layer, role: nil, type: nil)] = all.relativeRMSE
        }
        self.cells = cells
    }

    /// The format that layers, roles and tensors are shown of; `nil` if each tensor has one only.
    private let shown: WeightForm?
    /// Tensors, and weights in them.
    private let count: Int
    private let total: Int
    /// Relative rmse by layer and role, without a role of the whole layer.
    private let cells: [GroupKey: Double]

    /// Of several formats, the most exact of those of at most five bits that were tried on the most weights, but not one
    /// that the weights are in already.
    ///
    /// - Parameter stored: the file's types, if the file is its own reference.
    private static func shown(_ errors: [TensorError], stored: Set<String>) -> WeightForm? {
        guard Set(errors.map(\.name)).count < errors.count else { return nil }
        let forms = Dictionary(grouping: errors, by: \.type).map { form, members in
            let all = members.reduce(into: ErrorStatistics(quantiles: false)) { $0.merge($1.statistics) }
            let rank = (stored.contains(form.name) ? 0 : 2) + (members.allSatisfy { $0.bitsPerWeight <= 5 } ? 1 : 0)
            return (form: form, rank: rank, all: all)
        }
        return forms.max {
            ($0.all.count, $0.rank, $1.all.relativeRMSE, $1.form.name)
                < ($1.all.count, $1.rank, $0.all.relativeRMSE, $0.form.name)
        }?.form
    }

    private struct GroupKey: Hashable {
        let layer: Int?
        let role: String?
        let type: WeightForm?
    }

    /// Errors of several tensors as if they were one; the worst first.
    private static func grouped(_ errors: [TensorError], by key: (TensorError) -> GroupKey) -> [Line] {
        let groups = Dictionary(grouping: errors, by: key)
        return groups.map { key, members in
            var all = ErrorStatistics(quantiles: true)
            for member in members { all.merge(member.statistics) }
            let bits = members.reduce(0.0) { $0 + $1.bitsPerWeight * Double($1.statistics.count) }
            let types = Set(members.map(\.type.name))
            return Line(
                name: nil, layer: key.layer, role: key.role, type: types.count == 1 ? types.first! : "mixed",
                textbook: members.allSatisfy(\.type.isTextbook),
                bpw: bits / Double(max(1, all.count)), n: all.count, error: Error(all))
        }.sorted {
            // The rest tells equal errors apart, so that the order is always the same.
            ($0.type, $0.layer ?? 0, $0.role ?? "") < ($1.type, $1.layer ?? 0, $1.role ?? "")
        }.sortedWorstFirst(by: \.error.relRmse)
    }

    /// The matrices of one expert of a layer as if they were one; the worst first.
    private static func byExpert(_ errors: [TensorError], isMix: Bool) -> [Line] {
        let holding = errors.filter { !$0.experts.isEmpty }
        return (0..<(holding.map(\.experts.count).max() ?? 0)).flatMap { expert in
            let own = holding.filter { $0.experts.indices.contains(expert) }.map { TensorError($0, of: expert) }
            return grouped(own) { GroupKey(layer: $0.layer, role: nil, type: isMix ? nil : $0.type) }
                .map { line in
                    var line = line
                    line.expert = expert
                    return line
                }
        }.sorted {
            ($1.error.relRmse, $0.layer ?? 0, $0.expert!, $0.type)
                < ($0.error.relRmse, $1.layer ?? 0, $1.expert!, $1.type)
        }
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        var lines = [style.bold("Quantisation error of \(file)")]
        lines += paragraph("against \(reference)", style)
        if let imatrix { lines += paragraph("importance matrix: \(imatrix)", style) }
        lines += [""]
        lines += typeLines(style)
        lines += FormatNotTried.lines(notTried, style)
        lines += Self.warning(stored, style)
        if let shown, types.count > 1 {
            lines += [""]
            lines += paragraph(
                "Roles, tensors and layers below are of \(shown.name); --as FORMAT shows another, --json has all.",
                style)
        }
        lines += ["", style.bold("By role"), ""] + roleLines(style)
        lines += ["", style.bold("The worst tensors"), ""] + tensorLines(style)
        if !experts.isEmpty { lines += ["", style.bold("The worst experts"), ""] + expertLines(style) }
        if !cells.isEmpty { lines += [""] + heatLines(style) }
        return lines.joined(separator: "\n")
    }

    private func paragraph(_ text: String, _ style: Style) -> [String] {
        text.wrapped(to: style.width, indent: "")
    }

    /// The most telling numbers first: a narrow page leaves the last ones out.
    static let columns: [(String, Table.Alignment)] = [
        ("bpw", .right), ("relative", .right), ("SQNR dB", .right), ("cosine", .right), ("rmse", .right),
        ("p95", .right), ("max", .right),
    ]

    static func cells(_ line: Line) -> [String] { [Numbers.short(line.bpw)] + line.error.cells }

    /// What was quantised before comes back unharmed from formats with the same steps.
    static func warning(_ stored: [TensorType], _ style: Style) -> [String] {
        warning(names: stored.map(\.name), style)
    }

    static func warning(names: [String], _ style: Style) -> [String] {
        guard !names.isEmpty else { return [] }
        return [""]
            + "Mind that these weights were quantised before, to \(names.joined(separator: ", ")): formats with the same or like steps look better than they are. To choose a format, start from an F16, BF16 or F32 file of the model."
            .wrapped(to: style.width, indent: "", paint: style.warning)
    }

    private func isShown(_ line: Line) -> Bool { shown == nil || line.type == shown!.name }

    /// Best first.
    private func typeLines(_ style: Style) -> [String] {
        if !ranking.isEmpty { return RankedFormat.lines(ranking, without: notRanked, style) }
        var table = Table([("format", .whole)] + Self.columns)
        for line in types.reversed() { table.add([line.label] + Self.cells(line)) }
        let weights = "\(Numbers.grouped(total)) weights in \(Numbers.count(count, "tensor"))"
        return [style.bold(types.count > 1 ? "By format, best first" : "All tensors") + ": \(weights)", ""]
            + table.lines(style)
    }

    private func roleLines(_ style: Style) -> [String] {
        var table = Table([("role", .whole), ("weights", .right)] + Self.columns)
        for line in roles.filter(isShown).sortedWorstFirst(by: \.error.relRmse) {
            table.add([line.role ?? "", Numbers.scaled(line.n)] + Self.cells(line))
        }
        return table.lines(style)
    }

    private func tensorLines(_ style: Style) -> [String] {
        let listed = tensors.filter(isShown)
        var table = Table([("tensor", .whole)] + (shown == nil ? [("format", .whole)] : []) + Self.columns)
        for line in listed.prefix(limit) {
            table.add([line.name ?? ""] + (shown == nil ? [line.label] : []) + Self.cells(line))
        }
        return table.lines(style) + rest(of: listed, style)
    }

    private func expertLines(_ style: Style) -> [String] {
        let listed = experts.filter(isShown)
        // The statistics of an expert have no quantiles.
        let columns = Self.columns.indices.filter { Self.columns[$0].0 != "p95" }
        var table = Table(
            [("layer", .right), ("expert", .right), ("weights", .right)] + columns.map { Self.columns[$0] })
        for line in listed.prefix(limit) {
            let (layer, cells) = (line.layer.map(String.init) ?? "", Self.cells(line))
            table.add([layer, "\(line.expert!)", Numbers.scaled(line.n)] + columns.map { cells[$0] })
        }
        return table.lines(style) + rest(of: listed, style)
    }

    private func rest(of listed: [Line], _ style: Style) -> [String] {
        listed.count > limit
            ? [style.dim("… and \(listed.count - limit) more; --limit shows them, --json has all")] : []
    }

    /// Layers down, roles across: relative rmse in percent, darker for more.
    private func heatLines(_ style: Style) -> [String] {
        let layers = Set(cells.keys.compactMap(\.layer)).sorted()
        let all = Set(cells.keys.compactMap(\.role)).sorted()
        let roles = all.prefix((style.width - 16) / 9)
        let largest = cells.values.filter(\.isFinite).max() ?? 1
        var lines = [
            style.bold("Relative rmse in percent, layer by role"),
            style.dim("layer  " + roles.map { Self.brief($0).leftPadded(to: 9) }.joined() + "      all"),
        ]
        for layer in layers {
            let row = (roles.map { $0 } + [nil]).map { role -> String in
                guard let value = cells[GroupKey(layer: layer, role: role, type: nil)] else { return "        ·" }
                return " " + HeatMap.cell(Numbers.fixed(value * 100).leftPadded(to: 8), share: value / largest, style)
            }
            lines.append("\(layer)".leftPadded(to: 5) + "  " + row.joined())
        }
        if roles.count < all.count {
            let rest = "Too wide for the page, left out: \(all[roles.count...].joined(separator: ", ")); --json has all"
            lines += paragraph(rest, style).map(style.dim)
        }
        return lines
    }

    /// `attn_output` in eight columns.
    private static func brief(_ role: String) -> String { role.replacing("output", with: "out").cut(to: 8) }
}

/// A format that was asked for and not tried.
public struct FormatNotTried: Encodable, Sendable {
    let type: String
    public let reason: String

    public init(type: String, reason: String) { (self.type, self.reason) = (type, reason) }

    /// A line for each reason.
    static func lines(_ formats: [FormatNotTried], _ style: Style) -> [String] {
        var reasons: [String] = []
        for format in formats where !reasons.contains(format.reason) { reasons.append(format.reason) }
        return reasons.flatMap { reason in
            let names = formats.filter { $0.reason == reason }.map(\.type).joined(separator: ", ")
            return "Not tried: \(names): \(reason)"
                .wrapped(to: style.width, indent: "", paint: style.dim)
        }
    }
}

extension QuantErrorsReport.Line {
    init(_ error: TensorError) {
        self.init(
            name: error.name, layer: error.layer, role: error.role, type: error.type.name,
            textbook: error.type.isTextbook, bpw: error.bitsPerWeight,
            n: error.statistics.count, error: QuantErrorsReport.Error(error.statistics))
    }

    /// The format's name, marked if it is of textbooks only.
    var label: String { textbook ? type + "†" : type }

    static let textbookNote = "† a scheme of textbooks, for comparison; no file holds it"
}
