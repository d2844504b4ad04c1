import ComputeGraph
import LlamaModel
import Recording
import Tensors

/// The changes of a run on their way through its passes; with a parent, only what depends on them is computed.
///
/// Which nodes do is followed along the graph and, through the cache, into later passes. All others have the values that
/// the parent recorded, if it captured them in full; what it did not is computed as ever. So the run is the same to the
/// bit with a parent and without.
public struct ChangedRun: Sendable {
    /// The parent's and the ones that were added.
    public let interventions: Interventions
    /// Operations that were evaluated: of those with values of their own, all that have none from the parent.
    public private(set) var computed = 0
    /// Operations that have their value from the parent.
    public private(set) var recalled = 0

    private let added: Interventions
    private let parent: (replay: Replay, store: TraceStore)?
    /// Leaves that differ from the parent's, by name; what counts in later passes are the caches.
    private var reached: Set<String> = []

    public init(_ interventions: Interventions) {
        (self.interventions, added, parent) = (interventions, interventions, nil)
    }

    /// The parent's run with changes added to its own.
    public init(adding added: Interventions, to parent: Replay, in store: TraceStore) throws {
        interventions = try Interventions(parent.interventions.records + added.records)
        self.added = added
        self.parent = (parent, store)
    }

    /// Puts the changes into a pass; call for each pass in order, before it is evaluated.
    public mutating func prepare(_ pass: inout Pass, step: Int) throws {
        guard !interventions.isEmpty || parent != nil else { return }
        let graph = pass.interpreter.graph
        let own = graph.nodes.filter { $0.output.memory == .fresh }.count
        if !interventions.isEmpty { pass.interpreter.edits = try interventions.edits(in: graph, step: step) }
        guard let (replay, store) = parent else {
            computed += own
            return
        }
        let changed = graph.leaves.filter { isChanged($0, step, pass.tokens, replay) }.map(\.name)
        let (nodes, leaves) = graph.dependents(
            ofNodes: Set(try added.edits(in: graph, step: step).keys), leaves: Set(changed))
        reached = leaves

        var known = try store.wholeTensors(of: replay.run, step: step)
        known = known.filter { seq, operation in
            seq < graph.nodes.count && !nodes.contains(seq) && operation.name == graph.nodes[seq].name
                && operation.shape == graph.nodes[seq].layout.shape
        }
        recalled += known.count
        computed += own - known.count
        guard !known.isEmpty else { return }
        // The parent's values have its changes already; a factor must not be applied twice.
        for node in known.keys { pass.interpreter.edits[node] = nil }
        let operations = known
        pass.interpreter.recall = { node in try operations[node.index].map { try store.tensor(of: $0) } }
    }

    private func isChanged(_ leaf: Leaf, _ step: Int, _ tokens: [Int], _ replay: Replay) -> Bool {
        switch leaf.role {
        case .weight: added.changedWeights.contains(leaf.name)
        case .cache: reached.contains(leaf.name)
        // Positions, masks and cache indices follow from the number of tokens, which is the same at a step.
        case .input:
            leaf.holdsTokens && !(replay.tokens.indices.contains(step) && replay.tokens[step] == tokens)
        }
    }
}
