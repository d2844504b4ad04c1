import ComputeGraph
import GGUF
import LlamaModel
import TestSupport
import Testing

/// What the nodes of a graph say they are.
@Suite struct RoleTests {
    static let models = ArchitectureFixture.all.map(\.path) + TinyModel.allCases.map(\.path)
    private static let everyLayer: Set<NodeRole.Part> = [
        .query, .key, .keyCache, .scores, .pattern, .mix, .attentionWrite, .attentionResidual,
        .feedForwardWrite, .layerOutput,
    ]
    /// Of a layer with experts, and of one without.
    private static let sparse: Set<NodeRole.Part> = [
        .routerScores, .routerProbabilities, .routerChoice, .expertWeights, .expertGate, .expertUp, .expertActivation,
        .expertOutput,
    ]
    private static let dense: Set<NodeRole.Part> = [.gate, .up, .activation]
    /// Of a layer with a latent vector, and of one without.
    private static let values: Set<NodeRole.Part> = [.value, .valueCache]

    @Test(arguments: models)
    func eachLayerHasOneResultOfAPart(path: String) throws {
        let model = try Llama(file: GGUFFile(path: path))
        let session = try Session(model, positions: 8, threads: 1)
        let nodes = try session.pass(over: [1, 2, 3]).interpreter.graph.nodes
        for layer in [nil] + (0..<model.configuration.layers).map(Optional.some) {
            let results = nodes.filter { $0.layer == layer }.compactMap(\.role.result)
            #expect(Set(results).count == results.count, "layer \(layer ?? -1): \(results)")
            let isPacked = layer.map { model.configuration.perLayer[$0].latent != nil } ?? false
            let values: Set<NodeRole.Part> = isPacked ? [.latent] : Self.values
            let kind = results.contains(.routerScores) ? Self.sparse : Self.dense
            let expected = layer == nil ? [.embedding, .finalNorm, .logits] : Self.everyLayer.union(kind).union(values)
            #expect(
                Set(results).isSuperset(of: expected), "layer \(layer ?? -1) lacks \(expected.subtracting(results))")
        }
    }

    /// The sums of the stream add what the parts before them write.
    @Test(arguments: models)
    func theStreamIsTheSumOfTheWrites(path: String) throws {
        let model = try Llama(file: GGUFFile(path: path))
        let graph = try Session(model, positions: 8, threads: 1).pass(over: [1, 2, 3]).interpreter.graph
        func node(_ source: Source) -> Node? {
            guard case .node(let index) = source else { return nil }
            let node = graph.nodes[index]
            return node.role.step == .rows && node.layer != nil ? self.source(of: node, in: graph) : node
        }
        for sum in graph.nodes where [.attentionResidual, .layerOutput].contains(sum.role.result) {
            let terms = Set(sum.inputs.compactMap { node($0)?.role.result })
            let expected: Set<NodeRole.Part> =
                sum.role.part == .layerOutput
                ? [.feedForwardWrite, .attentionResidual]
                : [.attentionWrite, sum.layer == 0 ? .embedding : .layerOutput]
            #expect(terms == expected, "\(sum.name)")
        }
    }

    private func source(of rows: Node, in graph: Graph) -> Node? {
        if case .node(let index) = rows.inputs[0] { graph.nodes[index] } else { nil }
    }
}
