import Tensors

/// `propagate` for people.
struct PropagatePage {
    let report: PropagateReport
    /// Of the quantised model's matrices.
    let formats: String
    let style: Style

    var text: String {
        var sections = [header, causes, depth]
        if !isExact { sections += [sources, jumps] }
        if report.shares != nil, !isExact { sections.append(shares) }
        return sections.map { $0.joined(separator: "\n") }.joined(separator: "\n\n")
    }

    private var isExact: Bool { report.causes.both.kldMax == 0 && report.causes.both.logits.mse == 0 }

    private func paragraph(_ text: String, _ paint: (String) -> String = { $0 }) -> [String] {
        text.wrapped(to: style.width, indent: "", paint: paint)
    }

    // MARK: what was run

    private var header: [String] {
        let against =
            report.quantizedAs.map { "as \($0), against its own weights as F32" }
            ?? (report.reference == "self" ? "against its own weights as F32" : "against \(report.reference)")
        let title = "Error propagation of "
        return [style.bold(title + report.model.cutAtFront(to: style.width - title.count))]
            + paragraph(
                "\(against); matrices in \(formats); \(Numbers.count(report.promptIds.count, "position")): "
                    + report.pieces.joined().onOneLine)
    }

    // MARK: what comes out

    private var causes: [String] {
        var table = Table([
            ("run", .whole), ("KL mean", .right), ("KL max", .right), ("same top", .right), ("logits dB", .right),
            ("cosine", .right),
        ])
        let rows = [
            ("weights only", report.causes.weights), ("activations only", report.causes.activations),
            ("both, the real run", report.causes.both),
        ]
        for (name, cause) in rows {
            table.add(
                name, Numbers.short(cause.kldMean), Numbers.short(cause.kldMax), Numbers.percent(cause.sameTop),
                Self.decibels(cause.logits.sqnrDb), Numbers.fixed(cause.logits.cosine, 6))
        }
        return [style.bold("What comes out: divergence from the reference in nats, by cause"), ""] + table.lines(style)
            + [""] + paragraph(verdict) + hint
    }

    private var verdict: String {
        if isExact { return "No error at all: every logit is the reference's, to the bit." }
        let (weights, activations) = (report.causes.weights.kldMean, report.causes.activations.kldMean)
        if report.causes.weights.logits.mse == 0 {
            return "The weights have no error: all of it is rounding of activations on their way into products."
        }
        if report.causes.activations.logits.mse == 0 {
            return "Activations are not rounded in these formats: all of the error is the weights'."
        }
        let ratio = weights / activations
        return ratio >= 1
            ? "Quantised weights alone do \(Numbers.short(ratio)) times what rounded activations alone do."
            : "Rounded activations alone do \(Numbers.short(1 / ratio)) times what quantised weights alone do."
    }

    /// A file held against itself cannot show what its weights lost.
    private var hint: [String] {
        guard report.reference == "self", report.quantizedAs == nil else { return [] }
        return paragraph(
            "The reference is this file's own weights, so what they lost when they were made is not seen. --base FILE "
                + "holds it against the model in higher precision; --as Q4_K_M shows what quantising this file would do.",
            style.warning)
    }

    // MARK: through depth

    private var depth: [String] {
        let stream = report.ops.filter {
            $0.part.map { [.embedding, .layerOutput, .logits].contains($0) } ?? false
        }
        let largest = stream.compactMap(\.lastPosition).filter(\.isFinite).max() ?? 0
        var table = Table([
            ("after", .whole), ("weights dB", .right), ("activations dB", .right), ("both dB", .right),
            ("last token", .right), ("", .whole),
        ])
        for op in stream {
            let error = op.lastPosition ?? 0
            let bar = largest > 0 ? Bar.horizontal(error / largest, width: max(4, min(24, style.width - 67))) : ""
            table.add(
                op.name, Self.decibels(op.accumulated.weights.sqnrDb), Self.decibels(op.accumulated.activations.sqnrDb),
                Self.decibels(op.accumulated.both.sqnrDb), Self.relative(error), bar)
        }
        return [style.bold("Through depth: accumulated error of the residual stream, and of the logits"), ""]
            + table.lines(style) + [""]
            + paragraph(
                "dB: signal to error over all positions, more is better; a few huge values, as many models have at the "
                    + "first token, hide the error of the rest. last token: rms of its error over rms of its values, in "
                    + "the real run.", style.dim)
    }

    // MARK: operations

    private var sources: [String] {
        let worst = report.ops.filter { $0.local != nil }
            .sortedWorstFirst { $0.local!.both.relRmse }.filter { $0.local!.both.mse != 0 }.prefix(report.limit)
        var table = Table([
            ("op", .whole), ("type", .whole), ("weights", .right), ("activations", .right), ("both", .right),
            ("both dB", .right), ("accumulated", .right),
        ])
        for op in worst {
            let local = op.local!
            table.add(
                op.name, op.weightType ?? "", Self.relative(local.weights.relRmse),
                Self.relative(local.activations.relRmse), Self.relative(local.both.relRmse),
                Self.decibels(local.both.sqnrDb), Self.relative(op.accumulated.both.relRmse))
        }
        return [style.bold("Where it enters: the largest errors of single operations on exact input"), ""]
            + table.lines(style)
    }

    private var jumps: [String] {
        let worst = report.ops.sortedWorstFirst(by: \.jump).filter { !($0.jump <= 0) }.prefix(report.limit)
        var table = Table([
            ("op", .whole), ("kind", .whole), ("worst input", .right), ("output", .right), ("own", .right),
        ])
        for op in worst {
            table.add(
                op.name, op.kind, Self.relative(op.worstInput), Self.relative(op.accumulated.both.relRmse),
                op.local.map { Self.relative($0.both.relRmse) } ?? "-")
        }
        return [style.bold("Where it jumps: operations whose output is worse than all of their inputs"), ""]
            + table.lines(style) + [""]
            + paragraph("own: the error it makes itself; the rest is what it makes of its inputs' errors.", style.dim)
    }

    // MARK: shares

    private var shares: [String] {
        let shares = report.shares!
        let largest = shares.map(\.share).max() ?? 0
        var table = Table([("layer", .whole), ("KL alone", .right), ("share", .right), ("", .whole)])
        for share in shares {
            let bar = largest > 0 ? Bar.horizontal(share.share / largest, width: max(4, min(40, style.width - 32))) : ""
            table.add(share.label, Numbers.short(share.kld), Numbers.fixed(share.share * 100, 1) + " %", bar)
        }
        let (sum, whole) = (shares.reduce(0) { $0 + $1.kld }, report.causes.both.kldMean)
        return [style.bold("Who does it: divergence with one part quantised and nothing else"), ""]
            + table.lines(style) + [""]
            + paragraph(
                "All parts together \(Numbers.short(sum)) nats, the real run \(Numbers.short(whole)): the difference is what "
                    + "errors of different parts do to one another.", style.dim)
    }

    // MARK: numbers

    private static func decibels(_ value: Double) -> String { value.isFinite ? Numbers.fixed(value, 1) : "exact" }

    private static func relative(_ value: Double) -> String {
        value == 0 ? "0" : value < 1e-4 ? Numbers.short(value * 100) + " %" : Numbers.fixed(value * 100, 2) + " %"
    }
}
