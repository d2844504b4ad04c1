import ComputeGraph
import LlamaModel
import Measuring
import TestSupport
import Testing

/// What an analysis declares that it needs, and how it refuses a network that lacks it.
@Suite struct AnalysisTests {
    @Test(arguments: [
        (ErrorPropagation.analysis, NodeRole.Part.embedding), (ErrorPropagation.analysis, .logits),
        (Sensitivity.analysis, .logits),
    ])
    func aNetworkWithoutAPartIsRefusedByName(analysis: Analysis, part: NodeRole.Part) throws {
        let model = try TinyModel.gqa.load()
        let whole = try LlamaGraph(model, tokens: [0], cache: KVCache(model.configuration, capacity: 1)).graph
        try analysis.check(whole, of: "llama")
        let cut = Graph(leaves: whole.leaves, nodes: whole.nodes.filter { $0.role.result != part })
        let error = #expect(throws: AnalysisProblem.self) { try analysis.check(cut, of: "other") }
        let words = "\(analysis.name) needs the part '\(part.rawValue)'; other has no '\(part.rawValue)'."
        #expect(try #require(error).description == words)
    }
}
