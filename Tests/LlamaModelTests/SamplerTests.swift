import Foundation
import LlamaModel
import TestSupport
import Testing

@Suite struct SamplerTests {
    private func sampler(
        temperature: Float = 1, topK: Int = 0, topP: Float = 1, minP: Float = 0, seed: UInt64 = 42
    ) -> Sampler {
        var options = Sampler.Options()
        (options.temperature, options.topK, options.topP, options.minP) = (temperature, topK, topP, minP)
        options.seed = seed
        return Sampler(options)
    }

    /// How often each token is drawn, as shares.
    private func shares(_ sampler: Sampler, _ logits: [Float], draws: Int = 20_000) -> [Double] {
        var sampler = sampler
        var counts = [Double](repeating: 0, count: logits.count)
        for _ in 0..<draws { counts[sampler.sample(logits)] += 1 }
        return counts.map { $0 / Double(draws) }
    }

    /// Five standard deviations of a share of 20,000 draws are less than 0.018.
    private func expectShares(_ found: [Double], _ expected: [Double], location: SourceLocation = #_sourceLocation) {
        for (share, probability) in zip(found, expected) {
            #expect(abs(share - probability) < 0.018, "\(found), expected \(expected)", sourceLocation: location)
            if probability == 0 { #expect(share == 0, sourceLocation: location) }
        }
    }

    /// Probabilities 0.5, 0.25, 0.125, 0.0625, 0.0625, shuffled.
    private let logits: [Float] = [0.0625, 0.5, 0.125, 0.0625, 0.25].map { log($0) }
    private let probabilities = [0.0625, 0.5, 0.125, 0.0625, 0.25]

    @Test func greedyTakesTheFirstOfTheLargest() {
        var greedy = Sampler()
        #expect(greedy.sample([1, 3, 2, 3]) == 1)
        #expect(greedy.sample([.nan, 3, 5, 5]) == 2)
        #expect(greedy.sample([-.infinity, -.infinity]) == 0)
        #expect(greedy.sample([.nan, .nan]) == 1 || greedy.sample([.nan, .nan]) == 0)
        #expect(greedy.sample([7]) == 0)
    }

    @Test func rankingIsByLogitThenId() {
        var random = SeededGenerator(seed: 6)
        // Few distinct values: many ties.
        let values = (0..<2000).map { _ in Float(Int.random(in: 0..<50, using: &random)) }
        let all = values.indices.sorted { (-values[$0], $0) < (-values[$1], $1) }
        for limit in [1, 5, 100, 249, 250, 251, 2000, 5000] {
            #expect(Sampler.ranked(values, limit: limit).map(\.token) == Array(all.prefix(limit)), "\(limit)")
        }
    }

    @Test func temperatureOneFollowsTheProbabilities() {
        expectShares(shares(sampler(), logits), probabilities)
    }

    @Test func temperatureSharpensAndFlattens() {
        func scaled(_ t: Double) -> [Double] {
            let powers = probabilities.map { pow($0, 1 / t) }
            return powers.map { $0 / powers.reduce(0, +) }
        }
        expectShares(shares(sampler(temperature: 0.5), logits), scaled(0.5))
        expectShares(shares(sampler(temperature: 3), logits), scaled(3))
    }

    @Test func topKKeepsTheMostProbable() {
        expectShares(shares(sampler(topK: 2), logits), [0, 2 / 3, 0, 0, 1 / 3])
        #expect(shares(sampler(topK: 1), logits, draws: 100)[1] == 1)
    }

    @Test func topPKeepsUntilTheShareIsReached() {
        expectShares(shares(sampler(topP: 0.7), logits), [0, 2 / 3, 0, 0, 1 / 3])
        expectShares(shares(sampler(topP: 0.8), logits), [0, 4.0 / 7, 1.0 / 7, 0, 2.0 / 7])
        #expect(shares(sampler(topP: 0.01), logits, draws: 100)[1] == 1)
    }

    @Test func minPDropsWhatIsFarBelowTheBest() {
        expectShares(shares(sampler(minP: 0.3), logits), [0, 2 / 3, 0, 0, 1 / 3])
        expectShares(shares(sampler(minP: 0.2), logits), [0, 4.0 / 7, 1.0 / 7, 0, 2.0 / 7])
    }

    /// The filters look at the probabilities before the temperature.
    @Test func temperatureComesLast() {
        expectShares(shares(sampler(temperature: 1000, topP: 0.7), logits), [0, 0.5, 0, 0, 0.5])
    }

    @Test func aSeedRepeatsItselfAndAnotherDoesNot() {
        func draws(seed: UInt64) -> [Int] {
            var sampler = sampler(seed: seed)
            return (0..<200).map { _ in sampler.sample(logits) }
        }
        #expect(draws(seed: 7) == draws(seed: 7))
        #expect(draws(seed: 7) != draws(seed: 8))
    }

    @Test func predictionsAreProbabilities() throws {
        let vocabulary = try TinyModel.gqa.load().vocabulary
        let prediction = Prediction(logits: logits + [-.infinity])
        #expect(abs(prediction.logSumExp) < 1e-6)
        let top = prediction.top(3, vocabulary)
        #expect(top.map(\.token) == [1, 4, 2])
        for (candidate, probability) in zip(top, [0.5, 0.25, 0.125]) {
            #expect(abs(candidate.probability - probability) < 1e-6)
        }
        #expect(abs(prediction.logProbability(of: 2) - log(0.125)) < 1e-6)
        #expect([1, 4, 2, 0, 3].map(prediction.rank(of:)) == [0, 1, 2, 3, 3])
        #expect(prediction.top(99, vocabulary).count == 6)
        // Large logits must not overflow.
        #expect(abs(Prediction(logits: [1000, 1000]).logSumExp - (1000 + log(2))) < 1e-6)
    }
}
