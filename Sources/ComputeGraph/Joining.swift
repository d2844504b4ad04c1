import Tensors

extension Graph {
    /// By node, the later ones that can be computed with it, as one job of the threads: products of a single token with
    /// weights of one type, such as those that make query, key and value. Of several tokens waiting costs nothing.
    static func joinedNodes(_ leaves: [Leaf], _ nodes: [Node], _ readers: Readers) -> [[Int]] {
        var joined = [[Int]](repeating: [], count: nodes.count)
        // Of a part of a graph, nodes keep their indices.
        guard nodes.last?.index == nodes.count - 1 else { return joined }
        /// What those that are joined have in common beside their input; `nil` of a node that is evaluated on its own.
        func kind(_ node: Node) -> [String]? {
            guard type(of: node.operation).isJoinable, node.output.memory == .fresh, node.layout.shape.rows == 1,
                case .leaf(let leaf) = node.inputs[0], leaves[leaf].role == .weight
            else { return nil }
            return [node.kind, leaves[leaf].layout.type.name]
        }
        for (source, readers) in readers.ofNodes.enumerated() where readers.count > 1 {
            let last = readers.filter { nodes[$0].inputs.last == .node(source) }
            for (kind, same) in Dictionary(grouping: last, by: { kind(nodes[$0]) }) where kind != nil {
                joined[same[0]] = Array(same.dropFirst())
            }
        }
        return joined
    }
}

extension Interpreter {
    /// The node at hand evaluated with the later ones that it can be joined with. When their turn comes their values are
    /// there, and took no time.
    ///
    /// - Returns: whether there were others.
    mutating func evaluateJoined(until end: Int) throws -> Bool {
        guard !graph.joined[position].isEmpty, edits.isEmpty, recall == nil else { return false }
        let nodes = ([position] + graph.joined[position]).filter { $0 < end }.map { graph.nodes[$0] }
        let inputs = nodes.map { node in node.inputs.map { value(of: $0)! } }
        let outputs = nodes.map { Tensor.unwritten($0.layout.type, $0.layout.shape) }
        let nanoseconds = timed { nodes[0].operation.evaluate(joined: inputs, into: outputs, on: workers) }
        for (node, output) in zip(nodes, outputs) { values[node.index] = output }
        let evaluation = Evaluation(node: nodes[0], inputs: inputs[0], output: outputs[0], nanoseconds: nanoseconds)
        pass(nodes[0].index..<nodes[0].index + 1)
        try show(evaluation)
        return true
    }
}
