import Tensors

/// How several nodes, of which each but the last is read by the next alone, are evaluated as one where nobody looks at
/// what is between: the last one's bits are the same.
public protocol Fusion: Sendable {
    /// What it is called where time is counted.
    static var kind: String { get }

    /// Which of the inputs is one that many chains of a graph read, and that something is made of beforehand.
    var sharedInput: Int { get }

    /// What is made of it, once for all that read it; `nil` if nodes must be evaluated one by one.
    func prepare(_ shared: Tensor, on workers: Workers) -> Tensor?

    /// Computes all of `output`.
    ///
    /// - Parameters:
    ///   - inputs: what the nodes read that none of them makes, node after node.
    ///   - prepared: what `prepare` made.
    /// - Returns: whether it did; if not, nodes must be evaluated one by one.
    func evaluate(_ inputs: [Tensor], prepared: Tensor, into output: Tensor, on workers: Workers) -> Bool

    /// What one evaluation costs: what is computed, not what the nodes would on their own.
    func cost(inputs: [Layout], output: Layout) -> Cost
}

/// Nodes of a graph that can be evaluated as one.
public struct FusedNodes: Sendable {
    public let nodes: Range<Int>
    /// What they read that none of them makes, node after node.
    public let inputs: [Source]
    public let fusion: any Fusion
}

extension Graph {
    /// The chains from scores of several tokens to the mix that can be evaluated as one, in order.
    static func fusedNodes(_ nodes: [Node], _ readers: Readers) -> [FusedNodes] {
        var found: [FusedNodes] = []
        for start in nodes.indices where nodes[start].role.part == .scores && nodes[start].layout.shape.ne1 > 1 {
            let chain = start..<start + 3
            guard chain.upperBound <= nodes.count, chain.allSatisfy({ nodes[$0].index == $0 }),
                nodes[start + 1].role.result == .pattern, nodes[start + 2].role.part == .mix,
                (start..<start + 2).allSatisfy({ readers.ofNodes[$0] == [$0 + 1] }),
                let fusion = nodes[start + 2].operation.fusion(after: nodes[start..<start + 2].map(\.operation))
            else { continue }
            let inputs = nodes[chain].flatMap(\.inputs).filter { $0 != .node(start) && $0 != .node(start + 1) }
            found.append(FusedNodes(nodes: chain, inputs: inputs, fusion: fusion))
        }
        return found
    }
}

/// What is known of nodes that were evaluated as one.
public final class FusedEvaluation: Sendable {
    /// The last is the node whose value there is.
    public let nodes: Range<Int>
    public let fusion: any Fusion
    public let prepared: Tensor
    private let graph: Graph
    private let values: [Source: Tensor]
    private let workers: Workers

    fileprivate init(_ fused: FusedNodes, prepared: Tensor, _ interpreter: Interpreter, inputs: [Tensor]) {
        (nodes, fusion, self.prepared) = (fused.nodes, fused.fusion, prepared)
        (graph, workers) = (interpreter.graph, interpreter.workers)
        values = Dictionary(zip(fused.inputs, inputs)) { first, _ in first }
    }

    /// Some rows of what the node before the last would have made: the pattern of a head for some tokens, several of
    /// them, for one alone would be added up in another order.
    public func valueBeforeLast(_ part: OutputPart) -> (node: Node, value: Tensor) {
        precondition(part.rows.count > 1, "one row of \(nodes)")
        let chain = PartChain(nodes: nodes.dropLast(), parts: [part], isPutTogether: false)
        let evaluation = graph.evaluate(part, of: chain, into: nil, on: workers) { values[$0]! }.last!
        return (evaluation.node, evaluation.output)
    }
}

extension Interpreter {
    /// The nodes at hand evaluated as one, if they can be and nobody looks at what is between.
    ///
    /// - Returns: whether they were.
    mutating func evaluateFused(until end: Int) throws -> Bool {
        while nextFused < graph.fused.count, graph.fused[nextFused].nodes.lowerBound < position { nextFused += 1 }
        guard nextFused < graph.fused.count, graph.fused[nextFused].nodes.lowerBound == position else { return false }
        let fused = graph.fused[nextFused]
        nextFused += 1
        guard fused.nodes.upperBound <= end, recall == nil, fused.nodes.allSatisfy({ edits[$0]?.isEmpty ?? true })
        else { return false }
        let (node, inputs) = (graph.nodes[fused.nodes.upperBound - 1], fused.inputs.map { value(of: $0)! })
        let shared = fused.inputs[fused.fusion.sharedInput]
        if preparedInputs[shared] == nil {
            let value = inputs[fused.fusion.sharedInput]
            preparedInputs[shared] = .some(fused.fusion.prepare(value, on: workers))
        }
        guard let prepared = preparedInputs[shared]! else { return false }
        let output = Tensor.unwritten(node.layout.type, node.layout.shape)
        var isDone = false
        let nanoseconds = timed {
            isDone = fused.fusion.evaluate(inputs, prepared: prepared, into: output, on: workers)
        }
        guard isDone else { return false }
        values[node.index] = output
        let evaluation = Evaluation(
            node: node, inputs: inputs, output: output, nanoseconds: nanoseconds,
            fused: FusedEvaluation(fused, prepared: prepared, self, inputs: inputs))
        pass(fused.nodes)
        try show(evaluation)
        return true
    }
}
