import ComputeGraph
import Operations
import Tensors

/// Operations that are timed together: one kind with operands of one type.
public struct OperationGroup: Hashable, Sendable {
    public let kind: String
    /// The weight's or cache's type; `nil` for an operation between activations.
    public let type: TensorType?
    /// Where that operand lies: `.weight` or `.cache`.
    public let role: Leaf.Role?

    public init(_ node: Node, in graph: Graph) {
        kind = node.kind
        let leaves = node.inputs.compactMap(graph.leaf(behind:))
        let operand = leaves.first { $0.role == .weight } ?? leaves.first { $0.role == .cache }
        type = operand?.layout.type
        role = operand?.role
    }

    /// The nodes of a fusion together, as one with the cache.
    init(_ fused: FusedEvaluation, in graph: Graph) {
        kind = Swift.type(of: fused.fusion).kind
        let leaves = graph.nodes[fused.nodes.lowerBound].inputs.compactMap(graph.leaf(behind:))
        let operand = leaves.first { $0.role == .cache }
        type = operand?.layout.type
        role = operand?.role
    }

    public init(_ evaluation: Evaluation, in graph: Graph) {
        if let fused = evaluation.fused {
            self.init(fused, in: graph)
        } else {
            self.init(evaluation.node, in: graph)
        }
    }
}

/// Sums up the time, operations and bytes of each group over passes.
public final class OperationTimes: ExecutionObserver {
    /// All of one group, over all passes.
    public struct Total: Sendable {
        public private(set) var nodes = 0
        public private(set) var nanoseconds = 0
        public private(set) var cost = Cost.none

        package init() {}

        package mutating func add(_ cost: Cost, nanoseconds: Int, nodes: Int = 1) {
            self.nodes += nodes
            self.nanoseconds += nanoseconds
            self.cost.operations += cost.operations
            self.cost.bytesRead += cost.bytesRead
            self.cost.bytesWritten += cost.bytesWritten
        }
    }

    public private(set) var totals: [OperationGroup: Total] = [:]
    public private(set) var passes = 0
    /// Of the pass at hand, by node; of nodes that were evaluated as one, the last has it.
    private var nanoseconds: [Int] = []
    private var fused: [(evaluation: FusedEvaluation, cost: Cost)] = []

    public var takesParts: Bool { true }
    public var looksAtScores: Bool { false }
    public var looksAtViews: Bool { false }

    public init() {}

    /// As little as can be: it takes place while the pass is being timed.
    public func didEvaluate(_ evaluation: Evaluation) {
        let index = evaluation.node.index
        while nanoseconds.count <= index { nanoseconds.append(0) }
        nanoseconds[index] += evaluation.nanoseconds
        if let fused = evaluation.fused { self.fused.append((fused, evaluation.cost)) }
    }

    /// Counts a finished pass, which this object observed.
    public func add(_ graph: Graph) {
        while nanoseconds.count < graph.nodes.count { nanoseconds.append(0) }
        precondition(nanoseconds.count == graph.nodes.count, "\(nanoseconds.count) times, \(graph.nodes.count) nodes")
        var next = 0
        for (evaluation, cost) in fused {
            addNodes(next..<evaluation.nodes.lowerBound, of: graph)
            next = evaluation.nodes.upperBound
            totals[OperationGroup(evaluation, in: graph), default: Total()].add(
                cost, nanoseconds: nanoseconds[next - 1], nodes: evaluation.nodes.count)
        }
        addNodes(next..<graph.nodes.count, of: graph)
        nanoseconds.removeAll(keepingCapacity: true)
        fused.removeAll(keepingCapacity: true)
        passes += 1
    }

    private func addNodes(_ nodes: Range<Int>, of graph: Graph) {
        for node in graph.nodes[nodes] {
            totals[OperationGroup(node, in: graph), default: Total()].add(
                graph.cost(of: node), nanoseconds: nanoseconds[node.index])
        }
    }
}

extension Graph {
    /// Bytes of weights that one pass reads, each weight once; of a table of rows only those that are picked, and of
    /// experts only as many as can be chosen: of one token just those, of a prompt at most those.
    public var weightBytes: Int {
        var whole: Set<Int> = []
        var picked = 0
        for node in nodes {
            for case .leaf(let index) in node.inputs where leaves[index].role == .weight {
                if node.operation is GetRows {
                    picked += node.layout.shape.rows * leaves[index].layout.rowBytes
                } else if node.operation is MatMulID {
                    let (stored, chosen) = (leaves[index].layout.shape.ne2, layout(of: node.inputs[2]).shape.count)
                    picked += leaves[index].layout.byteCount / max(1, stored) * min(stored, chosen)
                } else {
                    whole.insert(index)
                }
            }
        }
        return picked + whole.reduce(0) { $0 + leaves[$1].layout.byteCount }
    }
}
