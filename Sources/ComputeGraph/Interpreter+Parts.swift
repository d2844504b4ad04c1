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

extension Graph {
    /// From the scores of attention at `start` to the mix that reads the pattern made of them: nodes one after the other,
    /// each but the last read by the next alone. `nil` if none begins there, or it cannot be evaluated in parts.
    func scoresChain(at start: Int) -> Range<Int>? {
        var end = start
        while end < nodes.count, nodes[end].role.part == .scores, isLink(end, after: end > start) { end += 1 }
        guard end > start, end + 1 < nodes.count, nodes[end].role.result == .pattern, isLink(end, after: true),
            nodes[end + 1].role.part == .mix, isLink(end + 1, after: true)
        else { return nil }
        let chain = start..<end + 2
        let shape = nodes[start].layout.shape
        guard chain.dropLast().allSatisfy({ nodes[$0].layout.shape == shape && nodes[$0].layout.isContiguous }),
            shape.ne3 == 1, nodes[end + 1].layout.shape.ne1 == shape.ne1, nodes[end + 1].layout.shape.ne2 == shape.ne2
        else { return nil }
        let readers = nodes[(start + 1)...].filter { node in
            node.inputs.contains { if case .node(let index) = $0 { chain.dropLast().contains(index) } else { false } }
        }
        guard readers.map(\.index) == Array(chain.dropFirst()) else { return nil }
        let part = OutputPart(plane: 0, rows: 0..<min(2, shape.ne1), isLast: false)
        let isDivisible = chain.allSatisfy { index in
            nodes[index].inputs.enumerated().allSatisfy { slot, source in
                source == .node(index - 1) && index > start
                    || nodes[index].operation.source(
                        of: part, slot: slot, layout(of: source), output: nodes[index].layout) != nil
            }
        }
        return isDivisible ? chain : nil
    }

    private func isLink(_ index: Int, after hasPrevious: Bool) -> Bool {
        nodes[index].output.memory == .fresh && nodes[index].layout.type == .f32
            && (!hasPrevious || nodes[index].inputs.contains(.node(index - 1)))
    }
}

extension Interpreter {
    /// The nodes from the one at `start` on that are better evaluated in parts.
    func scoresChain(at start: Int) -> Range<Int>? {
        let node = graph.nodes[start]
        guard node.role.part == .scores, node.layout.byteCount > partBytes, node.layout.shape.ne1 > 1,
            let chain = graph.scoresChain(at: start), chain.allSatisfy({ edits[$0]?.isEmpty ?? true })
        else { return nil }
        return chain
    }

    /// Evaluates scores, pattern and mix of one part after the other.
    mutating func evaluateInParts(_ chain: Range<Int>) throws {
        let (mix, start) = (graph.nodes[chain.upperBound - 1], position)
        let mixed = Tensor.unwritten(mix.layout.type, mix.layout.shape)
        var (inputs, nanoseconds) = ([Tensor](), 0)
        for part in OutputPart.all(of: graph.nodes[start].layout.shape, bytes: partBytes) {
            var before: Tensor?
            for node in graph.nodes[chain] {
                inputs = node.inputs.enumerated().map { slot, source in
                    if source == .node(node.index - 1), let before { return before }
                    let input = value(of: source)!
                    let (layout, offset) = node.operation.source(
                        of: part, slot: slot, input.layout, output: node.layout)!
                    return input.view(layout, at: offset)
                }
                let (layout, offset) = part.of(node.layout)
                let isMix = node.index == mix.index
                let output = isMix ? mixed.view(layout, at: offset) : .unwritten(layout.type, layout.shape)
                let time = timed { node.operation.evaluate(inputs, into: output, on: workers) }
                before = output
                if isMix {
                    nanoseconds += time
                } else {
                    let evaluation = Evaluation(
                        node: node, inputs: inputs, output: output, nanoseconds: time, part: part)
                    for observer in observers { try observer.didEvaluate(evaluation) }
                }
            }
        }
        values[mix.index] = mixed
        pass(chain)
        let evaluation = Evaluation(node: mix, inputs: inputs, output: mixed, nanoseconds: nanoseconds)
        for observer in observers { try observer.didEvaluate(evaluation) }
    }
}
