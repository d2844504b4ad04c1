import ComputeGraph
import Foundation
import LlamaModel
import TestSupport
import Testing
import Tracing

@Suite struct PassSummaryTests {
    /// The same numbers, from the tensors a pass kept.
    @Test(arguments: TinyModel.allCases, [[1, 5, 9, 7, 3], [4]])
    func numbersAreThoseOfTheTensors(model: TinyModel, tokens: [Int]) throws {
        final class Clock: ExecutionObserver {
            var nanoseconds: [Int?: Int] = [:]
            func didEvaluate(_ evaluation: Evaluation) {
                nanoseconds[evaluation.node.layer, default: 0] += evaluation.nanoseconds
            }
        }
        let llama = try model.load()
        let c = llama.configuration
        let (summary, clock) = (PassSummary(layers: c.layers), Clock())
        var pass = try Session(llama, positions: 8, threads: 1).pass(
            over: tokens, observers: [summary, clock], keepsValues: true)
        try pass.interpreter.run()
        let graph = pass.interpreter.graph

        func lastColumnRMS(_ name: String) throws -> Double {
            let index = graph.nodes.firstIndex { $0.name == name }
            let value = index.flatMap { pass.interpreter.value(of: .node($0)) }
            let column = try #require(value).floats().suffix(c.embedding)
            return (column.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(c.embedding)).squareRoot()
        }
        #expect(summary.operations == graph.nodes.count)
        #expect(summary.nanoseconds == clock.nanoseconds.values.reduce(0, +))
        #expect(abs(summary.embeddingRMS - (try lastColumnRMS("embd"))) < 1e-12)
        #expect(summary.layers.map(\.index) == Array(0..<c.layers))
        for layer in summary.layers {
            #expect(layer.nanoseconds == clock.nanoseconds[layer.index])
            #expect(abs(layer.residualRMS - (try lastColumnRMS("l_out-\(layer.index)"))) < 1e-12)
            #expect(layer.heads.count == c.heads)
            let node = try #require(graph.nodes.first { $0.name == "kq_soft_max-\(layer.index)" })
            let weights = try #require(pass.interpreter.value(of: .node(node.index))).floats()
            for (head, found) in layer.heads.enumerated() {
                let row = weights[
                    ((head + 1) * tokens.count - 1) * tokens.count..<(head + 1) * tokens.count * tokens.count]
                let entropy = row.filter { $0 > 0 }.reduce(0.0) { $0 - Double($1) * log2(Double($1)) }
                #expect(abs(found.entropyBits - entropy) < 1e-12)
                #expect(found.topWeight == row.max() && found.sinkWeight == row.first)
                #expect(found.topPosition == row.firstIndex(of: row.max()!)! - row.startIndex)
            }
        }
        #expect(Set(summary.layers.map(\.residualRMS)).count == c.layers)
    }
}
