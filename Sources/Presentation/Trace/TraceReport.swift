import Foundation
import LlamaModel
import Recording
import Tracing

/// The result of `trace`.
public struct TraceReport: Report {
    public let trace: String
    public let model: String
    public let promptIds: [Int]
    public let promptPieces: [String]
    /// Of each token but the first the natural logarithm of its probability, and how many were more probable; empty unless
    /// all logits were asked for.
    public let promptLogprobs: [Double?]
    public let promptRanks: [Int?]
    public let generatedIds: [Int]
    public let generatedText: String
    /// Operations evaluated, all passes.
    public let nOps: Int
    public let nPasses: Int
    public let sizeBytes: Int
    public let wallNs: Int
    /// Generated tokens per second, decode passes only; nil if there was none.
    @OrNull public var tokensPerSecond: Double?
    /// Prompt tokens per second.
    public let promptTokensPerSecond: Double
    public let capture: String
    public let top: [Top]
    public let layers: [Layer]
    /// What the run was made with.
    public let interventions: [Change]
    /// The trace that it repeats with changes.
    @OrNull public var parent: String?
    /// What was said about tokens to follow, in the order of positions.
    public let tracked: [Tracked]
    /// A sum of logits after the prompt, in words, and what it is.
    @OrNull public var metric: String?
    @OrNull public var metricValue: Double?
    /// Operations that were computed, and those whose values the parent had; views and writes to the cache are neither.
    public let nComputed: Int
    public let nRecalled: Int

    public struct Change: Encodable, Sendable {
        let kind: String
        let target: String
        let spec: String
    }

    public struct Top: Encodable, Sendable {
        let rank: Int
        let tokenId: Int
        let piece: String
        let logit: Double
        let probability: Double
    }

    public struct Layer: Encodable, Sendable {
        let layer: Int
        let ns: Int
        let residualRms: Double
        let entropyBits: [Double]
        let sinkWeight: [Double]
        /// The head that looks most clearly at another token; `nil` where the layer has no pattern.
        @OrNull var topHead: Int?
        @OrNull var topPosition: Int?
        @OrNull var topWeight: Double?
    }

    private let embeddingRMS: Double
    private let program: String
    private let groupSize: Int
    private let policy: Capture
    /// The names of the layers' softmaxed scores.
    private let patterns: [String?]

    private enum CodingKeys: CodingKey {
        case trace, model, promptIds, promptPieces, promptLogprobs, promptRanks, generatedIds, generatedText, nOps,
            nPasses, sizeBytes, wallNs,
            tokensPerSecond, promptTokensPerSecond, capture, top, layers, interventions, parent, tracked,
            metric, metricValue, nComputed, nRecalled
    }

    /// What the command knows when a run is over.
    public struct Outcome {
        public var trace: String
        public var promptIds: [Int]
        public var generatedIds: [Int]
        public var generatedText: String
        public var operations: Int
        public var passes: Int
        public var sizeBytes: Int
        public var wallNs: Int
        public var promptNs: Int
        public var decodeNs: Int
        public var capture: Capture
        /// The prompt's pass and what it predicted.
        public var summary: PassSummary
        public var prediction: Prediction
        public var changes: ChangedRun
        public var parent: RunReference?
        public var surprise: PromptSurprise?
        public var tracked: [TrackedToken]
        public var metric: (text: String, value: Double)?

        public init(
            trace: String, promptIds: [Int], generatedIds: [Int], generatedText: String, operations: Int, passes: Int,
            sizeBytes: Int, wallNs: Int, promptNs: Int, decodeNs: Int, capture: Capture, summary: PassSummary,
            prediction: Prediction, changes: ChangedRun, parent: RunReference?, surprise: PromptSurprise? = nil,
            tracked: [TrackedToken] = [], metric: (text: String, value: Double)? = nil
        ) {
            (self.tracked, self.metric) = (tracked, metric)
            self.surprise = surprise
            self.trace = trace
            self.promptIds = promptIds
            self.generatedIds = generatedIds
            self.generatedText = generatedText
            self.operations = operations
            self.passes = passes
            self.sizeBytes = sizeBytes
            self.wallNs = wallNs
            self.promptNs = promptNs
            self.decodeNs = decodeNs
            self.capture = capture
            self.summary = summary
            self.prediction = prediction
            self.changes = changes
            self.parent = parent
        }
    }

    /// - Parameter program: how the user calls quipu.
    public init(_ outcome: Outcome, model: Llama, program: String) {
        self.program = program
        trace = outcome.trace
        self.model = model.file.path
        promptIds = outcome.promptIds
        promptPieces = outcome.promptIds.map(model.vocabulary.displayPiece)
        promptLogprobs = outcome.surprise?.tokens.map { $0?.logProbability } ?? []
        promptRanks = outcome.surprise?.tokens.map { $0?.rank } ?? []
        generatedIds = outcome.generatedIds
        generatedText = outcome.generatedText
        nOps = outcome.operations
        nPasses = outcome.passes
        sizeBytes = outcome.sizeBytes
        wallNs = outcome.wallNs
        capture = outcome.capture.description
        interventions = outcome.changes.interventions.records.map {
            Change(kind: $0.kind.rawValue, target: $0.target, spec: $0.spec)
        }
        parent = outcome.parent?.path
        tracked = outcome.tracked.map { Tracked($0, in: outcome.promptIds + outcome.generatedIds, model) }
        (metric, metricValue) = (outcome.metric?.text, outcome.metric?.value)
        (nComputed, nRecalled) = (outcome.changes.computed, outcome.changes.recalled)
        policy = outcome.capture
        patterns = outcome.summary.layers.map(\.pattern)
        promptTokensPerSecond = Double(outcome.promptIds.count) / Double(max(1, outcome.promptNs)) * 1e9
        let decodes = outcome.passes - 1
        tokensPerSecond = decodes > 0 ? Double(decodes) / Double(max(1, outcome.decodeNs)) * 1e9 : nil
        embeddingRMS = outcome.summary.embeddingRMS
        groupSize = model.configuration.groupSize
        top = outcome.prediction.top(10, model.vocabulary).enumerated().map { rank, candidate in
            Top(
                rank: rank, tokenId: candidate.token, piece: candidate.piece, logit: candidate.logit,
                probability: candidate.probability)
        }
        layers = outcome.summary.layers.map { layer in
            // Looking at the first position or at oneself says little; the strongest other look says most.
            let position = outcome.promptIds.count - 1
            let ranked = layer.heads.enumerated().sorted { a, b in
                let (x, y) = (Self.isTelling(a.element, position), Self.isTelling(b.element, position))
                return x == y ? a.element.topWeight > b.element.topWeight : x
            }
            let best = ranked.first
            return Layer(
                layer: layer.index, ns: layer.nanoseconds, residualRms: layer.residualRMS,
                entropyBits: layer.heads.map(\.entropyBits), sinkWeight: layer.heads.map { Double($0.sinkWeight) },
                topHead: best?.offset, topPosition: best?.element.topPosition,
                topWeight: best.map { Double($0.element.topWeight) })
        }
    }

    private static func isTelling(_ head: AttentionSummary, _ position: Int) -> Bool {
        head.topPosition != 0 && head.topPosition != position
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        (tokenLines(style) + [""] + layerLines(style) + [""] + topLines(style) + trackedLines(style) + [""]
            + closingLines(style))
            .joined(separator: "\n")
    }

    private func tokenLines(_ style: Style) -> [String] {
        guard promptLogprobs.isEmpty else { return SurpriseLines.lines(promptPieces, promptLogprobs, style) }
        let words = zip(promptIds, promptPieces).map { "\($0)‹\($1)›" }
        let lines = words.wrapped(to: style.width - 3, indent: "") { word in
            let start = word.firstIndex(of: "‹") ?? word.endIndex
            return word[..<start] + style.accent(String(word[start...]))
        }
        return [style.bold("1  The prompt as the model reads it: \(Numbers.count(promptIds.count, "token"))")]
            + lines.map { "   " + $0 }
    }

    private func layerLines(_ style: Style) -> [String] {
        let most = log2(Double(max(2, promptIds.count)))
        let headWidth = max(9, layers.first?.entropyBits.count ?? 0)
        var lines = [
            style.bold("2  The pass, layer by layer"),
            "   The last token's embedding (rms \(Numbers.short(embeddingRMS))) enters the residual stream;",
            "   each layer adds to it.",
            "   rms     size of the residual stream after the layer",
            "   spread  a bar for each query head: how widely it looks back from the last",
            "           token (▁ at one token, █ at all alike)",
            "   first   share of attention parked on the first token",
            "   looks   the query head / the KV head it reads that looks most clearly at",
            "           another token, how much, and at which",
            "",
            style.dim("   layer     time      rms  \("spread".padded(to: headWidth))  first  looks"),
        ]
        for layer in layers {
            let spread = Bar.sparkline(layer.entropyBits.map { $0 / most })
            let sink = layer.sinkWeight.reduce(0, +) / Double(max(1, layer.sinkWeight.count))
            lines.append(
                "   " + "\(layer.layer)".leftPadded(to: 5)
                    + Numbers.duration(nanoseconds: layer.ns).leftPadded(to: 9) + "  "
                    + Numbers.fixed(layer.residualRms).leftPadded(to: 7) + "  "
                    + style.accent(spread.padded(to: headWidth))
                    + "  " + Numbers.fixed(sink * 100, 0).leftPadded(to: 3) + " %  "
                    + looked(layer).cut(to: max(8, style.width - 42 - headWidth)))
        }
        return lines
    }

    private func looked(_ layer: Layer) -> String {
        guard let head = layer.topHead, let weight = layer.topWeight, let position = layer.topPosition else {
            return "no pattern"
        }
        return "\(head)".leftPadded(to: 3) + "/\(head / groupSize)".padded(to: 4)
            + Numbers.fixed(weight * 100, 0).leftPadded(to: 3) + " % ‹\(promptPieces[position])›"
    }

    private func topLines(_ style: Style) -> [String] {
        var table = Table([
            ("    ", .right), ("token", .right), ("piece", .left), ("logit", .right), ("probability", .left),
        ])
        for candidate in top {
            table.add(
                "\(candidate.rank + 1)", "\(candidate.tokenId)", "‹\(candidate.piece)›",
                Numbers.fixed(candidate.logit),
                Numbers.percent(candidate.probability).padded(to: 7) + Bar.horizontal(candidate.probability, width: 24))
        }
        return [style.bold("3  What the model expects after the prompt")] + table.lines(style)
    }

    private func trackedLines(_ style: Style) -> [String] {
        var lines: [String] = []
        if !tracked.isEmpty {
            lines += ["", style.bold("4  Tokens that were followed")] + Tracked.lines(tracked, style)
        }
        if let metric, let metricValue { lines += ["", "\(metric) = \(Numbers.short(metricValue))"] }
        return lines
    }

    /// The line before commands that this trace has an answer to, which are the last lines.
    public static let next = "Next, on this trace:"

    private func closingLines(_ style: Style) -> [String] {
        var facts = ["\(nOps) operations in \(nPasses) \(nPasses == 1 ? "pass" : "passes"),"]
        facts.append("\(Numbers.duration(nanoseconds: wallNs)) in all;")
        facts.append("prompt \(Numbers.fixed(promptTokensPerSecond, 0)) tokens/s")
        if let tokensPerSecond { facts.append("then \(Numbers.fixed(tokensPerSecond, 1)) tokens/s") }
        let speed = facts.wrapped(to: style.width)
        let written = style.bold("Written: \(trace)") + " (\(ByteSize(sizeBytes)), capture \(capture))"
        return speed + changeLines(style) + [written, "", Self.next]
            + suggestions.flatMap { command, purpose in
                ["  " + style.dim(purpose), "    " + style.accent(command)]
            }
    }

    private func changeLines(_ style: Style) -> [String] {
        var lines = interventions.map { style.warning("Changed: ") + "\($0.kind) \($0.target) = \($0.spec)" }
        if let parent {
            let all = nComputed + nRecalled
            let text = "\(nComputed) of \(Numbers.count(all, "operation")) computed, \(nRecalled) taken from \(parent)."
            lines += text.wrapped(to: style.width)
        }
        return lines
    }

    /// Commands that this trace has an answer to.
    private var suggestions: [(command: String, purpose: String)] {
        let layer = layers.count / 2
        var list: [(String, String)] = []
        if top.contains(where: { !$0.logit.isFinite }), policy.policy != .none {
            let question = "SELECT name, nan, inf FROM op WHERE nan + inf > 0 LIMIT 1"
            list.append(("\(program) sql '\(question)'", "where the first NaN came from"))
        }
        if parent != nil { list.append(("\(program) diff", "what the changes did, against the parent")) }
        if policy.policy != .none { list.append(("\(program) ops --layer 0", "the operations of one layer")) }
        if patterns.indices.contains(layer), let pattern = patterns[layer], policy.keepsValues(of: pattern) {
            list.append(("\(program) show '\(pattern)[:,:,0]'", "where head 0 of layer \(layer) looks"))
        }
        list.append(
            policy.policy == .none
                ? ("\(program) sql 'SELECT piece, probability FROM logit'", "any question, in SQL")
                : ("\(program) sql 'SELECT layer, ns FROM v_layer'", "any question, in SQL"))
        list.append(("\(program) lesson start", "what all this means, step by step, with questions"))
        return list
    }
}
