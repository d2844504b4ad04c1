import ComputeGraph
import Quantization
import Tensors

/// Statistics of a pass's nodes as they are evaluated, while their values are still in the processor's cache.
///
/// This is what the recorder does on the thread that computes, for each node: what depends on the graph alone is
/// looked up once.
struct PassStatistics {
    private var sources: [Source] = []
    private(set) var byNode: [Statistics] = []
    /// Of nodes whose values come in parts, until the last has.
    private var unfinished: [Int: StatisticsSums] = [:]
    /// What all passes of the run have written into each cache so far.
    private var written: [Statistics?] = []
    /// The index of each cache in `written`, by the leaf's name.
    private var caches: [String: Int] = [:]

    /// What a node's statistics are of.
    private struct Source {
        enum Values {
            case computed
            case written
            /// Those of a node, or of another part of the same memory.
            case viewed(node: Int?)
        }

        let values: Values
        /// The cache it shows or writes to.
        let cache: Int?
        /// Cells of that cache, in values.
        let capacity: Int
    }

    /// - Parameter isAlike: whether the graph has the same nodes as the one before, whatever their shapes.
    mutating func begin(_ graph: Graph, isAlike: Bool) {
        byNode = []
        byNode.reserveCapacity(graph.nodes.count)
        guard !isAlike else { return }
        sources = graph.nodes.map { node in
            switch node.output.memory {
            case .fresh: return Source(values: .computed, cache: nil, capacity: 0)
            case .inPlace(let slot): return source(.written, graph.leaf(behind: node.inputs[slot]))
            case .view(let slot, _):
                let viewed: Int? = if case .node(let index) = node.inputs[slot] { index } else { nil }
                return source(.viewed(node: viewed), graph.leaf(behind: node.inputs[slot]))
            }
        }
    }

    private mutating func source(_ values: Source.Values, _ leaf: Leaf?) -> Source {
        guard let leaf, leaf.role == .cache else { return Source(values: values, cache: nil, capacity: 0) }
        let index = caches[leaf.name] ?? written.count
        if index == written.count {
            caches[leaf.name] = index
            written.append(nil)
        }
        return Source(values: values, cache: index, capacity: leaf.layout.shape.count)
    }

    /// - Precondition: nodes come in order, each once, or in parts of which the last does.
    mutating func add(_ evaluation: Evaluation) {
        if evaluation.part != nil, !addPart(evaluation) { return }
        precondition(evaluation.node.index == byNode.count, "node \(evaluation.node.index) after \(byNode.count) nodes")
        byNode.append(statistics(of: evaluation, sources[byNode.count]))
    }

    /// - Returns: whether it was the last.
    private mutating func addPart(_ evaluation: Evaluation) -> Bool {
        evaluation.output.withElements(of: Float.self) {
            unfinished[evaluation.node.index, default: StatisticsSums()].add($0)
        }
        return evaluation.isLast
    }

    private mutating func statistics(of evaluation: Evaluation, _ source: Source) -> Statistics {
        switch source.values {
        case .computed:
            if let sums = unfinished.removeValue(forKey: evaluation.node.index) { return Statistics(sums) }
            return Self.statistics(of: evaluation.output)
        case .written:
            // Of what was written; the rest of the cache is no news.
            let news = Statistics(Self.encoder.encode(evaluation.inputs[0]).floats())
            if let cache = source.cache { written[cache] = written[cache]?.merged(with: news) ?? news }
            return news
        case .viewed(let node):
            let count = evaluation.node.layout.shape.count
            if let node, byNode[node].count == count { return byNode[node] }
            if let cache = source.cache {
                // Cells that no pass has filled yet are no data, and all others are what was written, whether the view
                // is of the whole cache or of the positions that are attended to.
                let written = written[cache] ?? Statistics([])
                if count == source.capacity || count == written.count { return written }
            }
            return Self.statistics(of: evaluation.output)
        }
    }

    /// Floats that lie together, as nearly all do, are read where they are.
    private static func statistics(of tensor: Tensor) -> Statistics {
        guard tensor.type == .f32, tensor.layout.isContiguous else { return Statistics(tensor.floats()) }
        return tensor.withElements(of: Float.self) { Statistics($0) }
    }

    /// Converts floats to what the cache has of them.
    private static let encoder = ActivationEncoder(BlockFormats.activationFormat(for: .f16)!, on: .best)
}
