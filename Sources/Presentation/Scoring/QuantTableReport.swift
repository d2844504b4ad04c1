import Foundation
import LlamaModel
import Measuring
import Quantizing

/// The result of `quant table`: every file type's size, and what it does to predictions.
public struct QuantTableReport: Report {
    struct Row: Encodable {
        let type: String
        let sizeBytes: Int
        let bpw: Double
        let perplexity: Double
        let uncertainty: Double
        let increase: Double
        let increaseUncertainty: Double
        let kldMean: Double
        let kldUncertainty: Double
        let sameTop: Double
        let sameTopUncertainty: Double
        let tokensPerSecond: Double
        /// Tensors whose rows the type's blocks do not divide.
        let nFallback: Int
    }

    struct Base: Encodable {
        let sizeBytes: Int
        let bpw: Double
        let perplexity: Double
        let uncertainty: Double
    }

    let model: String
    let text: TextFacts
    /// Tokens that were scored.
    let nTokens: Int
    let base: Base
    /// In the order in which the types were asked for.
    let rows: [Row]
    let notTried: [FormatNotTried]
    private let isQuantized: Bool

    private enum CodingKeys: CodingKey { case model, text, nTokens, base, rows, notTried }

    /// - Precondition: at least one row.
    public init(
        _ rows: [(type: String, figures: VersionFigures)], of model: Llama, on text: ScoredText,
        notTried: [FormatNotTried]
    ) {
        let file = model.file
        let (weights, perplexity) = (Double(file.parameterCount), rows[0].figures.basePerplexity)
        let bytes = file.tensors.reduce(0) { $0 + $1.byteCount }
        self.model = file.path
        self.text = TextFacts(text)
        nTokens = text.scored.count * text.chunks.count
        self.base = Base(
            sizeBytes: bytes, bpw: Double(8 * bytes) / weights, perplexity: perplexity.value,
            uncertainty: perplexity.uncertainty)
        self.rows = rows.map { Row($0.type, $0.figures, weights: weights) }
        self.notTried = notTried
        isQuantized = file.tensors.contains { $0.type.blockElements > 1 }
    }

    /// A line of names and a line a row.
    public var csv: String {
        let names = [
            "type", "size_bytes", "bpw", "perplexity", "uncertainty", "increase", "increase_uncertainty", "kld_mean",
            "kld_uncertainty", "same_top", "same_top_uncertainty", "tokens_per_second", "n_fallback",
        ]
        let lines = rows.map { row in
            [
                row.type, "\(row.sizeBytes)", "\(row.bpw)", "\(row.perplexity)", "\(row.uncertainty)",
                "\(row.increase)", "\(row.increaseUncertainty)", "\(row.kldMean)", "\(row.kldUncertainty)",
                "\(row.sameTop)", "\(row.sameTopUncertainty)", "\(row.tokensPerSecond)", "\(row.nFallback)",
            ]
        }
        return ([names] + lines).map { $0.joined(separator: ",") }.joined(separator: "\n")
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        var lines = [style.bold(model.cutAtFront(to: style.width))] + text.lines(style)
        lines.append(
            "the base: \(Self.megabytes(base.sizeBytes)) MB, \(Numbers.fixed(base.bpw)) bpw, perplexity "
                + "\(Numbers.fixed(base.perplexity, 4)) ± \(Numbers.fixed(base.uncertainty, 4))")
        if isQuantized {
            lines += words("It is quantised already: losses are on top of those it has.", style.warning, style)
        }
        lines += [""] + tableLines(style) + [""]
        lines += words(
            "PPL: perplexity; more: than the base's. KLD: mean KL divergence from the base, in nats. same: how often, "
                + "in percent, both give the same token the highest probability. tok/s: of reading the text as a prompt, not of "
                + "generating.", style.dim, style)
        let fallen = rows.filter { $0.nFallback > 0 }.map(\.type)
        if !fallen.isEmpty {
            lines += words(
                "Blocks do not divide all rows, and some tensors fell back to another type: "
                    + fallen.joined(separator: ", ") + ".", style.warning, style)
        }
        return (lines + FormatNotTried.lines(notTried, style) + [""] + barLines(style)).joined(separator: "\n")
    }

    private func tableLines(_ style: Style) -> [String] {
        var table = Table([
            ("type", .whole), ("MB", .right), ("bpw", .right), ("PPL", .right), ("±", .left), ("more", .right),
            ("KLD", .right), ("±", .left), ("same", .right), ("tok/s", .right),
        ])
        for row in rows {
            table.add(
                row.type, Self.megabytes(row.sizeBytes), Numbers.fixed(row.bpw), Numbers.fixed(row.perplexity, 3),
                Numbers.fixed(row.uncertainty, 3), Self.signed(row.increase), Self.small(row.kldMean),
                Self.small(row.kldUncertainty), Numbers.fixed(row.sameTop * 100, 1),
                "\(Int(row.tokensPerSecond.rounded()))")
        }
        return table.lines(style)
    }

    /// KLD over bits per weight: a bar a type, longer by as much for every factor of ten.
    private func barLines(_ style: Style) -> [String] {
        let shown = rows.filter { $0.kldMean > 0 }.sorted { ($0.bpw, $0.type) < ($1.bpw, $1.type) }
        guard let least = shown.map(\.kldMean).min(), let most = shown.map(\.kldMean).max() else { return [] }
        let low = log10(least).rounded(.down)
        let decades = max(1, log10(most).rounded(.up) - low)
        let (names, room) = (shown.map(\.type.count).max()!, 10)
        let width = style.width - names - 8 - room
        var lines = [style.bold("KLD over bits per weight; the scale is logarithmic")]
        for row in shown {
            let bar = Bar.horizontal((log10(row.kldMean) - low) / decades, width: width)
            lines.append(
                row.type.padded(to: names) + Numbers.fixed(row.bpw).leftPadded(to: 6) + "  " + style.accent(bar)
                    + " " + Self.small(row.kldMean))
        }
        var axis = String(repeating: " ", count: names + 8)
        for decade in 0...Int(decades) {
            let column = names + 8 + Int(Double(decade) / decades * Double(width))
            let mark = "1e\(Int(low) + decade)"
            guard column >= axis.count, column + mark.count <= style.width else { continue }
            axis = axis.padded(to: column) + mark
        }
        let same = rows.filter { $0.kldMean <= 0 }.map(\.type)
        return lines + [style.dim(axis)]
            + (same.isEmpty ? [] : [style.dim("The same as the base: " + same.joined(separator: ", "))])
    }

    private func words(_ text: String, _ paint: (String) -> String, _ style: Style) -> [String] {
        text.wrapped(to: style.width, indent: "", paint: paint)
    }

    private static func megabytes(_ bytes: Int) -> String { Numbers.fixed(Double(bytes) / 1e6) }
    private static func signed(_ value: Double) -> String { (value < 0 ? "" : "+") + Numbers.fixed(value, 3) }

    /// Few columns, and digits that mean something.
    static func small(_ value: Double) -> String {
        abs(value) >= 0.00995 || value == 0 ? Numbers.fixed(value, 3) : Numbers.fixed(value, 5)
    }
}

extension QuantTableReport.Row {
    fileprivate init(_ type: String, _ figures: VersionFigures, weights: Double) {
        self.init(
            type: type, sizeBytes: figures.byteCount, bpw: Double(8 * figures.byteCount) / weights,
            perplexity: figures.perplexity.value, uncertainty: figures.perplexity.uncertainty,
            increase: figures.increase.value, increaseUncertainty: figures.increase.uncertainty,
            kldMean: figures.divergence.value, kldUncertainty: figures.divergence.uncertainty,
            sameTop: figures.sameTop.value, sameTopUncertainty: figures.sameTop.uncertainty,
            tokensPerSecond: figures.tokensPerSecond, nFallback: figures.fallbacks)
    }
}
