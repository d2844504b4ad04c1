import ComputeGraph
import GRDB
import Tensors

/// The part of a graph that passes share, as tables `graph_op` and `graph_input` have it.
///
/// A graph made for N positions also stands for passes that attend to more: extents that grew by one with N are N, and
/// costs grow evenly.
struct RecordedGraph: Sendable {
    let id: Int
    let graph: Graph
    /// The same graph with one position more, or itself if it is for one pass only.
    private let grown: Graph
    private let attended: Int
    private let tokens: Int

    init(id: Int, graph: Graph, grown: Graph, attended: Int, tokens: Int) {
        (self.id, self.graph, self.grown, self.attended, self.tokens) = (id, graph, grown, attended, tokens)
    }

    /// Whether a pass with this graph is told by these rows and its own N.
    func describes(_ other: Graph, attended: Int, tokens: Int) -> Bool {
        guard tokens == self.tokens, other.nodes.count == graph.nodes.count else { return false }
        return graph.nodes.indices.allSatisfy { index in
            let (node, candidate) = (graph.nodes[index], other.nodes[index])
            if node === candidate, node === grown.nodes[index] { return true }
            let (shape, next) = (node.layout.shape, grown.nodes[index].layout.shape)
            return node.name == candidate.name && node.kind == candidate.kind && node.inputs == candidate.inputs
                && node.layout.type == candidate.layout.type
                && (0..<4).allSatisfy {
                    candidate.layout.shape[$0] == (shape[$0] == next[$0] ? shape[$0] : attended)
                }
        }
    }

    /// Whether all that grows with N does so as the rows can tell.
    var growsEvenly: Bool {
        graph.nodes.indices.allSatisfy { index in
            grows(graph.nodes[index].layout.shape, grown.nodes[index].layout.shape)
        } && graph.leaves.indices.allSatisfy { grows(graph.leaves[$0].layout.shape, grown.leaves[$0].layout.shape) }
    }

    private func grows(_ shape: Shape, _ next: Shape) -> Bool {
        (0..<4).allSatisfy { shape[$0] == next[$0] || (shape[$0] == attended && next[$0] == attended + 1) }
    }

    func write(weightIDs: [String: Int], _ db: Database) throws {
        try db.execute(sql: "INSERT INTO graph VALUES (?, ?)", arguments: [id, graph.nodes.count])
        try GraphOperationRow.insert(graph.nodes.map(operationRow), db)
        try GraphInputRow.insert(
            graph.nodes.flatMap { node in
                node.inputs.enumerated().map { slot, source in inputRow(node.index, slot, source, weightIDs) }
            }, db)
    }

    private func operationRow(_ node: Node) -> GraphOperationRow {
        let next = grown.nodes[node.index]
        let cost = graph.cost(of: node)
        let later = grown.cost(of: next)
        let each = Cost(
            operations: later.operations - cost.operations, bytesRead: later.bytesRead - cost.bytesRead,
            bytesWritten: later.bytesWritten - cost.bytesWritten)
        return GraphOperationRow(
            graphID: id, node: node, extents: extents(node.layout.shape, next.layout.shape),
            fixed: Cost(
                operations: cost.operations - each.operations * attended,
                bytesRead: cost.bytesRead - each.bytesRead * attended,
                bytesWritten: cost.bytesWritten - each.bytesWritten * attended), each: each)
    }

    /// `nil` where it is N.
    private func extents(_ shape: Shape, _ next: Shape) -> [Int?] {
        (0..<4).map { shape[$0] == next[$0] ? shape[$0] : nil }
    }

    private func inputRow(_ seq: Int, _ slot: Int, _ source: Source, _ weightIDs: [String: Int]) -> GraphInputRow {
        let name = graph.name(of: source)
        let origin: GraphInputRow.Origin =
            switch source {
            case .node(let index): .operation(index)
            case .leaf(let index):
                weightIDs[name].flatMap { graph.leaves[index].role == .weight ? .weight($0) : nil } ?? .leaf
            }
        return GraphInputRow(
            graphID: id, seq: seq, slot: slot, origin: origin, name: name,
            extents: extents(graph.layout(of: source).shape, grown.layout(of: source).shape))
    }
}
