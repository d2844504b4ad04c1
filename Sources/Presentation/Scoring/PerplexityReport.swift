import LlamaModel
import Measuring

/// The result of `perplexity`.
public struct PerplexityReport: Report {
    struct Chunk: Encodable {
        let perplexity: Double
        let uncertainty: Double
        /// Over this chunk and those before it: what llama.cpp prints as it goes.
        let running: Double
    }

    let model: String
    let text: TextFacts
    let perplexity: Double
    let uncertainty: Double
    /// Tokens that were scored.
    let nTokens: Int
    /// Mean surprise of a token.
    let bitsPerToken: Double
    let chunks: [Chunk]

    public init(_ perplexity: Perplexity, of model: Llama, on text: ScoredText) {
        self.model = model.file.path
        self.text = TextFacts(text)
        self.perplexity = perplexity.estimate.value
        uncertainty = perplexity.estimate.uncertainty
        nTokens = perplexity.surprises.count
        bitsPerToken = perplexity.meanSurprise.value * Self.bitsPerNat
        chunks = zip(perplexity.chunks, perplexity.running).map {
            Chunk(perplexity: $0.value, uncertainty: $0.uncertainty, running: $1)
        }
    }

    private static let bitsPerNat = 1.4426950408889634

    public func page(_ style: Style) -> String {
        let figure = "\(Numbers.fixed(perplexity, 4)) ± \(Numbers.fixed(uncertainty, 4))"
        var lines =
            [style.bold(model.cutAtFront(to: style.width))] + text.lines(style) + [
                "", "Perplexity: " + style.accent(figure),
            ]
        lines += words(
            "As uncertain, on average, as a choice among \(Numbers.short(perplexity)) tokens that are all as likely: "
                + "\(Numbers.short(bitsPerToken)) bits per token.", style)
        return (lines + (chunks.count > 1 ? [""] + chunkLines(style) : [])).joined(separator: "\n")
    }

    /// How the chunks differ, as bars from none to the hardest.
    private func chunkLines(_ style: Style) -> [String] {
        let figures = chunks.map(\.perplexity)
        let (low, high) = (figures.min()!, figures.max()!)
        let bars = Array(Bar.sparkline(figures.map { $0 / high }))
        let rows = stride(from: 0, to: bars.count, by: style.width).map {
            String(bars[$0..<min($0 + style.width, bars.count)])
        }
        func chunk(_ figure: Double) -> Int { figures.firstIndex(of: figure)! + 1 }
        return [style.bold("Chunk by chunk")] + rows + [
            "lowest \(Numbers.short(low)) in chunk \(chunk(low)), "
                + "highest \(Numbers.short(high)) in chunk \(chunk(high))"
        ]
    }

    private func words(_ text: String, _ style: Style) -> [String] {
        text.wrapped(to: style.width, indent: "", paint: style.dim)
    }
}

/// What was read.
struct TextFacts: Encodable {
    let name: String
    let nTokens: Int
    let nChunks: Int
    let chunkSize: Int
    private let scored: Int

    private enum CodingKeys: CodingKey { case name, nTokens, nChunks, chunkSize }

    init(_ text: ScoredText) {
        name = text.name
        nTokens = text.tokenCount
        nChunks = text.chunks.count
        chunkSize = text.chunkSize
        scored = text.scored.count * text.chunks.count
    }

    func lines(_ style: Style) -> [String] {
        let use =
            "\(Numbers.grouped(nTokens)) tokens, of which \(Numbers.count(nChunks, "chunk")) of \(chunkSize) were read; "
            + "\(Numbers.grouped(scored)) tokens scored"
        return ["text: " + name.cutAtFront(to: style.width - 6)]
            + use.wrapped(to: style.width)
    }
}
