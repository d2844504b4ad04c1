import RealModule
import Tokenization

/// A possible next token.
public struct Candidate: Sendable, Hashable {
    public let token: Int
    /// As shown in tables: control characters and partial characters escaped.
    public let piece: String
    public let logit: Double
    /// exp(logit) over the sum of all exponentials, at temperature 1.
    public let probability: Double

    package init(token: Int, piece: String, logit: Double, probability: Double) {
        (self.token, self.piece, self.logit, self.probability) = (token, piece, logit, probability)
    }
}

/// What a model says about the next token: all logits and their normaliser.
public struct Prediction: Sendable {
    public let logits: [Float]
    public let logSumExp: Double

    public init(logits: [Float]) {
        self.logits = logits
        logSumExp = Sampler.logSumExp(logits)
    }

    /// The most probable tokens, best first.
    public func top(_ count: Int, _ tokenizer: Tokenizer) -> [Candidate] {
        Sampler.ranked(logits, limit: min(count, logits.count)).map {
            Candidate(
                token: $0.token, piece: tokenizer.displayPiece($0.token), logit: Double($0.logit),
                probability: Double.exp(Double($0.logit) - logSumExp))
        }
    }

    /// Natural logarithm of a token's probability.
    public func logProbability(of token: Int) -> Double { Double(logits[token]) - logSumExp }

    /// Kullback-Leibler divergence of another prediction from this one, `Σ p log(p / q)`, in nats.
    ///
    /// - Precondition: of as many tokens.
    public func divergence(of other: Prediction) -> Double {
        precondition(logits.count == other.logits.count, "\(logits.count) logits against \(other.logits.count)")
        return logits.indices.reduce(0) { sum, token in
            let p = logProbability(of: token)
            return sum + Double.exp(p) * (p - other.logProbability(of: token))
        }
    }

    /// How many tokens are more probable.
    public func rank(of token: Int) -> Int {
        logits.reduce(0) { $0 + ($1 > logits[token] ? 1 : 0) }
    }
}
