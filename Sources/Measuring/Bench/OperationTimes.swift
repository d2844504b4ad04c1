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
}

/// Sums up the time, operations and bytes of each group over passes.
public final class OperationTimes: ExecutionObserver {
    /// All of one group, over all passes.
    public struct Total: Sendable {
        public private(set) var nodes = 0
        public private(set) var nanoseconds = 0
        public private(set) var cost = Cost.none

        package init() {}

        package mutating func add(_ cost: Cost, nanoseconds: Int) {
            nodes += 1
            self.nanoseconds += nanoseconds
            self.cost.operations += cost.operations
            self.cost.bytesRead += cost.bytesRead
            self.cost.bytesWritten += cost.bytesWritten
        }
    }

    public private(set) var totals: [OperationGroup: Total] = [:]
    public private(set) var passes = 0
    private var nanoseconds: [Int] = []

    public init() {}

    /// As little as can be: it takes place while the pass is being timed.
    public func didEvaluate(_ evaluation: Evaluation) { nanoseconds.append(evaluation.nanoseconds) }

    /// Counts a finished pass, which this object observed.
    public func add(_ graph: Graph) {
        precondition(nanoseconds.count == graph.nodes.count, "\(nanoseconds.count) times, \(graph.nodes.count) nodes")
        for (node, time) in zip(graph.nodes, nanoseconds) {
            totals[OperationGroup(node, in: graph), default: Total()].add(graph.cost(of: node), nanoseconds: time)
        }
        nanoseconds.removeAll(keepingCapacity: true)
        passes += 1
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
