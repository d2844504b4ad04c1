import ComputeGraph
import Tensors

/// Statistics of a pass's nodes as they are evaluated, while their values are still in the processor's cache.
struct PassStatistics {
    private var graph = Graph(leaves: [], nodes: [])
    private var byNode: [Statistics] = []
    /// What all passes of the run have written into each cache so far, by the leaf's name.
    private var written: [String: Statistics] = [:]

    mutating func begin(_ graph: Graph) {
        self.graph = graph
        byNode.removeAll(keepingCapacity: true)
    }

    /// - Precondition: nodes come in order, each once.
    mutating func add(_ evaluation: Evaluation) -> Statistics {
        precondition(evaluation.node.index == byNode.count, "node \(evaluation.node.index) after \(byNode.count) nodes")
        let statistics = statistics(of: evaluation)
        byNode.append(statistics)
        return statistics
    }

    private mutating func statistics(of evaluation: Evaluation) -> Statistics {
        let node = evaluation.node
        switch node.output.memory {
        case .fresh: return Self.statistics(of: evaluation.output)
        case .inPlace(let slot):
            // Of what was written; the rest of the cache is no news.
            let news = Statistics(evaluation.inputs[0].floats().map { Half.float(f16: Half.f16($0)) })
            if let cache = graph.leaf(behind: node.inputs[slot])?.name {
                written[cache] = written[cache]?.merged(with: news) ?? news
            }
            return news
        case .view(let slot, _):
            let count = node.layout.shape.count
            if case .node(let source) = node.inputs[slot], byNode[source].count == count { return byNode[source] }
            if let cache = graph.leaf(behind: node.inputs[slot]), cache.role == .cache {
                // Cells that no pass has filled yet are no data, and all others are what was written, whether the view
                // is of the whole cache or of the positions that are attended to.
                let written = written[cache.name] ?? Statistics([])
                if count == cache.layout.shape.count || count == written.count { return written }
            }
            return Self.statistics(of: evaluation.output)
        }
    }

    /// Floats that lie together, as nearly all do, are read where they are.
    private static func statistics(of tensor: Tensor) -> Statistics {
        guard tensor.type == .f32, tensor.layout.isContiguous else { return Statistics(tensor.floats()) }
        return tensor.withBytes { $0.withElements(of: Float.self) { Statistics($0) } }
    }
}
