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

    /// Side by side, attention and feed-forward network are added at once; gates are fused with what they let through, or
    /// there is none; weights are made of the chosen experts' scores alone.
    private static let missing: [String: Set<NodeRole.Part>] = [
        "command-r": [.attentionResidual], "phi3": [.gate], "starcoder2": [.gate], "gpt-oss": [.routerProbabilities],
    ]

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
            var expected = layer == nil ? [.embedding, .finalNorm, .logits] : Self.everyLayer.union(kind).union(values)
            expected.subtract(Self.missing[model.configuration.architecture] ?? [])
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
            let inputs = sum.inputs.compactMap(node)
            let partial = inputs.first { $0.role == .init(.layerOutput, .partial) }
            let terms = Set((inputs + (partial?.inputs.compactMap(node) ?? [])).compactMap(\.role.result))
            let before: NodeRole.Part = sum.layer == 0 ? .embedding : .layerOutput
            let expected: Set<NodeRole.Part> =
                partial != nil
                ? [.feedForwardWrite, .attentionWrite, before]
                : sum.role.part == .layerOutput ? [.feedForwardWrite, .attentionResidual] : [.attentionWrite, before]
            #expect(terms == expected, "\(sum.name)")
        }
    }

    private func source(of rows: Node, in graph: Graph) -> Node? {
        if case .node(let index) = rows.inputs[0] { graph.nodes[index] } else { nil }
    }
}
