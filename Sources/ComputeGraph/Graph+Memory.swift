import Tensors

extension Graph {
    /// The most bytes that values take at once while the graph is evaluated as `Interpreter.run` does, inputs and caches
    /// included, weights not.
    ///
    /// - Parameters:
    ///   - keepsValues: whether no value is let go.
    ///   - partBytes: of scores that are evaluated in parts; `nil` if none are.
    public func peakBytes(keepsValues: Bool, partBytes: Int?) -> Int {
        let leaves = leaves.filter { $0.role != .weight }.reduce(0) { $0 + $1.layout.byteCount }
        var lastUse = Array(nodes.indices)
        for node in nodes {
            for case .node(let input) in node.inputs { lastUse[input] = node.index }
        }
        // Views keep the memory that they show.
        for index in nodes.indices.reversed() {
            if case .view(let slot, _) = nodes[index].output.memory, case .node(let source) = nodes[index].inputs[slot] {
                lastUse[source] = max(lastUse[source], lastUse[index])
            }
        }
        var inParts = Set<Int>()
        var (alive, peak, index) = (leaves, leaves, 0)
        var ending: [Int: Int] = [:]
        while index < nodes.count {
            let node = nodes[index]
            if let partBytes, !keepsValues, node.role.part == .scores, node.layout.byteCount > partBytes,
                let chain = scoresChain(at: index)
            {
                inParts.formUnion(chain.dropLast())
            }
            var working = 0
            if node.output.memory == .fresh {
                if inParts.contains(index) {
                    working = 2 * partBytes!
                } else {
                    alive += node.layout.byteCount
                    ending[lastUse[index], default: 0] += node.layout.byteCount
                    // Products first convert what they multiply.
                    working = node.inputs.map { layout(of: $0) }.filter { $0.type == .f32 }.map(\.byteCount).max() ?? 0
                    if case .node(let input)? = node.inputs.last, inParts.contains(input) { working = 2 * partBytes! }
                    working /= 2
                }
            }
            peak = max(peak, alive + working)
            if !keepsValues, let ended = ending[index] { alive -= ended }
            index += 1
        }
        return peak
    }
}
