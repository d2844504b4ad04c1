import GGUF
import LlamaModel
import Quantizing
import Tensors

/// The result of `quantize`: what became of each tensor, or with `--dry-run` what would.
public struct QuantizeReport: Report {
    /// A tensor before and after.
    struct Line: Encodable {
        let name: String
        let layer: Int?
        let role: String
        let shape: [Int]
        let from: String
        let to: String
        /// What the file type meant, where the rows' length forbids it.
        let wanted: String?
        let bytesBefore: Int
        let bytesAfter: Int
        let bpw: Double
        let error: QuantErrorsReport.Error?
        let needsImportance: Bool

        private enum CodingKeys: CodingKey {
            case name, layer, role, shape, from, to, wanted, bytesBefore, bytesAfter, bpw, needsImportance
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(name, forKey: .name)
            try container.encode(layer, forKey: .layer)
            try container.encode(role, forKey: .role)
            try container.encode(shape, forKey: .shape)
            try container.encode(from, forKey: .from)
            try container.encode(to, forKey: .to)
            try container.encode(wanted, forKey: .wanted)
            try container.encode(bytesBefore, forKey: .bytesBefore)
            try container.encode(bytesAfter, forKey: .bytesAfter)
            try container.encode(bpw, forKey: .bpw)
            try container.encode(needsImportance, forKey: .needsImportance)
            try error?.encode(to: encoder)
        }
    }

    let file: String
    /// `nil` if nothing was written.
    let output: String?
    let fileType: String
    let bytesBefore: Int
    let bytesAfter: Int
    let bpwBefore: Double
    let bpwAfter: Double
    let nFallback: Int
    let wallNs: Int?
    /// In the order of the new file.
    let tensors: [Line]
    /// Some tensor cannot be written as planned, because no importances are known.
    let needsImportance: Bool
    private let isListed: Bool

    private enum CodingKeys: CodingKey {
        case file, output, fileType, bytesBefore, bytesAfter, bpwBefore, bpwAfter, nFallback, wallNs, tensors
        case needsImportance
    }

    /// - Parameters:
    ///   - output: the file written; `nil` for a plan.
    ///   - errors: of each tensor of the plan, if they are known.
    ///   - lacksImportance: tensors that need importances and have none.
    ///   - wallNs: how long it took.
    public init(
        _ plan: QuantizationPlan, of file: GGUFFile, output: String?, errors: [TensorError?]? = nil,
        lacksImportance: Bool = false, wallNs: Int? = nil
    ) {
        self.file = file.path
        self.output = output
        self.wallNs = wallNs
        fileType = plan.fileType?.name ?? "COPY"
        bytesBefore = file.tensors.reduce(0) { $0 + $1.byteCount }
        bytesAfter = plan.byteCount
        let parameters = Double(max(1, file.parameterCount))
        bpwBefore = Double(bytesBefore * 8) / parameters
        bpwAfter = Double(bytesAfter * 8) / parameters
        nFallback = plan.fallbacks
        needsImportance = lacksImportance && plan.entries.contains { $0.needsImportance }
        isListed = output == nil
        tensors = plan.entries.enumerated().map { index, entry in
            let parsed = WeightName(entry.tensor.name)
            return Line(
                name: entry.tensor.name, layer: parsed.layer, role: parsed.role, shape: entry.tensor.shape.significant,
                from: entry.tensor.type.name, to: entry.type.name, wanted: entry.isFallback ? entry.wanted.name : nil,
                bytesBefore: entry.tensor.byteCount, bytesAfter: entry.byteCount, bpw: entry.type.bitsPerWeight,
                error: errors?[index].map { QuantErrorsReport.Error($0.statistics) },
                needsImportance: lacksImportance && entry.needsImportance)
        }
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        let title = output.map { "\(file) written as \(fileType) to \($0)" } ?? "\(file) as \(fileType) would be"
        var lines = [style.bold(title), ""]
        if isListed { lines += tensorLines(style) + [""] }
        lines += typeLines(style) + [""]
        lines.append(
            "\(mebibytes(bytesBefore)) → \(mebibytes(bytesAfter)) "
                + "(\(Numbers.fixed(bpwBefore)) → \(Numbers.fixed(bpwAfter)) bits per weight)")
        if let wallNs { lines[lines.count - 1] += style.dim("  in \(Numbers.duration(nanoseconds: wallNs))") }
        if nFallback > 0 {
            lines.append(
                style.warning("\(nFallback) of \(tensors.count) tensors fell back to another type: ")
                    + "blocks do not divide their rows.")
        }
        if needsImportance {
            lines.append(style.warning("Some tensors can only be written with an importance matrix: give --imatrix."))
        }
        return lines.joined(separator: "\n")
    }

    private func mebibytes(_ bytes: Int) -> String { "\(Numbers.fixed(Double(bytes) / 1_048_576)) MiB" }

    private func tensorLines(_ style: Style) -> [String] {
        var table = Table([
            ("tensor", .left), ("from", .left), ("to", .left), ("MiB", .right), ("relative", .right),
            ("SQNR dB", .right), ("max", .right), ("instead of", .left),
        ])
        for line in tensors where line.from != line.to {
            let error = line.error
            table.add(
                line.name, line.from, line.to, Numbers.fixed(Double(line.bytesAfter) / 1_048_576),
                line.needsImportance ? "imatrix!" : error.map { Numbers.fixed($0.relRmse * 100) + " %" } ?? "-",
                error.map { $0.sqnrDb.isFinite ? Numbers.fixed($0.sqnrDb) : "exact" } ?? "-",
                Numbers.short(error?.maxAbs), line.wanted ?? "")
        }
        let copied = tensors.count { $0.from == $0.to }
        return table.lines(style)
            + (copied > 0 ? [style.dim("and \(Numbers.count(copied, "tensor")) copied as they are")] : [])
    }

    /// How many tensors and bytes each type has.
    private func typeLines(_ style: Style) -> [String] {
        var table = Table([
            ("type", .left), ("bpw", .right), ("tensors", .right), ("MiB", .right), ("of the file", .right),
        ])
        let groups = Dictionary(grouping: tensors, by: \.to).map { type, lines in
            (type, lines, lines.reduce(0) { $0 + $1.bytesAfter })
        }
        for (type, lines, bytes) in groups.sorted(by: { ($0.2, $1.0) > ($1.2, $0.0) }) {
            table.add(
                type, Numbers.short(lines[0].bpw), "\(lines.count)", Numbers.fixed(Double(bytes) / 1_048_576),
                Numbers.percent(Double(bytes) / Double(max(1, bytesAfter))))
        }
        return table.lines(style)
    }
}
