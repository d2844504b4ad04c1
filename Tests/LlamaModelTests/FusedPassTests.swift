import ComputeGraph
import LlamaModel
import Operations
import Tensors
import TestSupport
import Testing

/// Passes at whose scores nobody looks, and graphs made from those before: the same bits and the same nodes.
@Suite struct FusedPassTests {
    /// What an observer sees, by pass and node.
    private final class Collector: ExecutionObserver {
        let looksAtScores: Bool
        let looksAtViews: Bool
        private(set) var values: [[Int]: [UInt32]] = [:]
        private(set) var fused = 0
        var pass = 0

        init(looksAtScores: Bool, looksAtViews: Bool = true) {
            (self.looksAtScores, self.looksAtViews) = (looksAtScores, looksAtViews)
        }

        func didEvaluate(_ evaluation: Evaluation) {
            if evaluation.fused != nil { fused += 1 }
            values[[pass, evaluation.node.index]] = evaluation.output.bits
        }
    }

    private func check(_ model: Llama, hasKernels: Bool, on set: InstructionSet) throws {
        let collectors = [
            Collector(looksAtScores: true), Collector(looksAtScores: false),
            Collector(looksAtScores: false, looksAtViews: false),
        ]
        let tokens = (0..<11).map { 1 + ($0 * 7) % 50 }
        var logits: [[UInt32]] = []
        var nodes: [Graph] = []
        for collector in collectors {
            var session = Session(model, capacity: 40, threads: 2, instructions: set)
            for (number, tokens) in [tokens, tokens, [5], [6], [7]].enumerated() {
                collector.pass = number
                var pass = try session.pass(over: tokens, observers: [collector])
                try pass.interpreter.run()
                logits.append(pass.logits!.map(\.bitPattern))
                nodes.append(pass.interpreter.graph)
                session.advance(past: pass)
            }
        }
        #expect(logits[..<5] == logits[5..<10] && logits[..<5] == logits[10...])
        let (all, some, fewest) = (collectors[0], collectors[1], collectors[2])
        let layers = model.configuration.layers
        #expect(all.fused == 0 && some.fused == (hasKernels ? 2 * layers : 0) && fewest.fused == some.fused)
        // Scores and patterns of both prompts are all that is not there.
        #expect(all.values.count - some.values.count == 2 * some.fused)
        for (node, bits) in some.values { #expect(bits == all.values[node], "node \(node)") }
        for (node, bits) in fewest.values { #expect(bits == all.values[node], "node \(node)") }
        let views = (0..<5).reduce(0) { $0 + nodes[$1].nodes.filter(\.output.isPureView).count }
        #expect(views > 0 && some.values.count - fewest.values.count == views)
    }

    /// Heads of whole sixteens, and sets that have kernels for attention.
    private func hasKernels(_ model: Llama, _ set: InstructionSet) -> Bool {
        let sizes = model.configuration.perLayer[0]
        return set != .reference && set != .portable && sizes.keySize % 16 == 0 && sizes.valueSize % 16 == 0
    }

    @Test(arguments: TinyModel.allCases, InstructionSet.allCases.filter(\.isAvailable))
    func bitsAreThoseOfNodesOneByOne(model: TinyModel, set: InstructionSet) throws {
        let llama = try model.load()
        try check(llama, hasKernels: hasKernels(llama, set), on: set)
    }

    @Test(arguments: ArchitectureFixture.all)
    func bitsAreThoseOfNodesOneByOneInEveryArchitecture(fixture: ArchitectureFixture) throws {
        let model = try fixture.load()
        try check(model, hasKernels: hasKernels(model, .best), on: .best)
    }

    /// Nodes that are edited, recalled, kept or not reached are evaluated on their own.
    @Test func nodesThatAreNeededAreMade() throws {
        let model = try TinyModel.gqa.load()
        func scores(_ change: (inout Interpreter) -> Void, keepsValues: Bool = false) throws -> Int {
            let collector = Collector(looksAtScores: false)
            var pass = try Session(model, capacity: 32, threads: 1).pass(
                over: [1, 2, 3, 4], observers: [collector], keepsValues: keepsValues)
            change(&pass.interpreter)
            try pass.interpreter.run()
            let roles = pass.interpreter.graph.nodes.map(\.role.part)
            return collector.values.keys.filter { roles[$0[1]] == .scores }.count
        }
        let layers = model.configuration.layers
        guard hasKernels(model, .best) else { return }
        #expect(try scores { _ in } == 0)
        #expect(try scores({ _ in }, keepsValues: true) == layers)
        #expect(try scores { $0.recall = { _ in nil } } == layers)
    }

    /// Products of one token with one input are one job of the threads, so far as that is evaluated: all but the first take
    /// no time. Who looks at scores sees the time of each.
    @Test(arguments: [TinyModel.gqa, .biases, .kQuants, .stories])
    func productsOfOneInputAreOneJob(model: TinyModel) throws {
        final class Times: ExecutionObserver {
            let looksAtScores: Bool
            private(set) var instant: [String] = []
            private(set) var values: [Int: [UInt32]] = [:]

            init(looksAtScores: Bool) { self.looksAtScores = looksAtScores }

            func didEvaluate(_ evaluation: Evaluation) {
                if evaluation.node.kind == MatMul.kind, evaluation.nanoseconds == 0 {
                    instant.append(evaluation.node.name)
                }
                values[evaluation.node.index] = evaluation.output.bits
            }
        }
        let llama = try model.load()
        func times(looksAtScores: Bool, tokens: Int = 1, until end: String? = nil) throws -> Times {
            let times = Times(looksAtScores: looksAtScores)
            var session = Session(llama, capacity: 32, threads: 2)
            for token in 0..<tokens {
                var pass = try session.pass(over: [7 + token], observers: [times])
                try pass.interpreter.run(until: pass.interpreter.graph.nodes.first { $0.name == end }?.index)
                try pass.interpreter.run()
                session.advance(past: pass)
            }
            return times
        }
        let (joined, single) = (try times(looksAtScores: false), try times(looksAtScores: true))
        #expect(single.instant.isEmpty && joined.values == single.values)
        // Weights of two types are two jobs.
        let layers = (0..<llama.configuration.layers)
        func types(_ layer: Int, _ names: [String]) -> Int {
            Set(names.map { llama.file.tensor(named: "blk.\(layer).\($0).weight")!.type }).count
        }
        let expected = layers.reduce(0) {
            $0 + 3 - types($1, ["attn_q", "attn_k", "attn_v"]) + 2 - types($1, ["ffn_gate", "ffn_up"])
        }
        #expect(joined.instant.count == expected && (expected > 0 || model == .kQuants), "\(joined.instant)")
        #expect(try times(looksAtScores: false, tokens: 4).instant.count == 4 * expected)
        let stopped = try times(looksAtScores: false, until: "Vcur-0")
        #expect(stopped.values == single.values && !stopped.instant.contains("Vcur-0"))
        #expect(stopped.instant.count < max(1, joined.instant.count))
    }

    /// A decode's graph is made from that before; it is the one that would be built anew.
    @Test(arguments: ArchitectureFixture.all)
    func graphsOfLaterTokensAreThoseBuiltAnew(fixture: ArchitectureFixture) throws {
        let model = try fixture.load()
        var session = Session(model, capacity: 48, threads: 1)
        _ = try session.logits(after: [1, 2, 3])
        for step in 0..<6 {
            // Between the passes over one token, one over more.
            if step == 4 { _ = try session.logits(after: [4, 5]) }
            var pass = try session.pass(over: [7 + step])
            let expected = try LlamaGraph(model, tokens: [Int32(7 + step)], cache: session.cache)
            #expect(pass.graph.graph.nodes.count == expected.graph.nodes.count)
            for (found, expected) in zip(pass.graph.graph.nodes, expected.graph.nodes) {
                #expect(found.name == expected.name && found.output == expected.output, "step \(step)")
                #expect(found.inputs == expected.inputs && found.role == expected.role)
                #expect("\(found.operation)" == "\(expected.operation)")
            }
            for (found, expected) in zip(pass.graph.graph.leaves, expected.graph.leaves) {
                #expect(found.name == expected.name && found.layout == expected.layout, "step \(step)")
            }
            for (found, expected) in zip(pass.graph.leaves, expected.leaves) {
                #expect(found.layout == expected.layout)
                if found.type == .i32 || found.type == .i64 { #expect(found.floats() == expected.floats()) }
            }
            try pass.interpreter.run()
            session.advance(past: pass)
        }
    }
}
