import Tensors

/// How layouts of a graph follow from a length that some of them have in it: evenly, so that the graph of any length
/// follows from those of two. That is quicker than to derive it anew, which a small model would notice at each token.
public struct EvenGrowth: Sendable {
    /// Of a node whose layout grows: what is added to it for each further position.
    private struct GrowingNode: Sendable {
        let index: Int
        let base: Layout
        let each: Layout
    }

    private let base: Graph
    private let nodes: [GrowingNode]

    /// From two graphs of the same nodes, `length` apart.
    ///
    /// - Returns: `nil` if more than shapes and strides of nodes and leaves differs, or not by whole steps.
    public init?(from base: Graph, to later: Graph, length: Int) {
        guard base.nodes.count == later.nodes.count, length > 0 else { return nil }
        var growing: [GrowingNode] = []
        for (node, next) in zip(base.nodes, later.nodes) where node !== next {
            guard node.output.memory == next.output.memory,
                let each = node.layout.growth(to: next.layout, length: length)
            else { return nil }
            growing.append(GrowingNode(index: node.index, base: node.layout, each: each))
        }
        (self.base, nodes) = (base, growing)
    }

    /// The graph that is so much longer than the first.
    ///
    /// - Parameters:
    ///   - operations: those that change, by their nodes' indices.
    ///   - layouts: those of leaves that change.
    public func graph(
        after length: Int, operations: [Int: any Operation], layouts: [Int: Layout]
    ) -> Graph {
        var (leaves, all) = (base.leaves, base.nodes)
        for (index, layout) in layouts {
            leaves[index] = Leaf(name: leaves[index].name, layout: layout, role: leaves[index].role)
        }
        for growing in nodes {
            let node = all[growing.index]
            all[growing.index] = node.with(
                operations[growing.index] ?? node.operation,
                Output(growing.base.adding(growing.each, times: length), node.output.memory))
        }
        return base.with(leaves: leaves, nodes: all)
    }
}

extension Layout {
    /// What is added to shape and strides for each of `length` steps; `nil` if that is no whole number.
    fileprivate func growth(to other: Layout, length: Int) -> Layout? {
        guard type == other.type else { return nil }
        var isWhole = true
        func each(_ from: Int, _ to: Int) -> Int {
            if (to - from) % length != 0 { isWhole = false }
            return (to - from) / length
        }
        let (a, b, s, t) = (shape, other.shape, strides, other.strides)
        let growth = Layout(
            type: type,
            shape: Shape(each(a.ne0, b.ne0), each(a.ne1, b.ne1), each(a.ne2, b.ne2), each(a.ne3, b.ne3)),
            strides: Strides(each(s.nb0, t.nb0), each(s.nb1, t.nb1), each(s.nb2, t.nb2), each(s.nb3, t.nb3)))
        return isWhole ? growth : nil
    }

    fileprivate func adding(_ each: Layout, times n: Int) -> Layout {
        let (a, b, s, t) = (shape, each.shape, strides, each.strides)
        return Layout(
            type: type, shape: Shape(a.ne0 + n * b.ne0, a.ne1 + n * b.ne1, a.ne2 + n * b.ne2, a.ne3 + n * b.ne3),
            strides: Strides(s.nb0 + n * t.nb0, s.nb1 + n * t.nb1, s.nb2 + n * t.nb2, s.nb3 + n * t.nb3))
    }
}
