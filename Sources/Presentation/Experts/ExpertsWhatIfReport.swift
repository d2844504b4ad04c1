import LlamaModel
import Measuring
import Recording

/// The result of `experts what-if`.
public struct ExpertsWhatIfReport: Report {
    struct Bytes: Encodable {
        let before: Int
        let after: Int
        let all: Int
    }

    struct Perplexities: Encodable {
        let before: Double
        let after: Double
        let ratio: Double
        let ratioUncertainty: Double
    }

    let model: String
    let change: String
    let nExperts: Int
    let nUsedBefore: Int
    let nUsedAfter: Int
    let text: TextFacts
    /// Tokens that were scored.
    let nTokens: Int
    /// In nats.
    let kldMean: Double
    let kldUncertainty: Double
    let kldMax: Double
    let sameTop: Double
    let sameTopUncertainty: Double
    /// Positions at which another token is the most probable.
    let topFlips: Int
    let perplexity: Perplexities
    /// Of experts' matrices, that a token reads when it comes alone.
    let expertBytes: Bytes

    public init(_ effect: ExpertEffect, of model: Llama, on text: ScoredText) {
        let divergence = effect.divergence
        self.model = model.file.path
        self.text = TextFacts(text)
        change = effect.change.description
        (nExperts, nUsedBefore, nUsedAfter) = (effect.experts, effect.usedBefore, effect.usedAfter)
        nTokens = divergence.tokens.count
        (kldMean, kldUncertainty) = (divergence.meanDivergence.value, divergence.meanDivergence.uncertainty)
        kldMax = divergence.divergences.maximum
        (sameTop, sameTopUncertainty) = (divergence.sameTop.value, divergence.sameTop.uncertainty)
        topFlips = divergence.tokens.count { !$0.isSameTop }
        let ratio = divergence.logRatio.exponential
        perplexity = Perplexities(
            before: divergence.basePerplexity.estimate.value, after: divergence.otherPerplexity.estimate.value,
            ratio: ratio.value, ratioUncertainty: ratio.uncertainty)
        expertBytes = Bytes(before: effect.bytesBefore, after: effect.bytesAfter, all: effect.bytesAll)
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        let head =
            [style.dim(model.cutAtFront(to: style.width))]
            + "What if: \(change)".wrapped(to: style.width, indent: "").map(style.bold)
        return [head + text.lines(style), figures(style), notes(style)].map { $0.joined(separator: "\n") }
            .joined(separator: "\n\n")
    }

    private func figures(_ style: Style) -> [String] {
        var table = Table([("", .left), ("", .right), ("±", .left)])
        table.add("KL divergence, mean", Numbers.short(kldMean), Numbers.short(kldUncertainty))
        table.add("largest", Numbers.short(kldMax), "")
        table.add("Another token on top", Numbers.percent(1 - sameTop), Numbers.percent(sameTopUncertainty))
        table.add("that is", "\(Numbers.grouped(topFlips)) of \(Numbers.grouped(nTokens))", "")
        table.add("Perplexity before", Numbers.fixed(perplexity.before, 4), "")
        table.add("after", Numbers.fixed(perplexity.after, 4), "")
        table.add(
            "their ratio", Numbers.fixed(perplexity.ratio, 4), Numbers.fixed(perplexity.ratioUncertainty, 4))
        table.add("Experts of a token before", "\(nUsedBefore) of \(nExperts)", "")
        table.add("after", "\(nUsedAfter) of \(nExperts)", "")
        table.add("Expert weights it reads before", ByteSize(expertBytes.before).description, "")
        table.add("after", ByteSize(expertBytes.after).description, "")
        table.add("of", ByteSize(expertBytes.all).description, "")
        return table.lines(style)
    }

    private func notes(_ style: Style) -> [String] {
        let note = """
            Bytes are those of the experts' matrices that a token which comes alone reads, in all layers. The changed \
            model reads the same text as the model itself, and the figures are those of `compare`.
            """
        return note.wrapped(to: style.width, indent: "", paint: style.dim)
    }
}
