import Tensors

/// Some rows of one plane of a node's output: what one head makes of some tokens.
public struct OutputPart: Hashable, Sendable {
    public let plane: Int
    public let rows: Range<Int>
    /// Whether all others have been evaluated.
    public let isLast: Bool

    public init(plane: Int, rows: Range<Int>, isLast: Bool) {
        (self.plane, self.rows, self.isLast) = (plane, rows, isLast)
    }

    /// The part of a layout, and how many bytes are before it.
    ///
    /// - Parameter plane: another than the part's own, where several planes share one.
    public func of(_ layout: Layout, plane: Int? = nil) -> (layout: Layout, byteOffset: Int) {
        var part = layout
        part.shape = Shape(layout.shape.ne0, rows.count)
        return (part, layout.rowOffset(rows.lowerBound, plane ?? self.plane))
    }

    /// All parts of a shape, in the order of its values, each of at most `bytes` of F32, but of two rows at least: one row
    /// alone would be added up in another order than one of several.
    static func all(of shape: Shape, bytes: Int) -> [OutputPart] {
        let fitting = max(2, bytes / (4 * shape.ne0) / 8 * 8)
        var ranges = stride(from: 0, to: shape.ne1, by: fitting).map { $0..<min($0 + fitting, shape.ne1) }
        if ranges.count > 1, ranges.last!.count == 1 {
            ranges.removeLast()
            ranges[ranges.count - 1] = ranges.last!.lowerBound..<shape.ne1
        }
        return (0..<shape.ne2).flatMap { plane in
            ranges.enumerated().map { number, rows in
                OutputPart(plane: plane, rows: rows, isLast: plane == shape.ne2 - 1 && number == ranges.count - 1)
            }
        }
    }
}

/// Nodes that are evaluated part by part: all of them for one part, then all for the next.
public struct PartChain: Sendable {
    /// One after the other, each but the last read by the next alone.
    public let nodes: Range<Int>
    public let parts: [OutputPart]
    /// Whether the last one's parts are put together, as others read it.
    let isPutTogether: Bool
}

extension Graph {
    /// From the scores of attention at `start` to the mix that reads the pattern made of them. `nil` if none begins there,
    /// or it cannot be evaluated in parts.
    func scoresChain(at start: Int) -> Range<Int>? {
        var end = start
        while end < nodes.count, nodes[end].role.part == .scores { end += 1 }
        guard end > start, end + 1 < nodes.count, nodes[end].role.result == .pattern, nodes[end + 1].role.part == .mix
        else { return nil }
        return chain(start..<end + 2)
    }

    /// From the product that makes the logits at `start` to the end. `nil` if it does not begin there.
    func outputChain(at start: Int) -> Range<Int>? {
        nodes[start...].allSatisfy { $0.role.part == .logits } ? chain(start..<nodes.count) : nil
    }

    /// The nodes, if they can be evaluated part by part.
    private func chain(_ chain: Range<Int>) -> Range<Int>? {
        let (shape, last) = (nodes[chain.lowerBound].layout.shape, chain.upperBound - 1)
        func isLink(_ index: Int) -> Bool {
            let node = nodes[index]
            return node.output.memory == .fresh && node.layout.type == .f32 && node.layout.isContiguous
                && (index == chain.lowerBound || node.inputs.contains(.node(index - 1)))
                && (index == last || node.layout.shape == shape)
        }
        guard shape.ne3 == 1, chain.allSatisfy(isLink), nodes[last].layout.shape.ne1 == shape.ne1,
            nodes[last].layout.shape.ne2 == shape.ne2
        else { return nil }
        let readers = nodes[(chain.lowerBound + 1)...].filter { node in
            node.inputs.contains { if case .node(let index) = $0 { chain.dropLast().contains(index) } else { false } }
        }
        guard readers.map(\.index) == Array(chain.dropFirst()) else { return nil }
        let part = OutputPart(plane: 0, rows: 0..<min(2, shape.ne1), isLast: false)
        let isDivisible = chain.allSatisfy { index in
            nodes[index].inputs.enumerated().allSatisfy { slot, source in
                source == .node(index - 1) && index > chain.lowerBound
                    || nodes[index].operation.source(
                        of: part, slot: slot, layout(of: source), output: nodes[index].layout) != nil
            }
        }
        return isDivisible ? chain : nil
    }
}

extension Graph {
    /// - Parameter whole: where the last node's part belongs; `nil`: memory of its own.
    func evaluate(
        _ part: OutputPart, of chain: PartChain, into whole: Tensor?, on workers: Workers, value: (Source) -> Tensor
    ) -> [Evaluation] {
        var evaluations: [Evaluation] = []
        for node in nodes[chain.nodes] {
            let inputs = node.inputs.enumerated().map { slot, source in
                if source == .node(node.index - 1), let before = evaluations.last { return before.output }
                let input = value(source)
                let (layout, offset) = node.operation.source(of: part, slot: slot, input.layout, output: node.layout)!
                return input.view(layout, at: offset)
            }
            let (layout, offset) = part.of(node.layout)
            let isLast = node.index == chain.nodes.upperBound - 1
            let output = isLast ? whole.map { $0.view(layout, at: offset) } : nil
            let target = output ?? .unwritten(layout.type, layout.shape)
            let nanoseconds = timed { node.operation.evaluate(inputs, into: target, on: workers) }
            evaluations.append(
                Evaluation(node: node, inputs: inputs, output: target, nanoseconds: nanoseconds, part: part))
        }
        return evaluations
    }
}

/// What makes the logits of a pass, with all that it reads: to be evaluated part by part as often as one wants.
public struct OutputParts: Sendable {
    public let chain: PartChain
    private let graph: Graph
    private let values: [Source: Tensor]
    private let workers: Workers

    /// - Returns: `nil` unless the node at hand is the first that makes logits.
    public init?(_ interpreter: Interpreter) {
        guard let chain = interpreter.outputInParts else { return nil }
        (self.chain, graph, workers) = (chain, interpreter.graph, interpreter.workers)
        let sources = graph.nodes[chain.nodes].flatMap(\.inputs)
        values = Dictionary(
            sources.compactMap { source in interpreter.value(of: source).map { (source, $0) } },
            uniquingKeysWith: { first, _ in first })
    }

    /// Logits of the part's tokens. [V,rows]
    public func evaluate(_ part: OutputPart) -> Tensor {
        graph.evaluate(part, of: chain, into: nil, on: workers) { values[$0]! }.last!.output
    }
}

extension Interpreter {
    /// The nodes from the one at hand on that are better evaluated in parts: attention whose scores are large.
    public var scoresInParts: PartChain? {
        guard !isDone, recall == nil else { return nil }
        let node = graph.nodes[position]
        guard node.role.part == .scores, node.layout.byteCount > partBytes, node.layout.shape.ne1 > 1,
            let nodes = graph.scoresChain(at: position), nodes.allSatisfy({ edits[$0]?.isEmpty ?? true })
        else { return nil }
        let parts = OutputPart.all(of: node.layout.shape, bytes: partBytes)
        return PartChain(nodes: nodes, parts: parts, isPutTogether: true)
    }

    /// The nodes from the one at hand to the end, if they are what makes the logits: several tokens', each part dropped
    /// when it was looked at.
    public var outputInParts: PartChain? {
        guard !isDone, recall == nil, edits.isEmpty, graph.nodes[position].role.part == .logits,
            let nodes = graph.outputChain(at: position)
        else { return nil }
        let shape = graph.nodes[position].layout.shape
        return PartChain(nodes: nodes, parts: OutputPart.all(of: shape, bytes: 4 * partBytes), isPutTogether: false)
    }

    /// Evaluates one part of nodes at hand, and tells no observer. Call `finish` after the last.
    ///
    /// - Returns: what happened, node by node.
    public mutating func evaluate(_ part: OutputPart, of chain: PartChain) -> [Evaluation] {
        precondition(position == chain.nodes.lowerBound, "nodes \(chain.nodes) at node \(position)")
        let last = chain.nodes.upperBound - 1
        if chain.isPutTogether, values[last] == nil {
            values[last] = .unwritten(graph.nodes[last].layout.type, graph.nodes[last].layout.shape)
        }
        return graph.evaluate(part, of: chain, into: values[last], on: workers) { value(of: $0)! }
    }

    /// Goes on after nodes whose parts have all been evaluated.
    public mutating func finish(_ chain: PartChain) { pass(chain.nodes) }

    /// Evaluates scores, pattern and mix of one part after the other. Observers are shown the mix as a whole.
    mutating func evaluateInParts(_ chain: PartChain) throws {
        let mix = graph.nodes[chain.nodes.upperBound - 1]
        var (last, nanoseconds): (Evaluation?, Int) = (nil, 0)
        for part in chain.parts {
            let evaluations = evaluate(part, of: chain)
            for evaluation in evaluations.dropLast() { try show(evaluation) }
            last = evaluations.last
            nanoseconds += last!.nanoseconds
        }
        finish(chain)
        let evaluation = Evaluation(
            node: mix, inputs: last!.inputs, output: values[mix.index]!, nanoseconds: nanoseconds)
        try show(evaluation)
    }
}
