import ComputeGraph
import Foundation
import LlamaModel
import Tensors
import TestSupport
import Testing

/// Every node of a pass against what the real llama.cpp computed.
@Suite struct GoldenNodeTests {
    /// Notes shape and moments of each node as it is evaluated: later nodes change the cache.
    private final class Measurer: ExecutionObserver {
        struct Measured {
            let node: Node
            let sources: [String]
            let moments: Moments
            let range: (low: Float, high: Float)
        }

        var graph: Graph?
        private(set) var nodes: [Measured] = []

        func didEvaluate(_ evaluation: Evaluation) throws {
            // As the tables are: without the -∞ of experts that cannot be chosen.
            let values = evaluation.output.floats().filter(\.isFinite)
            nodes.append(
                Measured(
                    node: evaluation.node, sources: evaluation.node.inputs.map(graph!.name(of:)),
                    moments: Moments(values),
                    range: (values.min() ?? 0, values.max() ?? 0)))
        }
    }

    private func measure(_ model: Llama, _ tokens: [Int]) throws -> [Measurer.Measured] {
        let measurer = Measurer()
        var pass = try Session(model, positions: tokens.count, threads: 2).pass(over: tokens, observers: [measurer])
        measurer.graph = pass.interpreter.graph
        try pass.interpreter.run()
        return measurer.nodes
    }

    /// The tables have seven digits, with llama.cpp's padding removed.
    @Test(arguments: TinyModel.withGoldenNodes)
    func everyNodeOfATinyModel(model: TinyModel) throws {
        try expectNodes(of: try model.load(), try GoldenNodes(model.rawValue + ".tsv"))
    }

    /// A line in the registry without a model and llama.cpp's values is a failure.
    @Test(arguments: ArchitectureFixture.all)
    func everyNodeOfAnArchitecture(fixture: ArchitectureFixture) throws {
        let (model, golden) = (try fixture.load(), try fixture.golden())
        try expectNodes(of: model, golden)
        var session = try Session(model, positions: 64, threads: 2)
        var logits = try session.logits(after: golden.header("tokens"))
        for pair in try golden.header("top10", as: [[Float]].self) {
            #expect(abs(logits[Int(pair[0])] - pair[1]) < 2e-5, "logit of \(pair[0])")
        }
        let greedy = try golden.header("greedy8", as: [Int].self)
        for (step, token) in greedy.enumerated() {
            #expect(Sampler.argmax(logits) == token, "token \(step) of the continuation")
            logits = try session.logits(after: [token])
        }
    }

    /// Values of llama.cpp that no architecture is held against are a line that the registry has lost.
    @Test func everyGoldenTableIsRead() throws {
        let found = try FileManager.default.contentsOfDirectory(atPath: Places.fixture("golden")).filter {
            $0.hasPrefix("tiny-") && $0.hasSuffix(".tsv")
        }
        let read = ArchitectureFixture.all.map { "tiny-\($0.name)" } + TinyModel.withGoldenNodes.map(\.rawValue)
        #expect(Set(found) == Set(read.map { $0 + ".tsv" }))
    }

    private func expectNodes(of model: Llama, _ golden: GoldenNodes) throws {
        let nodes = try measure(model, try golden.header("tokens"))
        try #require(nodes.count == golden.nodes.count)
        for (ours, expected) in zip(nodes, golden.nodes) {
            let label = "node \(expected.seq), \(expected.name)"
            #expect(ours.node.kind == expected.kind && ours.node.name == expected.name, "\(label)")
            #expect(ours.node.layout.shape == expected.shape, "\(label)")
            #expect(ours.sources == expected.sources, "\(label)")
            expectSame(ours, expected, count: expected.shape.count, digits: 7, label)
        }
    }

    @Test(.enabled(if: Places.runsSmolLM2, Comment(rawValue: Places.smolLM2Hint)))
    func everyNodeOfSmolLM2() throws {
        let golden = try GoldenNodes("smollm2-q4_1.ops.tsv")
        let model = try SmolLM2.shared.get()
        let tokens = try model.tokenizer.encode("The capital of France is")
        let nodes = try measure(model, tokens)
        try #require(nodes.count == golden.nodes.count)
        for (ours, expected) in zip(nodes, golden.nodes) {
            let label = "node \(expected.seq), \(expected.name)"
            #expect(ours.node.kind == expected.kind && ours.node.name == expected.name, "\(label)")
            let shape = unpadded(expected, positions: tokens.count)
            #expect(ours.node.layout.shape == shape, "\(label)")
            #expect(ours.sources == expected.sources, "\(label)")
            // The table's moments are over the padded tensor, whose padding is zero.
            expectSame(ours, expected, count: expected.shape.count, digits: 6, label)
        }
    }

    /// llama.cpp attends to a multiple of 256 cells; here to the positions there are.
    private func unpadded(_ node: GoldenNodes.Node, positions: Int) -> Shape {
        var shape = node.shape
        let isView = node.kind == "VIEW" || node.kind == "PERMUTE"
        if node.name.hasPrefix("kq-") || node.name.hasPrefix("kq_soft_max-")
            || (isView && node.name.hasPrefix("cache_v_l"))
        {
            #expect(shape.ne0 == 256)
            shape.ne0 = positions
        } else if isView, node.name.hasPrefix("cache_k_l") {
            if node.kind == "VIEW" { shape.ne2 = positions } else { shape.ne1 = positions }
        }
        return shape
    }

    /// Equal to as many digits as the table has; sums, which cancel, relative to what they are made of.
    private func expectSame(
        _ ours: Measurer.Measured, _ expected: GoldenNodes.Node, count: Int, digits: Int, _ label: String
    ) {
        var unit = 6.0
        for _ in 0..<digits { unit /= 10 }
        let counts = Double(ours.node.layout.shape.count) / Double(count)
        let rms = ours.moments.rms * counts.squareRoot()
        #expect(abs(rms - expected.rms) <= unit * expected.rms, "rms of \(label): \(rms), expected \(expected.rms)")
        let tolerance = unit * (abs(expected.sum) + expected.rms * Double(count).squareRoot() * 10)
        #expect(
            abs(ours.moments.sum - expected.sum) <= tolerance,
            "sum of \(label): \(ours.moments.sum), expected \(expected.sum)")
        let padding: Float? = counts < 1 ? 0 : nil
        for (found, extreme) in [
            (min(ours.range.low, padding ?? ours.range.low), expected.minimum),
            (max(ours.range.high, padding ?? ours.range.high), expected.maximum),
        ] {
            #expect(abs(Double(found) - extreme) <= unit * abs(extreme), "\(label): \(found), expected \(extreme)")
        }
    }
}
