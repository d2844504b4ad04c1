import LlamaModel
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
    public internal(set) var entropyBits: Double?
    /// Attention to the first position, from position 2 on: position 1 has it for its neighbour.
    public internal(set) var sink: Double?
    /// Attention to the position before, from position 2 on.
    public internal(set) var previousToken: Double?
    /// Attention to what came after an earlier occurrence of the same token, over the positions whose token occurred
    /// before; `nil` if none did.
    public internal(set) var induction: Double?

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

    /// - Parameter tokens: the ids at the positions of the pattern.
    public init(layer: Int, head: Int, kvHead: Int, _ pattern: AttentionPatterns.Pattern, tokens: [Int]) {
        (self.layer, self.head, self.kvHead) = (layer, head, kvHead)
        entropyBits = Self.mean(pattern.dropFirst().map { AttentionSummary($0).entropyBits })
        sink = Self.mean(pattern.dropFirst(2).map { Double($0[0]) })
        previousToken = Self.mean(pattern.dropFirst(2).map { Double($0[$0.count - 2]) })
        induction = Self.mean(
            pattern.indices.compactMap { position in
                let followers = Self.followers(of: position, in: tokens)
                return followers.isEmpty ? nil : followers.reduce(0) { $0 + Double(pattern[position][$1]) }
            })
    }

    /// The positions after earlier occurrences of the token at `position`, but not the position itself.
    private static func followers(of position: Int, in tokens: [Int]) -> [Int] {
        (0..<max(0, position - 1)).filter { tokens[$0] == tokens[position] }.map { $0 + 1 }
    }

    private static func mean(_ values: [Double]) -> Double? {
        values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }

    /// Scores of all heads of the pattern's layers.
    public static func all(_ patterns: AttentionPatterns, tokens: [Int], counts: HeadCounts) -> [HeadScores] {
        patterns.layers.flatMap { layer in
            (0..<counts.heads).map { head in
                HeadScores(
                    layer: layer, head: head, kvHead: head / counts.groupSize, patterns[layer, head], tokens: tokens)
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
        first = model.tokenizer.vocabulary.bos.map { [$0] } ?? []
        self.period = max(2, min(period, (model.configuration.trainedContext - first.count) / 2))
    }

    /// Mean scores of every head; induction over the second half only, entropy and the others over all.
    ///
    /// - Parameter progress: called after each sequence.
    public func scores(threads: Int, progress: (_ done: Int) throws -> Void = { _ in }) throws -> [HeadScores] {
        let c = model.configuration
        let counts = HeadCounts(layers: c.layers, heads: c.heads, kvHeads: c.kvHeads)
        var generator = RandomTokens(seed: 7)
        let ordinary = (0..<c.vocabulary).filter { model.tokenizer.vocabulary.kind($0) == .normal }
        var sum: [HeadScores] = []
        for number in 0..<sequences {
            let pattern = (0..<period).map { _ in ordinary.randomElement(using: &generator)! }
            let tokens = first + pattern + pattern
            let observer = AttentionObserver(layers: 0..<c.layers)
            var pass = try Session(model, capacity: tokens.count, threads: threads).pass(
                over: tokens, observers: [observer])
            try pass.interpreter.run()
            let scores = HeadScores.all(observer.patterns, tokens: tokens, counts: counts)
            sum = sum.isEmpty ? scores : zip(sum, scores).map { $0 + $1 }
            try progress(number + 1)
        }
        return sum.map { $0 / Double(sequences) }
    }
}

extension HeadScores {
    fileprivate static func + (left: HeadScores, right: HeadScores) -> HeadScores {
        left.combined { label in label(left).flatMap { a in label(right).map { a + $0 } } }
    }

    fileprivate static func / (scores: HeadScores, divisor: Double) -> HeadScores {
        scores.combined { label in label(scores).map { $0 / divisor } }
    }

    /// The same head with other numbers.
    private func combined(_ value: ((HeadScores) -> Double?) -> Double?) -> HeadScores {
        var result = self
        result.entropyBits = value { $0.entropyBits }
        result.sink = value { $0.sink }
        result.previousToken = value { $0.previousToken }
        result.induction = value { $0.induction }
        return result
    }
}

/// Random numbers that are the same everywhere. Source: SplitMix64 (Steele et al. 2014).
private struct RandomTokens: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
