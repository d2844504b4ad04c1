import LlamaModel
import Measuring

/// The result of `quant sensitivity`: parts of a model by what quantising each of them alone does.
public struct SensitivityReport: Report {
    struct Line: Encodable {
        let name: String
        @OrNull var layer: Int?
        @OrNull var role: String?
        let kld: Double
        /// The same under the name that other documents have.
        let kldMean: Double
        let kldUncertainty: Double
        let sameTop: Double
        let n: Int
        let bpw: Double
        let mixBpw: Double
        /// Whether the mix spends more on it.
        let moreBits: Bool
    }

    struct Agreement: Encodable {
        let nMoreBits: Int
        let nShared: Int
        let nExpected: Double
        @OrNull var rankCorrelation: Double?
    }

    let model: String
    let text: TextFacts
    let by: String
    let type: String
    let mix: String
    /// The most sensitive first; of layers and roles, too.
    let tensors: [Line]
    @OrNull var agreement: Agreement?
    private let limit: Int

    private enum CodingKeys: CodingKey { case model, text, by, type, mix, tensors, agreement }

    /// - Parameter limit: parts to list for people.
    public init(
        _ sensitivity: Sensitivity, of model: Llama, on text: ScoredText, by unit: Sensitivity.Unit, type: String,
        mix: String, limit: Int
    ) {
        self.model = model.file.path
        self.text = TextFacts(text)
        by = unit.rawValue
        self.type = type
        self.mix = mix
        self.limit = limit
        tensors = sensitivity.parts.map { part in
            Line(
                name: part.name, layer: part.layer, role: part.role, kld: part.divergence.value,
                kldMean: part.divergence.value,
                kldUncertainty: part.divergence.uncertainty, sameTop: part.sameTop, n: part.weights,
                bpw: part.bitsPerWeight,
                mixBpw: part.mixBitsPerWeight, moreBits: part.hasMoreBits)
        }
        agreement = sensitivity.agreement.map {
            Agreement(
                nMoreBits: $0.favoured, nShared: $0.shared, nExpected: $0.expected,
                rankCorrelation: $0.rankCorrelation)
        }
    }

    public func page(_ style: Style) -> String {
        var lines = [style.bold(model.cutAtFront(to: style.width))] + text.lines(style)
        lines += words(
            "One \(by) at a time in \(type), the rest as it is; KLD from the model as it is. same: how often, in "
                + "percent, both give the same token the highest probability. Last: bits per weight that \(mix) adds.",
            style)
        lines += [""] + tableLines(style)
        if tensors.count > limit { lines.append(style.dim("… and \(tensors.count - limit) more; --limit shows them")) }
        return (lines + [""] + verdict(style)).joined(separator: "\n")
    }

    private func tableLines(_ style: Style) -> [String] {
        let most = max(tensors.first?.kld ?? 0, .leastNonzeroMagnitude)
        var table = Table([
            ("", .right), (by, .whole), ("weights", .right), ("KLD", .right), ("±", .left), ("same", .right),
            ("", .left), (mix, .left),
        ])
        for (index, line) in tensors.prefix(limit).enumerated() {
            table.add(
                "\(index + 1)", line.name, Numbers.scaled(line.n), QuantTableReport.small(line.kld),
                QuantTableReport.small(line.kldUncertainty), Numbers.fixed(line.sameTop * 100, 1),
                Bar.horizontal(line.kld / most, width: 8),
                line.moreBits ? "+\(Numbers.fixed(line.mixBpw - line.bpw))" : "")
        }
        return table.lines(style)
    }

    private func verdict(_ style: Style) -> [String] {
        guard let agreement else {
            return words("\(mix) gives no \(by) more bits than another, so there is nothing to compare with.", style)
        }
        let count = agreement.nMoreBits
        let top = tensors.prefix(count)
        var lines = words(
            "\(mix) gives more bits to \(count) of \(Numbers.count(tensors.count, by)); of the \(count) most sensitive, "
                + "\(agreement.nShared) \(agreement.nShared == 1 ? "gets" : "get") them "
                + "(by chance: \(Numbers.fixed(agreement.nExpected, 1)))."
                + (agreement.rankCorrelation.map { " Rank correlation: \(Numbers.fixed($0))." } ?? ""), style)
        let missed = top.filter { !$0.moreBits }.map(\.name)
        let spared = tensors.dropFirst(count).filter(\.moreBits).map(\.name)
        if !missed.isEmpty {
            lines += words("Would deserve more and get none: " + missed.joined(separator: ", ") + ".", style)
            lines += words("Get more and are less sensitive: " + spared.joined(separator: ", ") + ".", style)
        }
        let note = "Small tensors cost little: a high rank with few weights is where bits are best spent."
        let noteWords = note.split(separator: " ").map(String.init)
        return lines + noteWords.wrapped(to: style.width, indent: "", paint: style.dim)
    }

    private func words(_ text: String, _ style: Style) -> [String] {
        text.wrapped(to: style.width)
    }
}
