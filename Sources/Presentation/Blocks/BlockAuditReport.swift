import Quantizing
import Tensors

/// The result of `quant blocks --audit`: a model's blocks, by type and tensor, and the worst of them.
public struct BlockAuditReport: Report {
    /// How scales or minima are spread.
    struct Spread: Encodable {
        let min: Float
        let p05: Float
        let median: Float
        let p95: Float
        let max: Float

        init?(_ distribution: Distribution?) {
            guard let distribution, let median = distribution.quantile(0.5) else { return nil }
            self.median = median
            p05 = distribution.quantile(0.05)!
            p95 = distribution.quantile(0.95)!
            (min, max) = (distribution.minimum, distribution.maximum)
        }
    }

    /// A tensor, or all of a type.
    struct Line: Encodable {
        @OrNull var name: String?
        @OrNull var layer: Int?
        @OrNull var role: String?
        let type: String
        let nBlocks: Int
        let dead: Int
        let zeroNotExact: Int
        let broken: Int
        @OrNull var scale: Spread?
        @OrNull var min: Spread?
    }

    struct Worst: Encodable {
        let tensor: String
        let type: String
        let row: Int
        let block: Int
        let fileOffset: Int
        let scale: Float
        let relativeScale: Float
        @OrNull var maxAbs: Float?
    }

    struct Skipped: Encodable {
        let name: String
        let type: String
    }

    let file: String
    @OrNull var reference: String?
    let tensors: [Line]
    let types: [Line]
    /// Worst first: by `max_abs` with a reference, otherwise by `relative_scale`.
    let worst: [Worst]
    /// Tensors without blocks that can be taken apart.
    let skipped: [Skipped]
    private let limit: Int

    private enum CodingKeys: CodingKey { case file, reference, tensors, types, worst, skipped }

    /// - Parameter limit: tensors and worst blocks on the page; the document has all.
    public init(file: String, reference: String?, audit: BlockAudit, limit: Int) {
        self.file = file
        self.reference = reference
        self.limit = limit
        tensors = audit.tensors.map {
            Line($0.tally, name: $0.tensor.name, layer: $0.layer, role: $0.role, type: $0.tensor.type)
        }
        types = audit.types.map { Line($0.tally, type: $0.type) }
        worst = audit.worst.map {
            Worst(
                tensor: $0.tensor.name, type: $0.tensor.type.name, row: $0.row, block: $0.block,
                fileOffset: $0.fileOffset, scale: $0.scale, relativeScale: $0.relativeScale, maxAbs: $0.maximumError)
        }
        skipped = audit.skipped.map { Skipped(name: $0.name, type: $0.type.name) }
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        var lines = [style.bold("Blocks of \(file)"), ""]
        lines += counts(types, first: "type", style) { $0.type }
        lines += ["", style.bold("What codes are multiplied by"), ""] + spreads(\.scale, style)
        if types.contains(where: { $0.min != nil }) {
            lines += ["", style.bold("Minima, as in the formula"), ""] + spreads(\.min, style)
        }
        // Blocks where zero is not exact are many in any format with minima; dead and broken ones are not.
        let odd = tensors.sorted {
            ($0.broken, $0.dead, $0.share) > ($1.broken, $1.dead, $1.share)
        }
        lines += ["", style.bold("Tensors with the most odd blocks"), ""]
        lines += counts(Array(odd.prefix(limit)), first: "tensor", style) { $0.name ?? "" }
        lines += ["", style.bold(reference == nil ? "The largest scales for their tensor" : "The largest errors"), ""]
        lines += worstLines(style)
        if !skipped.isEmpty {
            let kinds = Set(skipped.map(\.type)).sorted().joined(separator: ", ")
            lines += ["", style.dim("Without blocks to audit: \(Numbers.count(skipped.count, "tensor")) of \(kinds)")]
        }
        return lines.joined(separator: "\n")
    }

    private func counts(
        _ lines: [Line], first: String, _ style: Style, name: (Line) -> String
    ) -> [String] {
        var table = Table([
            (first, .left), ("blocks", .right), ("dead", .right), ("broken", .right), ("zero not exact", .right),
            ("", .right),
        ])
        for line in lines {
            table.add(
                name(line), Numbers.grouped(line.nBlocks), Numbers.grouped(line.dead), Numbers.grouped(line.broken),
                Numbers.grouped(line.zeroNotExact), Numbers.fixed(line.share * 100) + " %")
        }
        return table.lines(style)
    }

    private func spreads(_ spread: (Line) -> Spread?, _ style: Style) -> [String] {
        var table = Table([
            ("type", .left), ("lowest", .right), ("5 %", .right), ("median", .right), ("95 %", .right),
            ("highest", .right),
        ])
        for line in types {
            guard let s = spread(line) else { continue }
            table.add([line.type] + [s.min, s.p05, s.median, s.p95, s.max].map { Numbers.short(Double($0)) })
        }
        return table.lines(style)
    }

    private func worstLines(_ style: Style) -> [String] {
        var table = Table([
            ("tensor", .left), ("row", .right), ("block", .right), ("file offset", .right),
            reference == nil ? ("scale", .right) : ("error", .right), ("x median scale", .right),
        ])
        for block in worst.prefix(limit) {
            table.add(
                block.tensor, "\(block.row)", "\(block.block)", "\(block.fileOffset)",
                Numbers.short(Double(block.maxAbs ?? block.scale)), Numbers.short(Double(block.relativeScale)))
        }
        let rest = worst.count - min(limit, worst.count)
        return table.lines(style)
            + (rest > 0 ? [style.dim("… and \(rest) more; --limit shows them, --json has all")] : [])
    }
}

extension BlockAuditReport.Line {
    /// Of the blocks, those in which zero is not exact.
    fileprivate var share: Double { nBlocks > 0 ? Double(zeroNotExact) / Double(nBlocks) : 0 }

    init(_ tally: BlockAudit.Tally, name: String? = nil, layer: Int? = nil, role: String? = nil, type: TensorType) {
        self.init(
            name: name, layer: layer, role: role, type: type.name, nBlocks: tally.blocks, dead: tally.dead,
            zeroNotExact: tally.zeroNotExact, broken: tally.broken, scale: .init(tally.scales),
            min: .init(tally.minima))
    }
}
