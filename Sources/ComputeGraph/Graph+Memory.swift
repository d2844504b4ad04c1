import Tensors

extension Graph {
    /// The most bytes that values take at once while the graph is evaluated as `Interpreter.run` does, inputs and caches
    /// included, weights not.
    ///
    /// - Parameters:
    ///   - end: the node that evaluation stops before; `nil`: none.
    ///   - keepsValues: whether no value is let go.
    ///   - partBytes: of scores that are evaluated in parts; `nil` if none are.
    public func peakBytes(upTo end: Int? = nil, keepsValues: Bool = false, partBytes: Int?) -> Int {
        let leaves = leaves.filter { $0.role != .weight }.reduce(0) { $0 + $1.layout.byteCount }
        var lastUse = Array(nodes.indices)
        for node in nodes {
            for case .node(let input) in node.inputs { lastUse[input] = node.index }
        }
        // Views keep the memory that they show.
        for index in nodes.indices.reversed() {
            if case .view(let slot, _) = nodes[index].output.memory, case .node(let source) = nodes[index].inputs[slot]
            {
                lastUse[source] = max(lastUse[source], lastUse[index])
            }
        }
        var (alive, peak) = (leaves, leaves)
        var ending: [Int: Int] = [:]
        var inParts: Range<Int>?
        for node in nodes[..<(end ?? nodes.count)] {
            if let partBytes, !keepsValues, node.role.part == .scores, node.layout.byteCount > partBytes {
                inParts = inParts ?? scoresChain(at: node.index)
            }
            // Products first convert what they multiply, to half its size at most.
            var working = node.inputs.map(layout(of:)).filter { $0.type == .f32 }.map(\.byteCount).max() ?? 0
            working /= 2
            let isPart = inParts?.contains(node.index) ?? false
            if isPart { working = inParts!.count * partBytes! }
            if node.output.memory == .fresh, !isPart || node.index + 1 == inParts!.upperBound {
                alive += node.layout.byteCount
                ending[lastUse[node.index], default: 0] += node.layout.byteCount
            }
            peak = max(peak, alive + working)
            if !keepsValues, let ended = ending[node.index] { alive -= ended }
            if let chain = inParts, node.index + 1 == chain.upperBound { inParts = nil }
        }
        return peak
    }
}
