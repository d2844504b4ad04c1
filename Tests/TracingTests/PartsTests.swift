import ComputeGraph
import LlamaModel
import Measuring
import Recording
import Tensors
import TestSupport
import Testing
import Tracing

/// Scores and patterns in parts: the same bits as all at once, for whoever reads them.
@Suite struct PartsTests {
    /// Two rows of a head at a time, in every prompt of these tests.
    private static let tiny = 64

    /// Puts the parts of each node's output together.
    private final class Collector: ExecutionObserver {
        let takesParts: Bool
        /// By pass and node.
        private(set) var values: [[Int]: [Float]] = [:]
        private(set) var parts = 0
        var pass = 0

        init(takesParts: Bool) { self.takesParts = takesParts }

        func didEvaluate(_ evaluation: Evaluation) {
            let node = evaluation.node
            if let part = evaluation.part {
                parts += 1
                #expect(evaluation.output.shape == Shape(node.layout.shape.ne0, part.rows.count))
                #expect(part.rows.count > 1)
            }
            // In the order of memory.
            values[[pass, node.index], default: []] += evaluation.output.floats()
            if evaluation.isLast { #expect(values[[pass, node.index]]!.count == node.layout.shape.count) }
        }
    }

    private static let lengths = [2, 3, 11]

    private func check(_ model: Llama) throws {
        for length in Self.lengths {
            let tokens = (0..<length).map { 1 + ($0 * 7) % 50 }
            let (whole, inParts) = (Collector(takesParts: false), Collector(takesParts: true))
            for collector in [whole, inParts] {
                var session = Session(model, capacity: 32, threads: 2)
                for (number, tokens) in [tokens, tokens, [5]].enumerated() {
                    collector.pass = number
                    var pass = try session.pass(over: tokens, observers: [collector])
                    pass.interpreter.partBytes = Self.tiny
                    try pass.interpreter.run()
                    session.advance(past: pass)
                }
            }
            #expect(whole.parts == 0 && (inParts.parts > 0 || length < 11))
            #expect(whole.values.count == inParts.values.count)
            for (node, values) in whole.values {
                #expect(values.map(\.bitPattern) == inParts.values[node]?.map(\.bitPattern), "node \(node)")
            }
        }
    }

    @Test(arguments: TinyModel.allCases)
    func bitsAreThoseOfTheWhole(model: TinyModel) throws { try check(try model.load()) }

    @Test(arguments: ArchitectureFixture.all)
    func bitsAreThoseOfTheWholeInEveryArchitecture(fixture: ArchitectureFixture) throws {
        try check(try fixture.load())
    }

    /// What no part can be taken of is evaluated as a whole.
    @Test func editedScoresAreWhole() throws {
        let model = try TinyModel.gqa.load()
        let collector = Collector(takesParts: true)
        var pass = try Session(model, capacity: 32, threads: 1).pass(over: [1, 2, 3, 4], observers: [collector])
        pass.interpreter.partBytes = Self.tiny
        let records = [InterventionRecord(.set, target: "kq_soft_max-0[:,:,0]", spec: "0")]
        pass.interpreter.edits = try Interventions(records).edits(in: pass.interpreter.graph, step: 0)
        try pass.interpreter.run()
        let patterns = pass.interpreter.graph.nodes.filter { $0.role.result == .pattern }
        let edited = try #require(collector.values[[0, patterns[0].index]])
        #expect(edited.prefix(16).allSatisfy { $0 == 0 } && edited.dropFirst(16).contains { $0 != 0 })
        // Those of other layers come in parts.
        #expect(collector.parts > 0 && patterns.count > 1)
    }

    // MARK: who reads them

    private func replays(_ recorded: Recorded) throws -> (whole: Replay, inParts: Replay) {
        let run = try recorded.store.run()
        let whole = try Replay(run, in: recorded.store, model: recorded.model)
        var inParts = whole
        inParts.partBytes = Self.tiny
        return (whole, inParts)
    }

    @Test(arguments: [Capture(.none), Capture(.stats), Capture(.last), Capture(.all)])
    func aTraceReproducesFromParts(capture: Capture) async throws {
        let recorded = try await Recorded(.gqa, generate: 2, capture)
        let (whole, inParts) = try replays(recorded)
        let found = try await TraceVerification(
            of: whole.run, in: recorded.store, replay: inParts, threads: 2)
        let expected = try await TraceVerification(of: whole.run, in: recorded.store, replay: whole, threads: 2)
        #expect(found.failures == [] && expected.failures == [])
        #expect(found.values == expected.values && found.cells == expected.cells)
        #expect(found.complete == expected.complete && found.partial == expected.partial)
        #expect(found.notCaptured == expected.notCaptured)
    }

    /// Statistics and heads of a run that was recorded from parts.
    @Test(arguments: [TinyModel.gqa, .stories])
    func rowsOfARecordingAreTheSame(model: TinyModel) async throws {
        let model = try model.load()
        let folder = try TemporaryFolder()
        var tables: [[[TraceStore.SQLValue]]] = []
        for bytes in [Interpreter.usualPartBytes, Self.tiny] {
            let path = folder.path("\(bytes).db")
            let recorder = try await Recorded.recorder(
                try TraceStore.create(path: path), model, capture: Capture(.stats))
            let tokens = [1, 5, 9, 7, 3, 5, 9, 2, 8]
            try recorder.record(tokens: tokens, from: 0, source: "prompt")
            var pass = try Session(model, capacity: 32, threads: 2).pass(over: tokens, observers: [recorder])
            pass.interpreter.partBytes = bytes
            try recorder.begin(pass)
            try pass.interpreter.run()
            try recorder.end(pass, prediction: Prediction(logits: pass.logits!), nanoseconds: 1)
            try await recorder.finish(nanoseconds: 1)
            let store = try TraceStore.open(path: path)
            tables += [
                try store.rows("SELECT id, n, sum, min, max, rms, std, zeros, nan, inf FROM op_stat ORDER BY id"),
                try store.rows("SELECT * FROM attention_head ORDER BY op_id, head, position"),
            ]
            #expect(try store.integers("SELECT count(*) FROM op WHERE ns = 0 AND kind = 'SOFT_MAX'") == [0])
        }
        #expect(tables[0] == tables[2] && tables[1] == tables[3])
        #expect(tables[1].count == model.configuration.layers * model.configuration.heads * 9)
    }

    @Test(arguments: [TinyModel.gqa, .biases])
    func patternsAndScoresAreTheSame(model: TinyModel) async throws {
        let recorded = try await Recorded(model, generate: 2, Capture(.all))
        let (whole, inParts) = try replays(recorded)
        let c = recorded.model.configuration
        let found = try AttentionPatterns.replayed(inParts, layers: 0..<c.layers, threads: 2)
        let expected = try AttentionPatterns.replayed(whole, layers: 0..<c.layers, threads: 2)
        for layer in 0..<c.layers {
            for head in 0..<c.heads { #expect(found[layer, head] == expected[layer, head]) }
        }
        for (mine, theirs) in zip(found.scores(c.sizes), expected.scores(c.sizes)) {
            #expect(mine.entropyBits == theirs.entropyBits && mine.sink == theirs.sink)
            #expect(mine.previousToken == theirs.previousToken && mine.induction == theirs.induction)
        }
        // Only those that are wanted are kept.
        let one = try AttentionPatterns.replayed(inParts, layers: 0..<1, keeping: { $1 == 1 }, threads: 1)
        #expect(one[0, 1] == expected[0, 1] && one[0, 0].isEmpty)
    }

    // MARK: the last token alone

    @Test(arguments: TinyModel.allCases)
    func theLastTokenIsEnoughForALogit(model: TinyModel) async throws {
        try checkLastToken(try await Recorded(model, generate: 2, Capture(.none)))
    }

    @Test(arguments: ArchitectureFixture.all)
    func theLastTokenIsEnoughForALogitInEveryArchitecture(fixture: ArchitectureFixture) async throws {
        try checkLastToken(try await Recorded(fixture, generate: 2, Capture(.none)))
    }

    private func checkLastToken(_ recorded: Recorded) throws {
        let (whole, inParts) = try replays(recorded)
        for step in 0..<2 {
            let all = try Provenance(whole, step: step, threads: 2)
            let last = try Provenance(lastTokenOf: inParts, step: step, threads: 2)
            #expect(all.logits == last.logits)
            for token in [0, 7, 100] {
                let expected = try LogitAttribution(of: token, against: 3, in: all)
                let found = try LogitAttribution(of: token, against: 3, in: last)
                #expect(found.parts.map(\.value) == expected.parts.map(\.value))
                #expect(found.parts.map(\.expert) == expected.parts.map(\.expert))
                #expect(found.layers.map(\.attention) == expected.layers.map(\.attention))
                #expect(found.chain.value == expected.chain.value && found.chain.written == expected.chain.written)
                #expect(found.chain.channel?.address == expected.chain.channel?.address)
            }
        }
    }

    /// Asked for some positions, the stream is what it is when asked for all.
    @Test func someColumnsOfTheStream() async throws {
        let recorded = try await Recorded(.gqa, generate: 2, Capture(.stats))
        let (whole, inParts) = try replays(recorded)
        var all = try ResidualStream(whole, in: recorded.store, threads: 2)
        for position in [[2], [recorded.promptTokens - 1], [0, recorded.promptTokens]] {
            var some = try ResidualStream(inParts, in: recorded.store, positions: position, threads: 2)
            for position in position { #expect(try some.columns(at: position) == all.columns(at: position)) }
        }
    }

    // MARK: estimates

    @Test func whatTakesTooMuchIsRefusedBefore() async throws {
        let recorded = try await Recorded(.gqa, generate: 2, Capture(.stats))
        var replay = try replays(recorded).whole
        replay.memoryLimit = 20_000
        let isMemory: (any Error) -> Bool = { error in
            guard case .memory(_, let tokens, let estimate, let limit)? = error as? ReplayProblem else { return false }
            return tokens == recorded.promptTokens && estimate > limit && limit == 20_000
                && "\(error)".contains("--max-memory 19.5 KiB")
        }
        let refused = replay
        #expect { _ = try refused.pass(0, threads: 1) } throws: { isMemory($0) }
        #expect { _ = try refused.evaluate(0, threads: 1, observers: []) } throws: { isMemory($0) }
        #expect { try refused.evaluateAll(threads: 1, observers: []) } throws: { isMemory($0) }
    }

    /// The estimate is what buffers take: with all values kept it is their sum, and without less.
    @Test(arguments: TinyModel.allCases)
    func estimatesAreOfTheGraph(model: TinyModel) throws {
        let model = try model.load()
        // So many that scores are what takes most.
        let tokens = 400
        let pass = try Session(model, capacity: 512, threads: 1).pass(over: Array(repeating: 1, count: tokens))
        let graph = pass.interpreter.graph
        let leaves = graph.leaves.filter { $0.role != .weight }.reduce(0) { $0 + $1.layout.byteCount }
        let values = graph.nodes.filter { $0.output.memory == .fresh }.reduce(0) { $0 + $1.layout.byteCount }
        let kept = graph.peakBytes(keepsValues: true, partBytes: nil)
        #expect(kept >= leaves + values)
        let (whole, inParts) = (graph.peakBytes(partBytes: nil), graph.peakBytes(partBytes: Self.tiny))
        #expect(leaves < inParts && inParts < whole && whole < kept)
        let cache = KVCache(model.configuration, capacity: 512)
        let outline = try LlamaGraph.outline(model, tokens: tokens, cache: cache)
        #expect(outline.peakBytes(partBytes: Self.tiny) == inParts)
    }
}
