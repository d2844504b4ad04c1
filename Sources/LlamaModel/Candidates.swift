import RealModule
import Tensors
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

/// What a model says about a token that is followed through a run.
public struct TrackedToken: Sendable, Hashable {
    /// The position that the prediction is made after.
    public let position: Int
    /// How many tokens are more probable.
    public let rank: Int
    public let candidate: Candidate
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
    public func top(_ count: Int, _ vocabulary: Vocabulary) -> [Candidate] {
        Sampler.ranked(logits, limit: min(count, logits.count)).map { candidate($0.token, vocabulary) }
    }

    /// What is said about one token.
    public func candidate(_ token: Int, _ vocabulary: Vocabulary) -> Candidate {
        Candidate(
            token: token, piece: vocabulary.displayPiece(token), logit: Double(logits[token]),
            probability: Double.exp(logProbability(of: token)))
    }

    /// Natural logarithm of a token's probability.
    public func logProbability(of token: Int) -> Double { Double(logits[token]) - logSumExp }

    /// At temperature 1.
    public func probability(of token: Int) -> Double { Double.exp(logProbability(of: token)) }

    /// How many tokens are more probable; all that are numbers before one that is none.
    public func rank(of token: Int) -> Int {
        logits.reduce(0) { $0 + ($1.ranksBefore(logits[token]) ? 1 : 0) }
    }

    /// What is said about tokens that are followed through a run.
    ///
    /// - Parameter position: of the token before.
    public func tracked(_ tokens: [Int], after position: Int, _ vocabulary: Vocabulary) -> [TrackedToken] {
        tokens.map { TrackedToken(position: position, rank: rank(of: $0), candidate: candidate($0, vocabulary)) }
    }

    /// Logits that are no numbers.
    public var notFinite: Int { logits.count { !$0.isFinite } }

    /// Shannon entropy of the distribution, in bits.
    public var entropyBits: Double {
        let nats = logits.reduce(0.0) { sum, logit in
            // What is less probable than a Double can say adds nothing.
            let logP = Double(logit) - logSumExp
            return logP > -700 ? sum - Double.exp(logP) * logP : sum
        }
        return nats / Double.log(2)
    }
}
