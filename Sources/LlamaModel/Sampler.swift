import RealModule
import Tensors

/// Chooses the next token from logits.
///
/// Temperature 0, the default, is greedy: the largest logit, the lowest id among equals. Otherwise candidates pass
/// top-k, top-p and min-p in that order, as in llama.cpp, then the temperature, and one is drawn.
public struct Sampler: Sendable {
    public struct Options: Sendable, Hashable {
        /// 0: greedy.
        public var temperature: Float = 0
        /// Keep the k most probable; 0 keeps all.
        public var topK = 40
        /// Keep the most probable until they hold this probability; 1 keeps all.
        public var topP: Float = 0.95
        /// Drop what is less probable than this share of the most probable; 0 keeps all.
        public var minP: Float = 0.05
        public var seed: UInt64 = 0

        public init() {}
    }

    public let options: Options
    private var generator: SplitMix64

    public init(_ options: Options = Options()) {
        self.options = options
        generator = SplitMix64(state: options.seed)
    }

    /// - Precondition: at least one logit.
    public mutating func sample(_ logits: [Float]) -> Int {
        guard options.temperature > 0 else { return Self.argmax(logits) }
        var candidates = Self.ranked(logits, limit: options.topK > 0 ? options.topK : logits.count)
        // What is no number cannot be drawn; of nothing else, the first.
        candidates.removeAll { $0.logit.isNaN }
        guard let best = candidates.first, best.logit.isFinite else { return Self.argmax(logits) }
        keepTopP(&candidates)
        keepMinP(&candidates)
        let weights = Self.softmax(candidates.map { $0.logit / options.temperature })
        var rest = generator.nextUnit()
        for (candidate, weight) in zip(candidates, weights) {
            rest -= Double(weight)
            if rest < 0 { return candidate.token }
        }
        return candidates.last!.token
    }

    private func keepTopP(_ candidates: inout [(token: Int, logit: Float)]) {
        guard options.topP < 1 else { return }
        var sum: Float = 0
        let probabilities = Self.softmax(candidates.map(\.logit))
        let kept = probabilities.firstIndex { probability in
            sum += probability
            return sum >= options.topP
        }
        if let kept { candidates.removeSubrange((kept + 1)...) }
    }

    private func keepMinP(_ candidates: inout [(token: Int, logit: Float)]) {
        guard options.minP > 0, let best = candidates.first?.logit else { return }
        let least = best + Float.log(options.minP)
        candidates.removeAll { $0.logit < least }
    }

    /// The index of the largest logit; the first among equals. NaN is never the largest.
    public static func argmax(_ logits: [Float]) -> Int {
        var (best, largest) = (0, Float.nan)
        for (index, logit) in logits.enumerated() where logit > largest || largest.isNaN {
            (best, largest) = (index, logit)
        }
        return best
    }

    /// The `limit` largest logits, largest first, NaN last; lower ids first among equals.
    public static func ranked(_ logits: [Float], limit: Int) -> [(token: Int, logit: Float)] {
        let order: (Int, Int) -> Bool = { a, b in
            logits[a].ranksBefore(logits[b]) || (!logits[b].ranksBefore(logits[a]) && a < b)
        }
        guard limit < logits.count / 8 else {
            return logits.indices.sorted(by: order).prefix(limit).map { ($0, logits[$0]) }
        }
        // A small list kept in order: most logits fail the first comparison. Of equal ones, the lower id was there first.
        var best: [(token: Int, logit: Float)] = []
        for (token, logit) in logits.enumerated() where best.count < limit || logit.ranksBefore(best[limit - 1].logit) {
            let index = best.firstIndex { logit.ranksBefore($0.logit) } ?? best.endIndex
            best.insert((token, logit), at: index)
            if best.count > limit { best.removeLast() }
        }
        return best
    }

    /// - Precondition: none is NaN.
    static func softmax(_ logits: [Float]) -> [Float] {
        let maximum = logits.max() ?? 0
        let exponentials = logits.map { Float.exp($0 - maximum) }
        let sum = exponentials.reduce(0, +)
        return exponentials.map { $0 / sum }
    }

    /// log Σ exp(logit) over those that are numbers: what turns a logit into a log-probability by subtraction.
    public static func logSumExp(_ logits: [Float]) -> Double {
        guard let largest = logits.largestNumber() else { return .nan }
        let maximum = Double(largest)
        var sum = 0.0
        for logit in logits where !logit.isNaN { sum += Double(Float.exp(logit - Float(maximum))) }
        return maximum + Double.log(sum)
    }
}

/// Steele, Lea and Flood's SplitMix64: small, and the same on every machine.
package struct SplitMix64: RandomNumberGenerator, Sendable {
    var state: UInt64

    package init(state: UInt64) { self.state = state }

    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// Uniform in 0..<1.
    mutating func nextUnit() -> Double { Double(next() >> 11) * 0x1p-53 }
}
