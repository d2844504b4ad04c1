import LlamaModel
import Quantizing
import RealModule
import Tensors

/// How far one model's predictions are from another's, over the scored tokens of a text.
///
/// As llama.cpp's `llama-perplexity --kl-divergence` defines it, but from the logits of both models themselves, where
/// llama.cpp keeps the base's in 16 bits. Source: llama.cpp `kl_divergence` in `tools/perplexity/perplexity.cpp`.
public struct Divergence: Sendable {
    /// The two predictions at one position.
    public struct Token: Sendable, BitwiseCopyable {
        /// Minus the natural logarithm of the probability that each model gave to the token that followed.
        public let baseSurprise: Double
        public let otherSurprise: Double
        /// Σ p ln(p / q) over the vocabulary, p the base's and q the other's probabilities.
        public let divergence: Double
        /// Whether both held the same token most probable.
        public let isSameTop: Bool

        /// Δp: by how much more probable the other model held what followed.
        public var probabilityChange: Double { Double.exp(-otherSurprise) - Double.exp(-baseSurprise) }
    }

    /// Chunk after chunk.
    public private(set) var tokens: [Token] = []
    public let tokensPerChunk: Int

    /// To be filled chunk by chunk; for measuring several models against the logits of one.
    public init(on text: ScoredText) { tokensPerChunk = text.scored.count }

    /// Of chunks that have been measured.
    public init(_ tokens: [Token], on text: ScoredText) {
        self.init(on: text)
        self.tokens = tokens
    }

    /// Both models on all of the text, in one pass.
    ///
    /// - Parameter progress: called often with the tokens evaluated, by both models and also in part, and those to
    ///   evaluate; what it throws ends the work.
    /// - Throws: `ScoringProblem` if a model gives anything but numbers.
    /// - Precondition: both are on the same text, which was made for both.
    public init(
        of other: ChunkLogits, from base: ChunkLogits,
        progress: @escaping (_ done: Double, _ total: Int) throws -> Void = { _, _ in }
    ) throws {
        let text = base.text
        self.init(on: text)
        let total = 2 * text.chunks.count * text.chunkSize
        for chunk in text.chunks.indices {
            tokens += try Self.tokens(of: chunk, other, from: base) {
                try progress((Double(chunk) + $0) * Double(2 * text.chunkSize), total)
            }
        }
    }

    /// Both models on one chunk.
    ///
    /// - Parameter progress: called often with the share that is done.
    public static func tokens(
        of chunk: Int, _ other: ChunkLogits, from base: ChunkLogits,
        progress: @escaping (_ share: Double) throws -> Void = { _ in }
    ) throws -> [Token] {
        precondition(base.text == other.text, "models on different texts")
        let expected = try base(chunk) { try progress($0 / 2) }
        let found = try other(chunk) { try progress(0.5 + $0 / 2) }
        return try tokens(of: chunk, other, found, from: expected)
    }

    /// Adds a chunk.
    ///
    /// - Parameters:
    ///   - logits: what `other` gave for it.
    ///   - base: what the model it is measured against gave for it.
    /// - Throws: `ScoringProblem.notFinite` if one of them is not.
    public mutating func add(
        _ chunk: Int, of other: ChunkLogits, _ logits: Tensor, from base: Tensor
    ) throws(ScoringProblem) {
        tokens += try Self.tokens(of: chunk, other, logits, from: base)
    }

    private static func tokens(
        of chunk: Int, _ other: ChunkLogits, _ logits: Tensor, from base: Tensor
    ) throws(ScoringProblem) -> [Token] {
        try other.scores(of: chunk) { row, target in
            base.withRow(of: Float.self, row) { base in
                logits.withRow(of: Float.self, row) { Token(base: base, other: $0, target: target) }
            }
        }
    }

    // MARK: what it comes to

    /// The mean divergence. Quantiles are in `divergences`.
    public var meanDivergence: Estimate { Estimate(meanOf: tokens.map(\.divergence)) }
    public var divergences: Quantiles { Quantiles(tokens.map(\.divergence)) }

    /// The share of positions at which both models hold the same token most probable.
    public var sameTop: Estimate {
        let share = Double(tokens.count(where: \.isSameTop)) / Double(tokens.count)
        return Estimate(share, (share * (1 - share) / Double(tokens.count - 1)).squareRoot())
    }

    public var probabilityChanges: Quantiles { Quantiles(tokens.map(\.probabilityChange)) }
    public var meanProbabilityChange: Estimate { Estimate(meanOf: tokens.map(\.probabilityChange)) }
    /// The root of the mean square of Δp.
    public var rmsProbabilityChange: Estimate {
        Estimate(meanOf: tokens.map { $0.probabilityChange * $0.probabilityChange }).squareRoot
    }

    public var basePerplexity: Perplexity {
        Perplexity(surprises: tokens.map(\.baseSurprise), tokensPerChunk: tokensPerChunk)
    }
    public var otherPerplexity: Perplexity {
        Perplexity(surprises: tokens.map(\.otherSurprise), tokensPerChunk: tokensPerChunk)
    }

    /// ln(other's perplexity / base's). Both stumble over the same tokens, so it is surer than either.
    public var logRatio: Estimate { Estimate(meanOf: tokens.map { $0.otherSurprise - $0.baseSurprise }) }

    /// Of the two models' surprises, token by token; NaN where one of them never varies.
    public var correlation: Double {
        let (a, b) = (tokens.map(\.baseSurprise), tokens.map(\.otherSurprise))
        return covariance(a, b) / (covariance(a, a) * covariance(b, b)).squareRoot()
    }

    /// The other's perplexity minus the base's.
    public var difference: Estimate {
        let (base, other) = (basePerplexity.estimate, otherPerplexity.estimate)
        let joint = covariance(tokens.map(\.baseSurprise), tokens.map(\.otherSurprise)) / Double(tokens.count - 1)
        let variance =
            base.uncertainty * base.uncertainty + other.uncertainty * other.uncertainty
            - 2 * base.value * other.value * joint
        return Estimate(other.value - base.value, max(0, variance).squareRoot())
    }
}

extension Divergence {
    /// Tokens as a row of results has them.
    public struct Columns: Codable, Sendable {
        private var baseSurprise: [Double] = []
        private var otherSurprise: [Double] = []
        private var divergence: [Double] = []
        private var isSameTop: [Bool] = []

        public init(_ tokens: [Token]) {
            for token in tokens {
                baseSurprise.append(token.baseSurprise)
                otherSurprise.append(token.otherSurprise)
                divergence.append(token.divergence)
                isSameTop.append(token.isSameTop)
            }
        }

        public var tokens: [Token] {
            isSameTop.indices.map {
                Token(
                    baseSurprise: baseSurprise[$0], otherSurprise: otherSurprise[$0], divergence: divergence[$0],
                    isSameTop: isSameTop[$0])
            }
        }

        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            baseSurprise = try container.decode([Double].self, forKey: .baseSurprise)
            otherSurprise = try container.decode([Double].self, forKey: .otherSurprise)
            divergence = try container.decode([Double].self, forKey: .divergence)
            isSameTop = try container.decode([Bool].self, forKey: .isSameTop)
            guard [baseSurprise.count, otherSurprise.count, divergence.count].allSatisfy({ $0 == isSameTop.count })
            else {
                throw DecodingError.dataCorruptedError(
                    forKey: .isSameTop, in: container, debugDescription: "columns of several lengths")
            }
        }
    }
}

extension Divergence.Token {
    /// - Returns: `nil` if a logit is not finite.
    init?(base: Span<Float>, other: Span<Float>, target: Int) {
        let pair = DistributionPair(base: base, other: other)
        baseSurprise = pair.baseLogSumExp - Double(base[target])
        otherSurprise = pair.otherLogSumExp - Double(other[target])
        divergence = pair.divergence
        isSameTop = pair.isSameTop
        guard baseSurprise.isFinite, otherSurprise.isFinite, divergence.isFinite else { return nil }
    }
}

/// The distributions over the vocabulary that two rows of logits stand for.
package struct DistributionPair {
    /// KL(base || other) = Σ p (ln p - ln q) in nats; not finite if a logit is not.
    package let divergence: Double
    /// Whether both hold the same token most probable.
    package let isSameTop: Bool
    /// ln Σ exp(logit).
    let baseLogSumExp: Double
    let otherLogSumExp: Double

    /// All in Double: divergences of 1e-8 are differences of numbers near 10.
    package init(base: Span<Float>, other: Span<Float>) {
        let (baseTop, otherTop) = (base.maximum, other.maximum)
        let (baseLargest, otherLargest) = (Double(baseTop.value), Double(otherTop.value))
        var (baseSum, otherSum, mean) = (0.0, 0.0, 0.0)
        for i in base.indices {
            let (x, y) = (Double(base[i]) - baseLargest, Double(other[i]) - otherLargest)
            let weight = Double.exp(x)
            baseSum += weight
            otherSum += Double.exp(y)
            mean += weight * (x - y)
        }
        let (baseLog, otherLog) = (Double.log(baseSum), Double.log(otherSum))
        divergence = mean / baseSum - baseLog + otherLog
        isSameTop = baseTop.index == otherTop.index
        baseLogSumExp = baseLog + baseLargest
        otherLogSumExp = otherLog + otherLargest
    }
}
