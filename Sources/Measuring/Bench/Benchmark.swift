import ComputeGraph
import LlamaModel

/// Measures how fast a model reads prompts and generates, and where the time goes.
///
/// Every repetition starts at an empty cache, as llama.cpp's `llama-bench` does; one more, before them, is not counted.
/// Tokens are arbitrary: their number decides the time, not their meaning.
public struct Benchmark {
    /// Passes of one kind.
    public struct Phase: Sendable {
        /// Tokens of one pass.
        public let tokens: Int
        /// Passes of one repetition.
        public let passes: Int
        /// Tokens a second, a value a repetition.
        public let rates: [Double]
        /// Wall time of one pass, on average.
        public let passNanoseconds: Double
        /// Of which until its graph was built.
        public let graphNanoseconds: Double
        /// Bytes of weights read in one pass.
        public let weightBytes: Int
        /// The most time first.
        public let operations: [RooflineRow]

        /// Tokens a second: the middle repetition.
        public var rate: Double { rates.sorted().median }
        /// Wall time of one pass outside its operations and the building of its graph.
        public var betweenNanoseconds: Double {
            passNanoseconds - graphNanoseconds - operations.reduce(0) { $0 + $1.nanoseconds }
        }
        public var bytesPerSecond: Double { Double(weightBytes) / Double(tokens) * rate }
    }

    public let prompt: Phase
    public let decode: Phase
    /// Bytes a second that all threads together read: the middle of what was measured around every repetition of
    /// decoding, because on a machine shared with others it changes from second to second.
    public let memoryBandwidth: Double

    /// - Parameters:
    ///   - session: at its start, with room for the prompt and for the generated tokens.
    ///   - progress: called before each pass with the tokens done and to do; what it throws ends the measurement.
    public init(
        _ session: Session, promptTokens: Int, decodeTokens: Int, repetitions: Int, workers: Workers,
        progress: (_ done: Int, _ total: Int) throws -> Void
    ) throws {
        let memory = MemoryBandwidth(workers: workers)
        var samples: [Double] = []
        let total = (repetitions + 1) * (promptTokens + decodeTokens)
        var done = 0
        func run(tokens: Int, passes: Int, beforeRepetition: () -> Void) throws -> Measurement {
            try Measurement(
                session, tokens: tokens, passes: passes, repetitions: repetitions, beforeRepetition: beforeRepetition
            ) {
                try progress(done, total)
                done += tokens
            }
        }
        let prompt = try run(tokens: promptTokens, passes: 1) {}
        let decode = try run(tokens: 1, passes: decodeTokens) { samples += memory.measure() }
        let bandwidth = (samples + memory.measure()).sorted().median
        memoryBandwidth = bandwidth
        self.prompt = prompt.phase(bandwidth: bandwidth, workers: workers)
        self.decode = decode.phase(bandwidth: bandwidth, workers: workers)
    }
}

/// The repetitions of one phase as they were timed.
private struct Measurement {
    let tokens: Int
    let passes: Int
    private var rates: [Double] = []
    private var graphTime = Duration.zero
    private var passTime = Duration.zero
    private let times = OperationTimes()
    private let peaks: CachedPeaks
    private let weightBytes: Int

    init(
        _ start: Session, tokens: Int, passes: Int, repetitions: Int, beforeRepetition: () -> Void,
        beforePass: () throws -> Void
    ) throws {
        self.tokens = tokens
        self.passes = passes
        let ids = (0..<passes).map { start.arbitraryTokens(tokens, from: $0) }

        // The warm-up; the operations of its last pass are the samples that peaks are measured with.
        var session = start
        for index in 0..<passes - 1 {
            try beforePass()
            _ = try session.timedPass(over: ids[index], observers: [])
        }
        let graph = try session.pass(over: ids[passes - 1]).interpreter.graph
        weightBytes = graph.weightBytes
        peaks = CachedPeaks(graph)
        try beforePass()
        _ = try session.timedPass(over: ids[passes - 1], observers: [peaks])

        for _ in 0..<repetitions {
            beforeRepetition()
            // A copy starts where the original stands, and overwrites the same cells.
            var session = start
            var elapsed = Duration.zero
            for index in 0..<passes {
                try beforePass()
                let timing = try session.timedPass(over: ids[index], observers: [times])
                times.add(timing.graph)
                graphTime += timing.building
                elapsed += timing.building + timing.evaluating
            }
            passTime += elapsed
            rates.append(Double(tokens * passes) / (elapsed / .seconds(1)))
        }
    }

    func phase(bandwidth: Double, workers: Workers) -> Benchmark.Phase {
        let peaks = peaks.measure(on: workers)
        let passNanoseconds = passTime / .nanoseconds(1) / Double(times.passes)
        let rows = times.totals.map { group, total in
            RooflineRow(
                group, total, passes: times.passes, passNanoseconds: passNanoseconds, peak: peaks[group],
                bandwidth: bandwidth)
        }
        return Benchmark.Phase(
            tokens: tokens, passes: passes, rates: rates, passNanoseconds: passNanoseconds,
            graphNanoseconds: graphTime / .nanoseconds(1) / Double(times.passes), weightBytes: weightBytes,
            operations: rows.sorted { $0.nanoseconds > $1.nanoseconds })
    }
}

extension Session {
    /// A pass from the building of its graph to its end.
    mutating func timedPass(
        over ids: [Int], observers: [any ExecutionObserver]
    ) throws -> (graph: Graph, building: Duration, evaluating: Duration) {
        let start = ContinuousClock.now
        var pass = try pass(over: ids, observers: observers)
        let built = ContinuousClock.now
        try pass.interpreter.run()
        let end = ContinuousClock.now
        advance(past: pass)
        return (pass.interpreter.graph, built - start, end - built)
    }

    /// Ids spread over the vocabulary.
    func arbitraryTokens(_ count: Int, from first: Int) -> [Int] {
        (first..<first + count).map { ($0 + 1) * 7919 % model.configuration.vocabulary }
    }
}

extension [Double] {
    /// The middle of sorted values; of two middle ones their mean.
    var median: Double { (self[(count - 1) / 2] + self[count / 2]) / 2 }
}
