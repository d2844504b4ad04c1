import LlamaModel
import Measuring
import Recording

/// The result of `gqa what-if`.
public struct GQAWhatIfReport: Report {
    struct Layer: Encodable {
        let layer: Int
        /// KV heads in the layer's cache after the change.
        let nHeadKv: Int
        /// By query head: the KV heads of the file whose mean it reads; none: it gives nothing.
        let reads: [[Int]]
    }

    struct Perplexities: Encodable {
        let before: Double
        let beforeUncertainty: Double
        let after: Double
        let afterUncertainty: Double
        let ratio: Double
        let ratioUncertainty: Double
    }

    struct Bytes: Encodable {
        let before: Int
        let after: Int
    }

    /// Weights that are held as F32, and what that alone does.
    struct Format: Encodable {
        let type: String
        let tensors: [String]
        let kldMean: Double
        let kldUncertainty: Double
        let kldMax: Double
    }

    let model: String
    let change: String
    let layers: [Layer]
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
    /// Positions that `cache_bytes` are for.
    let context: Int
    let cacheBytes: Bytes
    @OrNull var format: Format?
    private let nLayer: Int

    private enum CodingKeys: CodingKey {
        case model, change, layers, text, nTokens, kldMean, kldUncertainty, kldMax, sameTop, sameTopUncertainty
        case topFlips, perplexity, context, cacheBytes, format
    }

    public init(_ effect: HeadEffect, of model: Llama, on text: ScoredText, context: Int) {
        let (c, plan, divergence) = (model.configuration, effect.plan, effect.divergence)
        self.model = model.file.path
        self.text = TextFacts(text)
        self.context = context
        nLayer = c.layers
        change = plan.change.description
        layers = plan.changed.map {
            Layer(layer: $0, nHeadKv: plan.layers[$0].cached, reads: plan.layers[$0].sources)
        }
        let tokens = divergence.tokens
        nTokens = tokens.count
        (kldMean, kldUncertainty) = (divergence.meanDivergence.value, divergence.meanDivergence.uncertainty)
        kldMax = divergence.divergences.maximum
        (sameTop, sameTopUncertainty) = (divergence.sameTop.value, divergence.sameTop.uncertainty)
        topFlips = tokens.count { !$0.isSameTop }
        let (before, after) = (divergence.basePerplexity.estimate, divergence.otherPerplexity.estimate)
        let ratio = divergence.logRatio.exponential
        perplexity = Perplexities(
            before: before.value, beforeUncertainty: before.uncertainty, after: after.value,
            afterUncertainty: after.uncertainty, ratio: ratio.value, ratioUncertainty: ratio.uncertainty)
        cacheBytes = Bytes(
            before: KVCache.bytes(c, heads: c.kvHeads, positions: context),
            after: plan.cacheBytes(c, positions: context))
        format = effect.format.map { format in
            Format(
                type: "F32", tensors: effect.requantized.map(\.info.name), kldMean: format.meanDivergence.value,
                kldUncertainty: format.meanDivergence.uncertainty, kldMax: format.divergences.maximum)
        }
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        let head = [style.dim(model.cutAtFront(to: style.width))] + wrapped(headline, style).map(style.bold)
        return [head + text.lines(style), mapLines(style), figures(style), notes(style)].filter { !$0.isEmpty }
            .map { $0.joined(separator: "\n") }.joined(separator: "\n\n")
    }

    private var headline: String {
        let numbers = layers.map(\.layer)
        let names = (numbers.count == 1 ? "layer " : "layers ") + numbers.map(\.description).joined(separator: ", ")
        let whichLayers = numbers.count == nLayer ? "all layers" : names
        return "What if: \(change)" + (change.hasPrefix("drop") ? "" : ", \(whichLayers)")
    }

    /// Who reads what in the first changed layer.
    private func mapLines(_ style: Style) -> [String] {
        guard let first = layers.first else { return [] }
        var readers: [(source: [Int], heads: [Int])] = []
        for (head, source) in first.reads.enumerated() {
            if let index = readers.firstIndex(where: { $0.source == source }) {
                readers[index].heads.append(head)
            } else {
                readers.append((source, [head]))
            }
        }
        let names = readers.map { source, _ in
            switch source.count {
            case 0: "nothing"
            case 1: "\(source[0])"
            default: "mean of " + source.map(\.description).joined(separator: ", ")
            }
        }
        let width = max(7, names.map(\.count).max() ?? 0)
        let legend = "KV head".leftPadded(to: width) + "         query heads that read it, in layer \(first.layer)"
        return [style.dim(legend)]
            + zip(names, readers).flatMap { name, reader in
                let arrow = name.leftPadded(to: width) + "  <----  "
                let heads = reader.heads.map { "[\($0)]" }.wrapped(to: style.width - arrow.count, indent: "")
                return heads.enumerated().map { line, heads in
                    (line == 0 ? arrow : String(repeating: " ", count: arrow.count)) + style.accent(heads)
                }
            }
    }

    private func figures(_ style: Style) -> [String] {
        var table = Table([("", .left), ("", .right), ("±", .left)])
        func fixed(_ value: Double) -> String { Numbers.fixed(value, 4) }
        table.add("KL divergence, mean", Numbers.short(kldMean), Numbers.short(kldUncertainty))
        table.add("largest", Numbers.short(kldMax), "")
        table.add("Another token on top", Numbers.percent(1 - sameTop), Numbers.percent(sameTopUncertainty))
        table.add("that is", "\(Numbers.grouped(topFlips)) of \(Numbers.grouped(nTokens))", "")
        table.add("Perplexity before", fixed(perplexity.before), fixed(perplexity.beforeUncertainty))
        table.add("after", fixed(perplexity.after), fixed(perplexity.afterUncertainty))
        table.add("their ratio", fixed(perplexity.ratio), fixed(perplexity.ratioUncertainty))
        table.add("KV cache before", ByteSize(cacheBytes.before).description, "")
        table.add("after", ByteSize(cacheBytes.after).description, "")
        return table.lines(style)
    }

    private func notes(_ style: Style) -> [String] {
        var notes = ["The cache is that of \(Numbers.count(context, "position")) in F16, all layers."]
        if let format {
            notes.append(
                "A mean has no place in quantised blocks, so \(Numbers.count(format.tensors.count, "tensor")) "
                    + "(\(format.tensors[0])\(format.tensors.count > 1 ? ", …" : "")) were decoded to F32 before anything "
                    + "was changed, and the figures above are from there. That alone has a KL divergence from the file of "
                    + "\(Numbers.short(format.kldMean)) ± \(Numbers.short(format.kldUncertainty)).")
        }
        return wrapped(notes.joined(separator: " "), style).map(style.dim)
    }

    private func wrapped(_ text: String, _ style: Style) -> [String] {
        text.wrapped(to: style.width, indent: "")
    }
}
