import LlamaModel
import GGUF
import Recording

/// What a head does, in a few numbers, each a mean over positions.
public struct HeadScores: Sendable {
    public enum Label: String, Sendable, CaseIterable {
        case previousToken = "previous token"
        case induction
        case sink
    }

    public let layer: Int
    public let head: Int
    public let kvHead: Int
    /// Of the weights of a position, from position 1 on; 0 bits: all on one position.
    public private(set) var entropyBits: Double?
    /// Attention to the first position, from position 2 on: position 1 has it for its neighbour. As long as a window shows it.
    public private(set) var sink: Double?
    /// Attention to the position before, from position 2 on.
    public private(set) var previousToken: Double?
    /// Attention to what came after an earlier occurrence of the same token, over the positions whose token occurred
    /// before; `nil` if none did.
    public private(set) var induction: Double?

    /// Half of the attention where it defines the kind.
    public static let threshold = 0.5
    /// Source: Gu et al., "When Attention Sink Emerges in Language Models" (2024), ε = 0.3.
    public static let sinkThreshold = 0.3

    public var labels: [Label] {
        var labels: [Label] = []
        if previousToken ?? 0 >= Self.threshold { labels.append(.previousToken) }
        if induction ?? 0 >= Self.threshold { labels.append(.induction) }
        if sink ?? 0 >= Self.sinkThreshold { labels.append(.sink) }
        return labels
    }

    /// - Parameters:
    ///   - tokens: the ids at the positions of the pattern.
    ///   - window: the positions that one sees.
    public init(
        layer: Int, head: Int, kvHead: Int, _ pattern: AttentionPatterns.Pattern, tokens: [Int], window: Int? = nil
    ) {
        let occurrences = TokenOccurrences(tokens)
        var sums = Sums()
        for row in pattern { sums.add(row.span, window: window, occurrences) }
        self.init(layer: layer, head: head, kvHead: kvHead, sums)
    }

    init(layer: Int, head: Int, kvHead: Int, _ sums: Sums) {
        (self.layer, self.head, self.kvHead) = (layer, head, kvHead)
        (entropyBits, sink) = (sums.entropyBits.mean, sums.sink.mean)
        (previousToken, induction) = (sums.previousToken.mean, sums.induction.mean)
    }

    /// What the scores are means of, over the rows of a pattern.
    struct Sums {
        struct Sum {
            private var (total, count) = (0.0, 0)
            var mean: Double? { count == 0 ? nil : total / Double(count) }

            mutating func add(_ value: Double) {
                total += value
                count += 1
            }
        }

        private(set) var entropyBits = Sum()
        private(set) var sink = Sum()
        private(set) var previousToken = Sum()
        private(set) var induction = Sum()

        /// - Parameter weights: of the next position: as many as it sees.
        mutating func add(_ weights: Span<Float>, window: Int?, _ occurrences: TokenOccurrences) {
            let position = weights.count - 1
            if position >= 1 { entropyBits.add(AttentionSummary(weights).entropyBits) }
            if position >= 2 {
                if position < window ?? .max { sink.add(Double(weights[0])) }
                previousToken.add(Double(weights[position - 1]))
            }
            var (total, count) = (0.0, 0)
            for earlier in occurrences.before(position) where position - earlier - 1 < window ?? .max {
                (total, count) = (total + Double(weights[earlier + 1]), count + 1)
            }
            if count > 0 { induction.add(total) }
        }
    }

    /// Of one head on several sequences.
    ///
    /// - Precondition: at least one.
    init(meanOf scores: [HeadScores]) {
        self = scores[0]
        entropyBits = Self.mean(scores.compactMap(\.entropyBits))
        sink = Self.mean(scores.compactMap(\.sink))
        previousToken = Self.mean(scores.compactMap(\.previousToken))
        induction = Self.mean(scores.compactMap(\.induction))
    }

    private static func mean(_ values: [Double]) -> Double? {
        values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }
}

/// Where each token of a text stands.
struct TokenOccurrences: Sendable {
    private let tokens: [Int]
    private let positions: [Int: [Int]]

    init(_ tokens: [Int]) {
        self.tokens = tokens
        positions = Dictionary(grouping: tokens.indices) { tokens[$0] }
    }

    /// The positions of the same token before `position`, whose follower is not the position itself.
    func before(_ position: Int) -> some Sequence<Int> {
        positions[tokens[position]]!.prefix { $0 < position - 1 }
    }
}

/// Scores on sequences where nothing but position and repetition can help: random tokens, said twice.
///
/// A sequence is the token that begins texts, if the vocabulary has one, `period` random tokens, and the same again.
/// Source: Olsson et al., "In-context Learning and Induction Heads" (2022).
public struct RepeatedTokens: Sendable {
    public let period: Int
    public let sequences: Int
    private let model: Llama
    private let first: [Int]

    /// - Parameter period: as many as fit the model's context if it is too long.
    public init(_ model: Llama, period: Int = 24, sequences: Int = 16) {
        self.model = model
        self.sequences = sequences
        first = model.vocabulary.bos.map { [$0] } ?? []
        self.period = max(2, min(period, (model.configuration.trainedContext - first.count) / 2))
    }

    /// Mean scores of every head. Induction is over the second half, and tokens that chance repeats in the first.
    ///
    /// - Parameter progress: called after each sequence.
    public func scores(threads: Int, progress: (_ done: Int) throws -> Void = { _ in }) throws -> [HeadScores] {
        let c = model.configuration
        var generator = SplitMix64(state: 7)
        let vocabulary = model.vocabulary
        let ids = 0..<min(c.vocabulary, vocabulary.count)
        let ordinary = ids.filter { vocabulary.kind($0) == .normal }
        let choice = ordinary.isEmpty ? Array(ids) : ordinary
        var found: [[HeadScores]] = []
        for number in 0..<sequences {
            let pattern = (0..<period).map { _ in choice.randomElement(using: &generator)! }
            let tokens = first + pattern + pattern
            let observer = AttentionObserver(layers: 0..<c.layers, tokens: tokens) { _, _ in false }
            var pass = try Session(model, capacity: tokens.count, threads: threads).pass(
                over: tokens, observers: [observer])
            try pass.interpreter.run()
            found.append(observer.patterns.scores(c.sizes))
            try progress(number + 1)
        }
        return found[0].indices.map { index in HeadScores(meanOf: found.map { $0[index] }) }
    }
}
