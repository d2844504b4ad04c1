import Analysis
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
    }

    /// A tensor, a layer or a role in one format.
    struct Line: Encodable {
        let name: String?
        let layer: Int?
        let role: String?
        let type: String
        let bpw: Double
        let n: Int
        let error: Error

        private enum CodingKeys: CodingKey { case name, layer, role, type, bpw, n }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(name, forKey: .name)
            try container.encode(layer, forKey: .layer)
            try container.encode(role, forKey: .role)
            try container.encode(type, forKey: .type)
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
    let types: [Line]
    private let limit: Int

    private enum CodingKeys: CodingKey { case file, reference, tensors, layers, roles, types }

    /// - Parameters:
    ///   - reference: what the errors are against, in words or as a path.
    ///   - limit: tensors on the page; the document has all.
    public init(file: String, reference: String, errors: [TensorError], limit: Int) {
        self.file = file
        self.reference = reference
        self.limit = limit
        tensors = errors.map(Line.init).sorted { $0.error.relRmse > $1.error.relRmse }
        // Several formats of one tensor are kept apart; the formats of a mix make up a layer's error together.
        let isMix = Set(errors.map(\.name)).count == errors.count
        layers = Self.grouped(errors.filter { $0.layer != nil }) {
            Place(layer: $0.layer, role: nil, type: isMix ? nil : $0.type)
        }
        roles = Self.grouped(errors) { Place(layer: nil, role: $0.role, type: isMix ? nil : $0.type) }
        types = Self.grouped(errors) { Place(layer: nil, role: nil, type: $0.type) }
        // A layer has one tensor of each role, so nothing needs adding up.
        cells = Dictionary(
            errors.filter { $0.layer != nil }.map {
                (Place(layer: $0.layer, role: $0.role, type: nil), $0.statistics.relativeRMSE)
            }, uniquingKeysWith: max)
    }

    /// Relative rmse by layer and role, the worst of several formats.
    private let cells: [Place: Double]

    private struct Place: Hashable {
        let layer: Int?
        let role: String?
        let type: TensorType?
    }

    /// Errors of several tensors as if they were one; the worst first.
    private static func grouped(_ errors: [TensorError], by place: (TensorError) -> Place) -> [Line] {
        let groups = Dictionary(grouping: errors, by: place)
        return groups.map { place, members in
            var all = ErrorStatistics(quantiles: true)
            for member in members { all.merge(member.statistics) }
            let bits = members.reduce(0.0) { $0 + $1.bitsPerWeight * Double($1.statistics.count) }
            let types = Set(members.map(\.type.name))
            return Line(
                name: nil, layer: place.layer, role: place.role, type: types.count == 1 ? types.first! : "mixed",
                bpw: bits / Double(max(1, all.count)), n: all.count, error: Error(all))
        }.sorted {
            // The rest tells equal errors apart, so that the order is always the same.
            ($1.error.relRmse, $0.type, $0.layer ?? 0, $0.role ?? "")
                < ($0.error.relRmse, $1.type, $1.layer ?? 0, $1.role ?? "")
        }
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        var lines = [style.bold("Quantisation error of \(file)"), "against \(reference)", ""]
        lines += typeLines(style)
        lines += ["", style.bold("The worst tensors"), ""] + tensorLines(style)
        if !cells.isEmpty { lines += [""] + heatLines(style) }
        return lines.joined(separator: "\n")
    }

    static let columns: [(String, Table.Alignment)] = [
        ("type", .left), ("bpw", .right), ("rmse", .right), ("relative", .right), ("p95", .right), ("max", .right),
        ("SQNR dB", .right),
    ]

    static func cells(_ line: Line) -> [String] {
        [
            line.type, Numbers.short(line.bpw), Numbers.short(line.error.rmse),
            Numbers.fixed(line.error.relRmse * 100) + " %", Numbers.short(line.error.p95Abs),
            Numbers.short(line.error.maxAbs), line.error.sqnrDb.isFinite ? Numbers.fixed(line.error.sqnrDb) : "exact",
        ]
    }

    private func typeLines(_ style: Style) -> [String] {
        var table = Table(Self.columns)
        for line in types { table.add(Self.cells(line)) }
        return table.lines(style)
    }

    private func tensorLines(_ style: Style) -> [String] {
        var table = Table([("tensor", .left)] + Self.columns)
        for line in tensors.prefix(limit) { table.add([line.name ?? ""] + Self.cells(line)) }
        let rest = tensors.count - min(limit, tensors.count)
        return table.lines(style)
            + (rest > 0 ? [style.dim("… and \(rest) more; --limit shows them, --json has all")] : [])
    }

    /// Layers down, roles across: relative rmse in percent, darker for more.
    private func heatLines(_ style: Style) -> [String] {
        let layers = Set(cells.keys.compactMap(\.layer)).sorted()
        let roles = Set(cells.keys.compactMap(\.role)).sorted().prefix((style.width - 8) / 9)
        let largest = cells.values.filter(\.isFinite).max() ?? 1
        var lines = [
            style.bold("Relative rmse in percent, layer by role") + (types.count > 1 ? " (the worst format)" : ""),
            style.dim("layer  " + roles.map { $0.cut(to: 8).leftPadded(to: 9) }.joined()),
        ]
        for layer in layers {
            let row = roles.map { role -> String in
                guard let value = cells[Place(layer: layer, role: role, type: nil)] else { return "        ·" }
                return " " + HeatMap.cell(Numbers.fixed(value * 100).leftPadded(to: 8), share: value / largest, style)
            }
            lines.append("\(layer)".leftPadded(to: 5) + "  " + row.joined())
        }
        return lines
    }
}

extension QuantErrorsReport.Line {
    init(_ error: TensorError) {
        self.init(
            name: error.name, layer: error.layer, role: error.role, type: error.type.name, bpw: error.bitsPerWeight,
            n: error.statistics.count, error: QuantErrorsReport.Error(error.statistics))
    }
}
