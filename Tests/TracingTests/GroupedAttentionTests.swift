import ComputeGraph
import LlamaModel
import Measuring
import TestSupport
import Testing
import Tracing

@Suite struct GroupedAttentionTests {
    /// One layer without heads is enough: the map shows all of them.
    @Test(arguments: [NodeRole.Part.key, .pattern])
    func aLayerWithoutHeadsIsRefusedByName(part: NodeRole.Part) throws {
        let model = try TinyModel.gqa.load()
        let whole = try LlamaGraph(model, tokens: [0], cache: KVCache(model.configuration, capacity: 1)).graph
        try GroupedAttention.analysis.check(whole, of: "llama")
        let cut = Graph(
            leaves: whole.leaves, nodes: whole.nodes.filter { $0.role.result != part || $0.layer != 1 })
        let error = #expect(throws: AnalysisProblem.self) { try GroupedAttention.analysis.check(cut, of: "other") }
        let words = "gqa map needs the part '\(part.rawValue)'; other has no '\(part.rawValue)' in layer 1."
        #expect(try #require(error).description == words)
    }
}
