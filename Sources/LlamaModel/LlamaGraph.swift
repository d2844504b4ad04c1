import ComputeGraph
import Operations
import Tensors

/// The graph of one pass, node for node as llama.cpp builds it with flash attention off.
public struct LlamaGraph: Sendable {
    public let graph: Graph
    /// A tensor for each leaf of the graph, in its order; inputs are filled for this pass.
    public let leaves: [Tensor]
    private let growth: Growth
    /// Positions attended to.
    private let attended: Int
    /// How it grows, once there are two graphs to tell from.
    private let evenGrowth: (from: Int, EvenGrowth)?

    /// - Parameters:
    ///   - tokens: the tokens of this pass; their positions follow those already in the cache.
    ///   - outputs: the tokens that get logits, counted from the pass's first. `nil`: the last.
    public init(
        _ model: Llama, tokens: [Int32], cache: KVCache, outputs: Range<Int>? = nil
    ) throws(GraphError) {
        let pass = try Self.pass(model, tokens: tokens, cache: cache, outputs: outputs, isFilled: true)
        graph = pass.graph.build()
        growth = Growth(pass)
        (attended, evenGrowth) = (cache.count + tokens.count, nil)
        leaves = pass.leafNames.map { pass.bindings[$0]! }
    }

    /// The graph alone of a pass over so many tokens, without the inputs, which take memory that grows with their square.
    public static func outline(
        _ model: Llama, tokens: Int, cache: KVCache, outputs: Range<Int>? = nil
    ) throws(GraphError) -> Graph {
        try pass(
            model, tokens: Array(repeating: 0, count: tokens), cache: cache, outputs: outputs, isFilled: false
        ).graph.build()
    }

    private static func pass(
        _ model: Llama, tokens: [Int32], cache: KVCache, outputs: Range<Int>?, isFilled: Bool
    ) throws(GraphError) -> PassBuilder {
        let inputs = PassInputs(
            tokens: tokens, outputs: outputs ?? tokens.count - 1..<tokens.count, first: cache.count,
            capacity: cache.capacity, c: model.configuration, isFilled: isFilled)
        var pass = PassBuilder(model.configuration, model.weights, inputs, cache)
        let logits = try model.architecture.logits(&pass)
        pass.graph.expand(logits)
        return pass
    }

    /// The graph of a later pass of the same session over as many tokens as `earlier` was made for. Only the positions
    /// attended to are more, so the rest of its graph is taken over.
    ///
    /// - Precondition: the cache is the one that `earlier` was made for.
    init(after earlier: LlamaGraph, tokens: [Int32], cache: KVCache) throws(GraphError) {
        growth = earlier.growth
        let inputs = PassInputs(
            tokens: tokens, outputs: tokens.count - 1..<tokens.count, first: cache.count, capacity: cache.capacity,
            c: growth.c)
        precondition(tokens.count == growth.tokenCount, "\(tokens.count) tokens, not \(growth.tokenCount)")
        attended = inputs.attended
        if let (from, evenGrowth) = earlier.evenGrowth {
            graph = growth.graph(by: evenGrowth, from: from, attended: attended)
            self.evenGrowth = (from, evenGrowth)
        } else {
            graph = try growth.graph(from: earlier.graph, attended: attended)
            evenGrowth = EvenGrowth(from: earlier.graph, to: graph, length: attended - earlier.attended)
                .map { (earlier.attended, $0) }
        }
        var leaves = earlier.leaves
        for (index, name) in growth.inputs { leaves[index] = inputs.tensor(name) }
        self.leaves = leaves
    }

    /// The positions that the cache has room for.
    public var capacity: Int { growth.capacity }

    /// The same graph if it attended to `attended` positions, `capacity` at most.
    public func graph(attended: Int) throws(GraphError) -> Graph { try growth.graph(from: graph, attended: attended) }
}

/// What in a graph depends on N itself; all else follows.
struct Growth {
    let c: LlamaConfiguration
    let capacity: Int
    let tokenCount: Int
    /// The layers of the views of the caches' filled parts, by the nodes' indices.
    private var keyViews: [Int: Int] = [:]
    private var valueViews: [Int: Int] = [:]
    /// The inputs among the leaves, by their indices.
    fileprivate private(set) var inputs: [Int: PassInputs.Name] = [:]

    init(c: LlamaConfiguration, capacity: Int, tokenCount: Int) {
        (self.c, self.capacity, self.tokenCount) = (c, capacity, tokenCount)
    }

    /// - Precondition: all of the pass is in order.
    init(_ pass: PassBuilder) {
        self.init(c: pass.c, capacity: pass.cache.capacity, tokenCount: pass.tokenCount)
        func node(_ value: GraphBuilder.Value) -> Int? {
            if case .node(let index)? = pass.graph.source(of: value) { index } else { nil }
        }
        for (value, layer) in pass.keyViews { if let node = node(value) { keyViews[node] = layer } }
        for (value, layer) in pass.valueViews { if let node = node(value) { valueViews[node] = layer } }
        for (index, name) in pass.leafNames.enumerated() { inputs[index] = PassInputs.Name(rawValue: name) }
    }

    func graph(from graph: Graph, attended: Int) throws(GraphError) -> Graph {
        try graph.replacing(operations: operations(attended), layouts: masks(attended))
    }

    /// - Parameter from: the positions that the first graph of `evenGrowth` attended to.
    fileprivate func graph(by evenGrowth: EvenGrowth, from: Int, attended: Int) -> Graph {
        evenGrowth.graph(after: attended - from, operations: operations(attended), layouts: masks(attended))
    }

    private func operations(_ attended: Int) -> [Int: any Operation] {
        var operations: [Int: any Operation] = [:]
        operations.reserveCapacity(keyViews.count + valueViews.count)
        for (node, layer) in keyViews { operations[node] = keyView(layer, attended) }
        for (node, layer) in valueViews { operations[node] = valueView(layer, attended) }
        return operations
    }

    private func masks(_ attended: Int) -> [Int: Layout] {
        let masks = inputs.filter { [.mask, .windowMask].contains($0.value) }
        return masks.mapValues { _ in Layout(.f32, Shape(attended, tokenCount)) }
    }

    /// A row a position. [D,K,N]
    func keyView(_ layer: Int, _ attended: Int) -> View {
        let (size, heads, width) = (c.perLayer[layer].keySize, c.perLayer[layer].kvHeads, c.perLayer[layer].keyWidth)
        return View(
            Shape(size, heads, attended), strides: .init(2, size * 2, width * 2, width * capacity * 2))
    }

    /// A row a dimension of a head. [N,K,D] Of latent vectors, the part that values are made of, a row a position. [R,1,N]
    func valueView(_ layer: Int, _ attended: Int) -> View {
        if let latent = c.perLayer[layer].latent {
            return View(Shape(latent.rank, 1, attended), strides: keyView(layer, attended).strides)
        }
        let (size, heads, width) = (
            c.perLayer[layer].valueSize, c.perLayer[layer].kvHeads, c.perLayer[layer].valueWidth
        )
        return View(
            Shape(attended, heads, size),
            strides: .init(2, capacity * size * 2, capacity * 2, width * capacity * 2))
    }
}
