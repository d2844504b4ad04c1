import GGUF
import LlamaModel
import Measuring
import Quantizing

/// The result of `quant recommend`.
public struct RecommendReport: Report {
    /// A type that a tensor may get.
    struct Option: Encodable {
        let type: String
        let bpw: Double
        let bytes: Int
        /// Weighted squared error.
        let error: Double
        /// Measured, or else estimated; `null` where nothing was measured.
        @OrNull var kldMean: Double?
        let measured: Bool
    }

    struct Line: Encodable {
        let name: String
        @OrNull var layer: Int?
        let role: String
        let n: Int
        let type: String
        let bpw: Double
        @OrNull var kldMean: Double?
        let options: [Option]
    }

    /// A plan on the held-out text.
    struct Row: Encodable {
        let name: String
        let sizeBytes: Int
        let bpw: Double
        let kldMean: Double
        let kldUncertainty: Double
        let sameTop: Double
        /// Its divergence minus the recommended plan's, token by token.
        let difference: Double
        let differenceUncertainty: Double
        /// Whether the recommended plan is better by more than two standard errors.
        let isBeaten: Bool
    }

    struct Choice: Encodable {
        let by: String
        /// Σ of what the chosen types cost, and what no choice under the budget is below.
        let cost: Double
        let bound: Double
        let gap: Double
        let nMeasured: Int
        let nMeasurable: Int
        @OrNull var estimateFactor: Double?
        @OrNull var roleFactor: Double?
        /// Of the weights' errors, where they are of some rows.
        let errorUncertainty: Double
    }

    let model: String
    let budget: String
    let budgetBytes: Int
    @OrNull var imatrix: String?
    let text: TextFacts
    @OrNull var heldOut: TextFacts?
    let choice: Choice
    /// Empty without a proof.
    let plan: [Row]
    /// Whether the recommended plan is better than llama.cpp's mix by more than two standard errors; `null` without a proof.
    @OrNull var gains: Bool?
    let fileType: String
    @OrNull var output: String?
    let wallS: Double
    let tensors: [Line]
    private let limit: Int
    private let stored: [String]

    private enum CodingKeys: CodingKey {
        case model, budget, budgetBytes, imatrix, text, heldOut, choice, plan, gains, fileType, output, wallS, tensors
    }

    public init(
        _ result: Recommendation, _ proof: PlanProof?, model: Llama, text: ScoredText, budget: String, imatrix: String?,
        output: String?, seconds: Double, limit: Int
    ) {
        self.model = model.file.path
        (self.budget, budgetBytes) = (budget, result.budgetBytes)
        self.text = TextFacts(text)
        heldOut = proof.map { TextFacts($0.text) }
        (wallS, self.limit) = (seconds, limit)
        self.imatrix = imatrix
        self.output = output
        fileType = result.plan.fileType.name
        let (allocation, sensitivity) = (result.allocation, result.sensitivity)
        choice = Choice(
            by: sensitivity == nil ? "error" : "kld", cost: allocation.cost, bound: allocation.bound,
            gap: allocation.gap, nMeasured: sensitivity?.coverage.measured ?? 0,
            nMeasurable: sensitivity?.coverage.all ?? 0, estimateFactor: sensitivity?.estimateFactor,
            roleFactor: sensitivity?.roleFactor,
            errorUncertainty: result.candidates.map(\.uncertainty).max() ?? 0)
        plan = proof.map { Self.rows($0, weights: Double(model.file.parameterCount)) } ?? []
        gains = plan.isEmpty ? nil : plan[plan.count - 2].isBeaten
        tensors = Self.lines(result)
        let types = Set(result.candidates.map(\.tensor.type)).filter { $0.blockElements > 1 }
        stored = types.sorted { $0.rawValue < $1.rawValue }.map(\.name)
    }

    private static func rows(_ proof: PlanProof, weights: Double) -> [Row] {
        proof.rows.enumerated().map { index, row in
            let (kld, difference) = (row.divergence.meanDivergence, proof.difference(index))
            return Row(
                name: row.name, sizeBytes: row.plan.byteCount, bpw: Double(8 * row.plan.byteCount) / weights,
                kldMean: kld.value, kldUncertainty: kld.uncertainty, sameTop: row.divergence.sameTop.value,
                difference: difference.value, differenceUncertainty: difference.uncertainty,
                isBeaten: index > 0 && proof.isBetter(than: index))
        }
    }

    private static func lines(_ result: Recommendation) -> [Line] {
        result.candidates.enumerated().map { index, tensor in
            let options = tensor.candidates.enumerated().map { number, candidate in
                Option(
                    type: candidate.type.name, bpw: tensor.bitsPerWeight(number), bytes: candidate.bytes,
                    error: candidate.error, kldMean: result.sensitivity?.expected(index, number),
                    measured: result.sensitivity?.measured[index][number] != nil)
            }
            let (chosen, name) = (options[result.allocation.choice[index]], WeightName(tensor.tensor.name))
            return Line(
                name: tensor.tensor.name, layer: name.layer, role: name.role, n: tensor.weights, type: chosen.type,
                bpw: chosen.bpw, kldMean: chosen.kldMean, options: options)
        }
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        var lines = [style.bold(model.cutAtFront(to: style.width))] + text.lines(style)
        lines += words("budget: \(budget), \(Numbers.grouped(budgetBytes)) bytes for the tensors", style)
        if let imatrix { lines += words("importance matrix: \(imatrix)", style) }
        lines += QuantErrorsReport.warning(names: stored, style)
        if let heldOut {
            lines += ["", style.bold("On held-out text")] + heldOut.lines(style) + [""] + proofLines(style)
            lines += [""] + verdict(style)
        }
        lines += [""] + choiceLines(style)
        lines += ["", style.bold("The plan"), ""] + planLines(style)
        if let output {
            lines += ["", "Wrote " + style.accent(output) + ". To use it:"]
            lines.append(
                "  quipu quantize \(model.quotedIfNeeded) OUT \(fileType) --tensor-type-file \(output.quotedIfNeeded)"
                    + (stored.isEmpty ? "" : " --allow-requantize")
                    + (imatrix.map { " --imatrix \($0.quotedIfNeeded)" } ?? ""))
        }
        return lines.joined(separator: "\n")
    }

    private func proofLines(_ style: Style) -> [String] {
        var table = Table([
            ("plan", .whole), ("MB", .right), ("bpw", .right), ("KLD", .right), ("±", .left), ("same", .right),
            ("worse by", .right), ("±", .left),
        ])
        for (index, row) in plan.enumerated() {
            table.add(
                row.name, Numbers.fixed(Double(row.sizeBytes) / 1e6), Numbers.fixed(row.bpw),
                QuantTableReport.small(row.kldMean), QuantTableReport.small(row.kldUncertainty),
                Numbers.fixed(row.sameTop * 100, 1), index == 0 ? "" : QuantTableReport.small(row.difference),
                index == 0 ? "" : QuantTableReport.small(row.differenceUncertainty))
        }
        return table.lines(style)
    }

    private func verdict(_ style: Style) -> [String] {
        let mix = plan[plan.count - 2]
        if mix.isBeaten {
            let ratio = Numbers.fixed(mix.kldMean / plan[0].kldMean, 2)
            return words(
                "\(mix.name) diverges \(ratio) times as much as the recommended plan, which is more than the chance of this "
                    + "text.", style)
        }
        let words =
            "The recommended plan gains nothing over \(mix.name) that this text can show: the difference is "
            + "within two standard errors, or has the other sign. Use \(mix.name), or measure on more text."
        return words.wrapped(to: style.width, paint: style.warning)
    }

    private func choiceLines(_ style: Style) -> [String] {
        var text = "Chosen by \(choice.by == "kld" ? "measured divergence" : "weighted error of weights")"
        if choice.by == "kld" {
            text += ": \(choice.nMeasured) of \(choice.nMeasurable) types of tensors measured"
            if choice.nMeasured < choice.nMeasurable { text += ", the others estimated" }
            let misses = [
                choice.estimateFactor.map { "from another type of the tensor by a factor of \(Numbers.fixed($0))" },
                choice.roleFactor.map { "from its role by \(Numbers.fixed($0))" },
            ].compactMap { $0 }
            if !misses.isEmpty { text += " (an estimate misses \(misses.joined(separator: ", ")) at the median)" }
        }
        text += ". "
        if choice.errorUncertainty > 0 {
            text +=
                "Errors of large tensors are of some rows, with a standard error of at most "
                + "\(Numbers.percent(choice.errorUncertainty)). "
        }
        if plan.isEmpty { text += "It was not proved. " }
        text +=
            choice.gap < 1e-9
            ? "For these numbers no choice under the budget is better."
            : "No choice under the budget is better by more than \(Numbers.percent(choice.gap)) for these numbers."
        return words(text + " It took \(Numbers.fixed(wallS, 0)) s.", style)
    }

    private func planLines(_ style: Style) -> [String] {
        let kinds = Dictionary(grouping: tensors, by: \.type).sorted {
            ($0.value[0].bpw, $0.key) < ($1.value[0].bpw, $1.key)
        }
        var lines = words(
            kinds.map { "\($0.value.count) \($0.key)" }.joined(separator: ", ") + ". Those that cost most:", style)
        var table = Table([
            ("tensor", .whole), ("weights", .right), ("type", .left), ("bpw", .right), ("costs", .right),
        ])
        func cost(_ line: Line) -> Double { line.kldMean ?? line.options.first { $0.type == line.type }?.error ?? 0 }
        for line in tensors.sorted(by: { cost($0) > cost($1) }).prefix(limit) {
            table.add(
                line.name, Numbers.scaled(line.n), line.type, Numbers.fixed(line.bpw), Numbers.short(cost(line)))
        }
        lines += [""] + table.lines(style)
        if tensors.count > limit { lines.append(style.dim("… and \(tensors.count - limit) more; --limit shows them")) }
        return lines
    }

    private func words(_ text: String, _ style: Style) -> [String] { text.wrapped(to: style.width) }
}
