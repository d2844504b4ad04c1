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
        (self.layer, self.head, self.kvHead) = (layer, head, kvHead)
        entropyBits = Self.mean(pattern.dropFirst().map { AttentionSummary($0).entropyBits })
        sink = Self.mean(pattern.prefix(window ?? .max).dropFirst(2).map { Double($0[0]) })
        previousToken = Self.mean(pattern.dropFirst(2).map { Double($0[$0.count - 2]) })
        induction = Self.mean(
            pattern.indices.compactMap { position in
                let followers = Self.followers(of: position, in: tokens).filter { position - $0 < window ?? .max }
                return followers.isEmpty ? nil : followers.reduce(0) { $0 + Double(pattern[position][$1]) }
            })
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

    /// The positions after earlier occurrences of the token at `position`, but not the position itself.
    private static func followers(of position: Int, in tokens: [Int]) -> [Int] {
        (0..<max(0, position - 1)).filter { tokens[$0] == tokens[position] }.map { $0 + 1 }
    }

    private static func mean(_ values: [Double]) -> Double? {
        values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }

    /// Scores of all heads of the pattern's layers.
    public static func all(_ patterns: AttentionPatterns, tokens: [Int], sizes: ModelSizes) -> [HeadScores] {
        patterns.layers.flatMap { layer in
            (0..<sizes.heads).map { head in
                HeadScores(
                    layer: layer, head: head, kvHead: sizes.kvHead(ofQueryHead: head), patterns[layer, head],
                    tokens: tokens, window: patterns.windows[layer])
            }
        }
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
            let observer = AttentionObserver(layers: 0..<c.layers)
            var pass = try Session(model, capacity: tokens.count, threads: threads).pass(
                over: tokens, observers: [observer])
            try pass.interpreter.run()
            found.append(HeadScores.all(observer.patterns, tokens: tokens, sizes: c.sizes))
            try progress(number + 1)
        }
        return found[0].indices.map { index in HeadScores(meanOf: found.map { $0[index] }) }
    }
}
