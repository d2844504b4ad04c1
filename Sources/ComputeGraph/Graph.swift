import Tensors

/// Where an operation's input comes from.
public enum Source: Hashable, Sendable {
    /// The output of a node, by its index in the graph's order.
    case node(Int)
    /// A weight, an input of the run, or the memory of the cache.
    case leaf(Int)
}

/// A tensor that the graph does not compute.
public struct Leaf: Sendable {
    public enum Role: Sendable, Hashable {
        case weight, input, cache
    }

    public let name: String
    public let layout: Layout
    public let role: Role

    package init(name: String, layout: Layout, role: Role) {
        (self.name, self.layout, self.role) = (name, layout, role)
    }
}

/// One evaluated step. Graphs of one shape share most of theirs, and each evaluation refers to one.
public final class Node: Sendable {
    /// Index in the order of evaluation, from 0.
    public let index: Int
    /// llama.cpp's name, such as `Qcur-0`. Not unique: a layer has three nodes called so.
    public let name: String
    /// What its value is in the network.
    public let role: NodeRole
    /// The layer it belongs to; `nil` for embedding and output head.
    public let layer: Int?
    public let operation: any Operation
    public let inputs: [Source]
    public let output: Output
    /// The output's dimension that counts the tokens of the pass.
    public let tokenDimension: Int
    public var layout: Layout { output.layout }
    /// Whether it changes the memory of an input: the cache.
    public var isWrite: Bool { if case .inPlace = output.memory { true } else { false } }
    public var kind: String { operation.kind }

    /// The same node at another index, with other inputs of the same layouts.
    package func moved(to index: Int, inputs: [Source]) -> Node {
        Node(
            index: index, name: name, role: role, layer: layer, operation: operation, inputs: inputs, output: output,
            tokenDimension: tokenDimension)
    }

    /// The same node with another operation, and another layout of what it makes.
    func with(_ operation: any Operation, _ output: Output) -> Node {
        Node(
            index: index, name: name, role: role, layer: layer, operation: operation, inputs: inputs, output: output,
            tokenDimension: tokenDimension)
    }

    init(
        index: Int, name: String, role: NodeRole, layer: Int?, operation: any Operation, inputs: [Source],
        output: Output, tokenDimension: Int
    ) {
        self.index = index
        self.name = name
        self.role = role
        self.layer = layer
        self.operation = operation
        self.inputs = inputs
        self.output = output
        self.tokenDimension = tokenDimension
    }
}

/// Nodes in order of evaluation: every source of a node comes before it.
public struct Graph: Sendable {
    public let leaves: [Leaf]
    public let nodes: [Node]
    /// Who reads what: the same for all graphs of one shape.
    let readers: Readers
    /// What can be evaluated as one, in order.
    let fused: [FusedNodes]
    /// By node, the later ones that are evaluated with it.
    let joined: [[Int]]

    package init(leaves: [Leaf], nodes: [Node]) {
        let readers = Readers(leaves: leaves.count, nodes)
        self.init(
            leaves: leaves, nodes: nodes, readers: readers, fused: Self.fusedNodes(nodes, readers),
            joined: Self.joinedNodes(leaves, nodes, readers))
    }

    private init(leaves: [Leaf], nodes: [Node], readers: Readers, fused: [FusedNodes], joined: [[Int]]) {
        self.leaves = leaves
        self.nodes = nodes
        self.readers = readers
        self.fused = fused
        self.joined = joined
    }

    /// Other nodes that read the same, and other leaves.
    func with(leaves: [Leaf], nodes: [Node]) -> Graph {
        Graph(leaves: leaves, nodes: nodes, readers: readers, fused: fused, joined: joined)
    }

    public func name(of source: Source) -> String {
        switch source {
        case .node(let index): nodes[index].name
        case .leaf(let index): leaves[index].name
        }
    }

    public func layout(of source: Source) -> Layout {
        switch source {
        case .node(let index): nodes[index].layout
        case .leaf(let index): leaves[index].layout
        }
    }

    public func cost(of node: Node) -> Cost {
        node.operation.cost(inputs: node.inputs.map(layout(of:)), output: node.layout)
    }

    /// The nodes before `start` whose values are read from there on, in order.
    public func values(readFrom start: Int) -> [Int] {
        var found: Set<Int> = []
        for node in nodes[start...] {
            for case .node(let index) in node.inputs where index < start { found.insert(index) }
        }
        return found.sorted()
    }

    /// The first node that reads one of these leaves; `nil` if none does.
    public func firstReader(of names: Set<String>) -> Int? {
        leaves.indices.filter { names.contains(leaves[$0].name) }.flatMap { readers.ofLeaves[$0] }.min()
    }

    /// The same nodes in the same order, with other operations or other leaves.
    ///
    /// - Parameters:
    ///   - leaves: the leaves of the new graph, which the new inputs refer to.
    ///   - change: the operation and the inputs of a node. The output's layout must be what it was.
    public func rebuilt(
        leaves: [Leaf], _ change: (Node) -> (operation: any Operation, inputs: [Source])
    ) -> Graph {
        Graph(
            leaves: leaves,
            nodes: nodes.map { node in
                let (operation, inputs) = change(node)
                return Node(
                    index: node.index, name: node.name, role: node.role, layer: node.layer, operation: operation,
                    inputs: inputs, output: node.output, tokenDimension: node.tokenDimension)
            })
    }

    /// The same nodes under the same names and in the same roles, with other operations at some indices and other
    /// layouts of some leaves. What follows from these is derived anew; all else is kept, which is quicker than to
    /// build a graph.
    ///
    /// - Throws: `GraphError` if inputs no longer fit.
    public func replacing(
        operations: [Int: any Operation], layouts: [Int: Layout]
    ) throws(GraphError) -> Graph {
        var (leaves, nodes) = (leaves, nodes)
        var isAffected = [Bool](repeating: false, count: nodes.count)
        for index in operations.keys { isAffected[index] = true }
        for (index, layout) in layouts {
            leaves[index] = Leaf(name: leaves[index].name, layout: layout, role: leaves[index].role)
            for reader in readers.ofLeaves[index] { isAffected[reader] = true }
        }
        // Readers come after what they read.
        for index in nodes.indices where isAffected[index] {
            let node = nodes[index]
            let operation = operations[index] ?? node.operation
            let inputs = node.inputs.map { source in
                switch source {
                case .node(let index): nodes[index].layout
                case .leaf(let index): leaves[index].layout
                }
            }
            let output = try operation.output(for: inputs)
            if output.layout != node.layout {
                for reader in readers.ofNodes[index] { isAffected[reader] = true }
            }
            nodes[index] = node.with(operation, output)
        }
        let isFusedAlike = operations.keys.allSatisfy { index in fused.allSatisfy { !$0.nodes.contains(index) } }
        // Only what reads weights is joined.
        let isJoinedAlike = nodes.indices.allSatisfy { index in
            guard isAffected[index], case .leaf(let leaf)? = nodes[index].inputs.first else { return true }
            return leaves[leaf].role != .weight
        }
        return Graph(
            leaves: leaves, nodes: nodes, readers: readers,
            fused: isFusedAlike ? fused : Self.fusedNodes(nodes, readers),
            joined: isJoinedAlike ? joined : Self.joinedNodes(leaves, nodes, readers))
    }
}

/// The nodes that read each leaf and each node, in order.
struct Readers: Sendable {
    private(set) var ofLeaves: [[Int]]
    private(set) var ofNodes: [[Int]]
    /// By node, those it reads that no later one reads.
    private(set) var lastReads: [[Int]]

    init(leaves: Int, _ nodes: [Node]) {
        ofLeaves = Array(repeating: [], count: leaves)
        // Of a part of a graph, nodes keep their indices.
        ofNodes = Array(repeating: [], count: (nodes.last?.index ?? -1) + 1)
        lastReads = ofNodes
        for node in nodes {
            for input in node.inputs {
                switch input {
                case .leaf(let index): ofLeaves[index].append(node.index)
                case .node(let index): ofNodes[index].append(node.index)
                }
            }
        }
        for (index, readers) in ofNodes.enumerated() {
            if let last = readers.last { lastReads[last].append(index) }
        }
    }
}
