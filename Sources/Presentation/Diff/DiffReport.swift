import ComputeGraph
import LlamaModel
import Recording
import Tracing

/// The result of `diff`: two runs, operation by operation.
public struct DiffReport: Report {
    struct Line: Encodable {
        let step: Int
        let seq: Int
        let name: String
        let kind: String
        @OrNull var role: String?
        @OrNull var layer: Int?
        let identical: Bool
        /// Values compared.
        let n: Int
        @OrNull var nmse: Double?
        @OrNull var cosine: Double?
        @OrNull var maxAbs: Double?
        @OrNull var nmseLastToken: Double?
    }

    struct Expected: Encodable {
        let tokenId: Int
        let piece: String
        let probability: Double
    }

    struct Outlook: Encodable {
        let step: Int
        let position: Int
        let a: Expected
        let b: Expected
        let flipped: Bool
        @OrNull var kld: Double?
    }

    let a: String
    let b: String
    let runA: Int
    let runB: Int
    let identical: Bool
    /// Steps compared, and steps of each.
    let steps: Int
    let stepsA: Int
    let stepsB: Int
    let sameTokens: Bool
    let onlyInA: Int
    let onlyInB: Int
    @OrNull var firstDivergence: Line?
    let flips: Int
    let predictions: [Outlook]
    let ops: [Line]
    private let shown: Int

    private enum CodingKeys: CodingKey {
        case a, b, runA, runB, identical, steps, stepsA, stepsB, sameTokens, onlyInA, onlyInB, firstDivergence, flips,
            predictions, ops
    }

    /// - Parameter shown: operations that the page lists.
    public init(_ diff: TraceDiff, shown: Int) {
        (a, b) = (diff.sides.0.store.path, diff.sides.1.store.path)
        (runA, runB) = (diff.sides.0.run.id, diff.sides.1.run.id)
        (identical, steps, sameTokens) = (diff.isIdentical, diff.steps, diff.hasSameTokens)
        (stepsA, stepsB) = (diff.sides.0.run.steps, diff.sides.1.run.steps)
        (onlyInA, onlyInB) = diff.unpaired
        firstDivergence = diff.firstDivergence.map(Line.init)
        flips = diff.flips
        predictions = diff.outlooks.map(Outlook.init)
        ops = diff.pairs.map(Line.init)
        self.shown = shown
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        let title = style.bold("a: \(a), run \(runA)") + "\n" + style.bold("b: \(b), run \(runB)")
        guard !identical else {
            let text =
                "Identical to the bit: \(Numbers.count(ops.count, "operation")) in \(Numbers.count(steps, "step"))."
            return ([title, text] + basis(style)).joined(separator: "\n")
        }
        var lines = [title] + basis(style)
        if let first = firstDivergence {
            let inLayer = first.layer.map { "layer \($0), " } ?? ""
            lines += [
                "",
                style.warning("First different: \(first.name)") + " (\(inLayer)step \(first.step), seq \(first.seq))",
            ]
        }
        let parts = [outlookLines(style), depthLines(style), opLines(style)].filter { !$0.isEmpty }
        return (lines + parts.flatMap { [""] + $0 }).joined(separator: "\n")
    }

    /// What was compared, and what was not.
    private func basis(_ style: Style) -> [String] {
        let same = ops.count(where: \.identical)
        var notes = ["\(ops.count) operations paired in \(Numbers.count(steps, "step")), \(same) of them identical."]
        let bare = ops.count { $0.n == 0 }
        if bare > 0 { notes.append("Of \(bare) only statistics were captured in both.") }
        if !sameTokens {
            notes.append("The prompts differ; they were compared position by position, and no later step.")
        } else if steps < max(stepsA, stepsB) {
            notes.append(
                steps < min(stepsA, stepsB)
                    ? "From step \(steps) on the runs go over different tokens, which were not compared."
                    : "The runs have \(stepsA) and \(stepsB) steps.")
        }
        if onlyInA + onlyInB > 0 {
            notes.append("\(onlyInA) operations have no partner of their name and shape in b, \(onlyInB) none in a.")
        }
        return notes.flatMap { $0.wrapped(to: style.width, indent: "") }
    }

    private func outlookLines(_ style: Style) -> [String] {
        guard !predictions.isEmpty else { return [] }
        var table = Table([
            ("step", .right), ("a expects", .left), ("", .right), ("b expects", .left), ("", .right), ("KL", .right),
            ("", .left),
        ])
        for outlook in predictions {
            table.add(
                "\(outlook.step)", "‹\(outlook.a.piece)›", Numbers.percent(outlook.a.probability),
                "‹\(outlook.b.piece)›", Numbers.percent(outlook.b.probability), Numbers.short(outlook.kld),
                outlook.flipped ? "flipped" : "")
        }
        return [style.bold("What the runs expect next")] + table.lines(style)
    }

    /// The residual stream at the last token after each layer: how far a change has grown where the next token is made.
    private func depthLines(_ style: Style) -> [String] {
        guard let step = firstDivergence?.step else { return [] }
        let layers = ops.filter {
            $0.step == step && $0.role == NodeRole(.layerOutput).rawValue && $0.nmseLastToken != nil
        }
        let different = layers.drop { $0.nmseLastToken == 0 }
        guard !different.isEmpty else { return [] }
        let largest = different.compactMap(\.nmseLastToken).filter(\.isFinite).max() ?? 0
        var table = Table([("layer", .right), ("NMSE", .right), ("error / size", .right), ("", .left)])
        for line in different {
            let (nmse, share) = (line.nmseLastToken ?? 0, (line.nmseLastToken ?? 0).squareRoot())
            table.add(
                line.layer.map { "\($0)" } ?? "", Numbers.short(nmse), Numbers.percent(share),
                Bar.horizontal(largest > 0 ? share / largest.squareRoot() : 0, width: 32))
        }
        let before = layers.count - different.count
        let note = before > 0 ? [style.dim("Identical there after layers 0 to \(before - 1).")] : []
        return [style.bold("The residual stream at the last token of step \(step), after each layer")]
            + table.lines(style) + note
    }

    private func opLines(_ style: Style) -> [String] {
        let different = ops.filter { !$0.identical }
        guard !different.isEmpty, shown > 0 else { return [] }
        var table = Table([
            ("step", .right), ("seq", .right), ("kind", .left), ("name", .left), ("NMSE", .right), ("cosine", .right),
            ("max", .right),
        ])
        for line in different.prefix(shown) {
            table.add(
                "\(line.step)", "\(line.seq)", line.kind, line.name, Numbers.short(line.nmse),
                line.cosine.map { Numbers.fixed($0, 6) } ?? "-", Numbers.short(line.maxAbs))
        }
        var lines = [style.bold("Different operations, in order")] + table.lines(style)
        if different.count > shown {
            lines.append(style.dim("… and \(different.count - shown) more; --limit shows more, --json all."))
        }
        return lines
    }
}

extension DiffReport.Line {
    fileprivate init(_ pair: TraceDiff.Pair) {
        let operation = pair.operation
        self.init(
            step: operation.step, seq: operation.seq, name: operation.name, kind: operation.kind,
            role: operation.role?.rawValue,
            layer: operation.layer, identical: pair.isIdentical, n: pair.count, nmse: pair.nmse, cosine: pair.cosine,
            maxAbs: pair.maximum,
            nmseLastToken: pair.lastTokenNMSE)
    }
}

extension DiffReport.Outlook {
    fileprivate init(_ outlook: TraceDiff.Outlook) {
        func expected(_ candidate: Candidate) -> DiffReport.Expected {
            .init(tokenId: candidate.token, piece: candidate.piece, probability: candidate.probability)
        }
        self.init(
            step: outlook.step, position: outlook.position, a: expected(outlook.first), b: expected(outlook.second),
            flipped: outlook.isFlipped, kld: outlook.divergence)
    }
}
