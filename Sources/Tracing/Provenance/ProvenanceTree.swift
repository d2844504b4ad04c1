import ComputeGraph
import LlamaModel
import Operations
import Recording
import Tensors

/// Where an element comes from, followed backwards through the graph: at each operation the largest contributions.
public struct ProvenanceTree: Sendable {
    public enum Origin: Sendable {
        case operation(kind: String)
        case weight(StoredWeight)
        /// A token id, a position, a mask: given to the run.
        case input
        /// The cache as an earlier pass left it, at a position of the run.
        case cache(position: Int)
    }

    public let address: String
    public let value: Float
    public let origin: Origin
    /// What it adds to the element above; `nil` where the element above is no sum.
    public let contribution: Double?
    /// What it is multiplied by above, if that is a weight of the file.
    public let factor: StoredWeight?
    /// The same if it is an element of another tensor, followed in its turn.
    public let factorTree: [ProvenanceTree]
    public let children: [ProvenanceTree]
    /// Terms that are not among the children, and their sum; `nil` where all are.
    public let rest: (count: Int, contribution: Double)?
    /// Views and copies that were passed through on the way, nearest first.
    public let via: [String]
}

extension Provenance {
    /// - Parameters:
    ///   - depth: operations to follow; views and copies do not count.
    ///   - breadth: terms to follow at each.
    public func tree(of node: Node, at element: ElementIndex, depth: Int, breadth: Int) throws -> ProvenanceTree {
        try tree(.node(node.index), element, depth: depth, breadth: breadth)
    }

    private func tree(
        _ start: Source, _ index: ElementIndex, depth: Int, breadth: Int, contribution: Double? = nil,
        factor: StoredWeight? = nil, factorTree: [ProvenanceTree] = []
    ) throws -> ProvenanceTree {
        var (source, element, via) = (start, index, [String]())
        while let next = copied(source, element) {
            if source != start { via.append(address(of: source, at: element)) }
            (source, element) = next
        }
        var (children, rest) = ([ProvenanceTree](), (count: 0, contribution: 0.0))
        if case .node(let index) = source, depth > 0 {
            (children, rest) = try self.children(graph.nodes[index], element, depth: depth, breadth: breadth)
        }
        return ProvenanceTree(
            address: address(of: source, at: element), value: try value(of: source, at: element),
            origin: try origin(of: source, at: element), contribution: contribution, factor: factor,
            factorTree: factorTree, children: children, rest: rest.count > 0 ? rest : nil, via: via)
    }

    /// Where the value of a view, a copy or a cell of the cache comes from; `nil` where it was made.
    private func copied(_ source: Source, _ element: ElementIndex) -> (Source, ElementIndex)? {
        switch source {
        case .node(let index):
            let explanation = explanation(of: graph.nodes[index], at: element)
            guard explanation.rule == .copy, let term = explanation.terms.first else { return nil }
            return (graph.nodes[index].inputs[term.slot], term.index)
        case .leaf(let index):
            guard graph.leaves[index].role == .cache else { return nil }
            let number = graph.leaves[index].layout.shape.number(of: element)
            for node in graph.nodes where node.kind == SetRows.kind && leaf(under: node.inputs[2]) == index {
                let written = node.layout.shape.element(at: number)
                let term = explanation(of: node, at: written).terms[0]
                if term.slot == 0 { return (node.inputs[0], term.index) }
            }
            return nil
        }
    }

    /// The leaf whose memory a view shows.
    private func leaf(under source: Source) -> Int? {
        switch source {
        case .leaf(let index): return index
        case .node(let index):
            guard case .view(let slot, _) = graph.nodes[index].output.memory else { return nil }
            return leaf(under: graph.nodes[index].inputs[slot])
        }
    }

    private func value(of source: Source, at element: ElementIndex) throws -> Float {
        let tensor = tensor(of: source)
        guard !tensor.type.isPlain, let info = weight(source) else { return tensor[element] }
        return try StoredWeight(row: info.shape.row(of: element), column: element.i0, of: info, in: model.file).element
            .value
    }

    private func origin(of source: Source, at element: ElementIndex) throws -> ProvenanceTree.Origin {
        switch source {
        case .node(let index): return .operation(kind: graph.nodes[index].kind)
        case .leaf(let index):
            switch graph.leaves[index].role {
            case .input: return .input
            case .cache:
                // Keys are a row a position. Values are stored transposed, each with its positions side by side.
                let shape = graph.leaves[index].layout.shape
                let isKeys = graph.nodes.contains {
                    $0.role.result == .keyCache && leaf(under: $0.inputs.last!) == index
                }
                return .cache(position: isKeys ? element.i1 : shape.number(of: element) % shape.ne1)
            case .weight:
                let info = weight(source)!
                return .weight(
                    try StoredWeight(row: info.shape.row(of: element), column: element.i0, of: info, in: model.file))
            }
        }
    }

    private func children(
        _ node: Node, _ element: ElementIndex, depth: Int, breadth: Int
    ) throws -> ([ProvenanceTree], (count: Int, contribution: Double)) {
        let explanation = explanation(of: node, at: element)
        let order = largest(explanation, of: element)
        let isSum = explanation.rule == .sum
        let children = try order.prefix(breadth).map { term in
            let other = factor(of: node, at: element, for: term)
            let stored = try other.flatMap { source, index in
                try weight(source).map {
                    try StoredWeight(row: $0.shape.row(of: index), column: index.i0, of: $0, in: model.file)
                }
            }
            let otherTree =
                try stored == nil
                ? other.map { [try tree($0.0, $0.1, depth: depth - 1, breadth: breadth)] } : nil
            return try tree(
                node.inputs[term.slot], term.index, depth: depth - 1, breadth: breadth,
                contribution: isSum ? Double(term.contribution) : nil, factor: stored, factorTree: otherTree ?? [])
        }
        let left = order.dropFirst(breadth)
        return (children, (left.count, isSum ? left.reduce(0) { $0 + Double($1.contribution) } : 0))
    }

    /// Largest first, without those that add nothing, such as masked positions; of a softmax the element's own score
    /// before all others.
    private func largest(_ explanation: Explanation, of element: ElementIndex) -> [Explanation.Term] {
        guard explanation.rule == .function, explanation.terms.count > 2 else {
            let all = explanation.terms
            let terms = explanation.rule == .sum ? all.filter { $0.contribution != 0 } : all
            return terms.sortedWorstFirst { abs($0.contribution) }
        }
        let own = explanation.terms.filter { $0.index == element }
        let others = explanation.terms.filter { $0.index != element && !($0.contribution <= 0) }
        return own + others.sortedWorstFirst(by: \.contribution)
    }

    /// The element that a term is multiplied by, if the operation has it as an input.
    func factor(
        of node: Node, at element: ElementIndex, for term: Explanation.Term
    ) -> (Source, ElementIndex)? {
        switch node.operation {
        case is MatMul, is MatMulID:
            let row = weightRow(of: node, at: element)
            return (node.inputs[0], ElementIndex(term.index.i0, row.0, row.1, row.2))
        case is Mul:
            let shape = tensor(of: node.inputs[1]).shape
            return (
                node.inputs[1],
                ElementIndex(
                    element.i0 % shape.ne0, element.i1 % shape.ne1, element.i2 % shape.ne2, element.i3 % shape.ne3)
            )
        default: return nil
        }
    }
}

extension Shape {
    /// The row that an element is in, counted through all planes: those of experts, of heads.
    fileprivate func row(of element: ElementIndex) -> Int { element.i1 + ne1 * (element.i2 + ne2 * element.i3) }
}
