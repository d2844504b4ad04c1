import ComputeGraph
import LlamaModel
import Operations

/// Measures how fast a model reads prompts of several lengths, and generates after them.
///
/// Each repetition reads a prompt from an empty cache and goes on from there, so that what a token costs at a depth is
/// measured at that depth. One repetition of the shortest, before them, is not counted.
public struct LengthBenchmark: Sendable {
    /// Passes of one kind at one length.
    public struct Phase: Sendable {
        /// Tokens a second, a value a repetition.
        public let rates: [Double]
        /// Wall time of one pass, on average.
        public let passNanoseconds: Double
        /// Of it, in products with keys and values, and in the soft max between them.
        public let attentionNanoseconds: Double

        /// Tokens a second: the middle repetition.
        public var rate: Double { rates.sorted().median }
        public var attentionShare: Double { attentionNanoseconds / passNanoseconds }
    }

    public struct Row: Sendable {
        /// Tokens of the prompt, and of the cache when generation begins.
        public let length: Int
        /// `nil` for a length of 0.
        public let prompt: Phase?
        public let decode: Phase
    }

    /// In the order they were asked for.
    public let rows: [Row]

    /// - Parameters:
    ///   - session: at its start, with room for the longest prompt and for the generated tokens.
    ///   - progress: called before each pass with the tokens done and to do; what it throws ends the measurement.
    public init(
        _ session: Session, lengths: [Int], decodeTokens: Int, repetitions: Int,
        progress: (_ done: Int, _ total: Int) throws -> Void
    ) throws {
        let shortest = lengths.min() ?? 0
        let total = repetitions * lengths.reduce(0) { $0 + $1 + decodeTokens } + shortest + decodeTokens
        var done = 0
        func run(_ length: Int, into row: inout Times) throws {
            var session = session
            for (number, count) in ([length] + Array(repeating: 1, count: decodeTokens)).enumerated() where count > 0 {
                try progress(done, total)
                let observer = AttentionTime()
                let timing = try session.timedPass(
                    over: session.arbitraryTokens(count, from: number), observers: [observer])
                done += count
                row.add(number > 0, timing.building + timing.evaluating, attention: observer.nanoseconds)
            }
            row.finishRepetition(tokens: length)
        }
        var warmUp = Times()
        try run(shortest, into: &warmUp)
        rows = try lengths.map { length in
            var times = Times()
            for _ in 0..<repetitions { try run(length, into: &times) }
            return Row(length: length, prompt: length > 0 ? times.phases[0].phase : nil, decode: times.phases[1].phase)
        }
    }
}

/// What was timed at one length: of the prompt, and of the tokens after it.
private struct Times {
    struct Passes {
        private var count = 0
        private var (total, repetition) = (Duration.zero, Duration.zero)
        private var attention = 0
        private var rates: [Double] = []

        mutating func add(_ time: Duration, attention: Int) {
            count += 1
            total += time
            repetition += time
            self.attention += attention
        }

        mutating func finishRepetition(tokens: Int) {
            rates.append(Double(tokens) / (repetition / .seconds(1)))
            repetition = .zero
        }

        var phase: LengthBenchmark.Phase {
            .init(
                rates: rates, passNanoseconds: total / .nanoseconds(1) / Double(count),
                attentionNanoseconds: Double(attention) / Double(count))
        }
    }

    private(set) var phases = [Passes(), Passes()]
    private var decoded = 0

    mutating func add(_ isDecode: Bool, _ time: Duration, attention: Int) {
        phases[isDecode ? 1 : 0].add(time, attention: attention)
        if isDecode { decoded += 1 }
    }

    mutating func finishRepetition(tokens: Int) {
        phases[0].finishRepetition(tokens: tokens)
        phases[1].finishRepetition(tokens: decoded)
        decoded = 0
    }
}

/// Sums up what attention takes.
private final class AttentionTime: ExecutionObserver {
    private(set) var nanoseconds = 0
    var takesParts: Bool { true }
    var looksAtScores: Bool { false }
    var looksAtViews: Bool { false }

    func didEvaluate(_ evaluation: Evaluation) {
        let (node, part) = (evaluation.node, evaluation.node.role.part)
        let isProduct = (node.operation as? MatMul)?.cachedDimension != nil
        if part == .scores || part == .pattern || isProduct { nanoseconds += evaluation.nanoseconds }
    }
}
