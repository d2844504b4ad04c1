import ComputeGraph
import Operations
import Tensors

/// The llama graph of one pass, node for node as llama.cpp builds it with flash attention off.
///
/// Symbols: E embedding, H query heads, K KV heads, D head size, F feed-forward, V vocabulary, T tokens of the pass,
/// N positions attended to (exact, where llama.cpp pads to 256), C cells of the cache, O tokens that get logits.
/// Source: llama.cpp `src/models/llama.cpp`, `llama-graph.cpp`, `llama-kv-cache.cpp`.
public struct LlamaGraph: Sendable {
    public let graph: Graph
    /// A tensor for each leaf of the graph, in its order; inputs are filled for this pass.
    public let leaves: [Tensor]

    /// - Parameters:
    ///   - tokens: the tokens of this pass; their positions follow those already in the cache.
    ///   - outputs: the tokens that get logits, counted from the pass's first. `nil`: the last.
    public init(
        _ configuration: LlamaConfiguration, _ weights: LlamaWeights, tokens: [Int32], cache: KVCache,
        outputs: Range<Int>? = nil
    ) throws(GraphError) {
        let outputs = outputs ?? tokens.count - 1..<tokens.count
        var assembly = Assembly(c: configuration, weights: weights, tokens: tokens, cache: cache, outputs: outputs)
        try assembly.addModel()
        graph = assembly.builder.build()
        let bindings = assembly.bindings
        leaves = graph.leaves.map { bindings[$0.name]! }
    }
}

/// The graph while it is put together, and the tensors of its leaves by name.
private struct Assembly {
    typealias Value = GraphBuilder.Value

    let c: LlamaConfiguration
    let weights: LlamaWeights
    let tokens: [Int32]
    let cache: KVCache
    let outputs: Range<Int>
    var builder = GraphBuilder()
    var bindings: [String: Tensor] = [:]
    private var known: [String: Value] = [:]

    /// T, N and the first position of this pass.
    private var tokenCount: Int { tokens.count }
    private var attended: Int { cache.count + tokens.count }

    init(
        c: LlamaConfiguration, weights: LlamaWeights, tokens: [Int32], cache: KVCache, outputs: Range<Int>
    ) {
        self.c = c
        self.weights = weights
        self.tokens = tokens
        self.cache = cache
        self.outputs = outputs
    }

    // MARK: the forward pass, top to bottom

    mutating func addModel() throws(GraphError) {
        let ids = input("inp_tokens", tokens)
        let positions = input("inp_pos", (0..<tokenCount).map { Int32(cache.count + $0) })
        var residual = try builder.apply(GetRows(), weight(weights.tokenEmbedding), ids, name: "embd")  // [E,T]

        for index in 0..<c.layers {
            builder.layer = index
            residual = try addLayer(index, residual, positions)
        }
        builder.layer = nil

        let normed = try norm(residual, weights.outputNorm, name: "result_norm")  // [E,O]
        let logits = try builder.apply(MatMul(), weight(weights.output), normed, name: "result_output")  // [V,O]
        builder.expand(logits)
    }

    private mutating func addLayer(_ index: Int, _ input: Value, _ positions: Value) throws(GraphError) -> Value {
        let layer = weights.layers[index]
        var residual = input
        let normed = try norm(residual, layer.attentionNorm, name: "attn_norm")  // [E,T]
        var attended = try addAttention(index, layer, normed, positions)  // [E,T]
        if index == c.layers - 1 {
            // Only the tokens whose logits are wanted go on.
            let wanted = self.input("out_ids", outputs.map(Int32.init))
            attended = try builder.apply(GetRows(), attended, wanted)  // [E,O]
            residual = try builder.apply(GetRows(), residual, wanted)
        }
        let middle = try builder.apply(Add(), attended, residual, name: "ffn_inp")  // [E,T]

        let feed = try norm(middle, layer.feedForwardNorm, name: "ffn_norm")  // [E,T]
        let up = try linear(layer.up, feed, name: "ffn_up", withBias: "ffn_up_b")  // [F,T]
        let gate = try linear(layer.gate, feed, name: "ffn_gate", withBias: "ffn_gate_b")  // [F,T]
        let gated = try builder.apply(SwiGLU(), gate, up, name: "ffn_swiglu")  // [F,T]
        let down = try linear(
            layer.down, gated, name: layer.down.bias == nil ? "ffn_out" : "ffn_down", withBias: "ffn_out")  // [E,T]
        return try builder.apply(Add(), down, middle, name: "l_out")  // [E,T]
    }

    private mutating func addAttention(
        _ index: Int, _ layer: LlamaWeights.Layer, _ normed: Value, _ positions: Value
    ) throws(GraphError) -> Value {
        let (rawQuery, rawKey, value) = try addProjections(layer.attention, normed)
        let query = try rope(rawQuery, positions, name: "Qcur")  // [D,H,T]
        let key = try rope(rawKey, positions, name: "Kcur")  // [D,K,T]
        for projection in [query, value, key] { builder.expand(projection) }
        let (keyCache, valueCache) = try addStores(index, key: key, value: value)

        // Keys as [D,N,K], values as [N,D,K]: K heads each, shared by the query heads of a group.
        let keys = try builder.apply(
            Permute([0, 2, 1, 3]),
            builder.apply(View(headsOfCache, strides: .init(2, c.headSize * 2, c.kvSize * 2, wholeCache)), keyCache))
        let values = try builder.apply(
            Permute([0, 2, 1, 3]),
            builder.apply(
                View(
                    Shape(attended, c.kvHeads, c.headSize),
                    strides: .init(2, cache.capacity * c.headSize * 2, cache.capacity * 2, wholeCache)), valueCache))
        let queryLayout = builder.layout(of: query)
        let queries = try builder.apply(
            Permute([0, 2, 1, 3]), builder.apply(View(queryLayout.shape, strides: queryLayout.strides), query))

        let scores = try builder.apply(MatMul(cachedDimension: 1), keys, queries, name: "kq")  // [N,T,H]
        let shares = try builder.apply(
            SoftMax(scale: c.scoreScale), scores, mask(), name: "kq_soft_max")  // [N,T,H]
        let mixed = try builder.apply(MatMul(cachedDimension: 0), values, shares, name: "kqv")  // [D,T,H]
        let joined = try builder.apply(
            Cont(Shape(c.headSize * c.heads, tokenCount)), builder.apply(Permute([0, 2, 1, 3]), mixed),
            name: "kqv_out")  // [H*D,T]
        builder.expand(joined)
        let output = layer.attentionOutput
        return try linear(output, joined, name: output.bias == nil ? "attn_out" : nil, withBias: "attn_out")  // [E,T]
    }

    /// Query `[D,H,T]`, key and value `[D,K,T]`, before rotation.
    private mutating func addProjections(
        _ attention: LlamaWeights.Attention, _ normed: Value
    ) throws(GraphError) -> (query: Value, key: Value, value: Value) {
        switch attention {
        case .separate(let query, let key, let value):
            // The first names are those of the unshaped products; the reshaped ones take them over.
            let q = try linear(query, normed, name: "Qcur", withBias: "Qcur")
            let k = try linear(key, normed, name: "Kcur", withBias: "Kcur")
            let v = try linear(value, normed, name: "Vcur", withBias: "Vcur")
            return (
                try builder.apply(Reshape(Shape(c.headSize, c.heads, tokenCount)), q, name: "Qcur"),
                try builder.apply(Reshape(Shape(c.headSize, c.kvHeads, tokenCount)), k, name: "Kcur"),
                try builder.apply(Reshape(Shape(c.headSize, c.kvHeads, tokenCount)), v, name: "Vcur")
            )
        case .fused(let matrix):
            let all = try linear(matrix, normed, name: "wqkv", withBias: "wqkv_b")  // [(H+2K)*D,T]
            let row = (c.heads + 2 * c.kvHeads) * c.headSize * 4
            func part(heads: Int, after: Int) -> View {
                View(
                    Shape(c.headSize, heads, tokenCount), strides: .init(4, c.headSize * 4, row, row * tokenCount),
                    byteOffset: after * c.headSize * 4)
            }
            return (
                try builder.apply(part(heads: c.heads, after: 0), all, name: "Qcur"),
                try builder.apply(part(heads: c.kvHeads, after: c.heads), all, name: "Kcur"),
                try builder.apply(part(heads: c.kvHeads, after: c.heads + c.kvHeads), all, name: "Vcur")
            )
        }
    }

    /// Writes this pass's keys and values into the cache; returns the cache leaves.
    private mutating func addStores(
        _ index: Int, key: Value, value: Value
    ) throws(GraphError) -> (keys: Value, values: Value) {
        let keyCache = cacheLeaf("cache_k_l\(index)", cache.keys[index])
        let valueCache = cacheLeaf("cache_v_l\(index)", cache.values[index])
        let keyRows = try builder.apply(
            View(
                Shape(c.kvSize, tokenCount),
                strides: .init(4, c.kvSize * 4, c.kvSize * tokenCount * 4, c.kvSize * tokenCount * 4)),
            key)
        builder.expand(try builder.apply(SetRows(), keyRows, keyPlaces(), keyCache))

        let rows = Shape(c.kvSize, tokenCount)
        let isPacked = builder.layout(of: value).strides.nb2 == c.kvSize * 4
        let valueRows = isPacked ? try builder.apply(Reshape(rows), value) : try builder.apply(Cont(rows), value)
        let valueCells = try builder.apply(Reshape(Shape(1, c.kvSize * cache.capacity)), valueCache)
        let valueElements = try builder.apply(Reshape(Shape(1, c.kvSize * tokenCount)), valueRows)
        builder.expand(try builder.apply(SetRows(), valueElements, valuePlaces(), valueCells))
        return (keyCache, valueCache)
    }

    // MARK: pieces

    private mutating func norm(
        _ x: Value, _ weight: LlamaWeights.Weight, name: String
    ) throws(GraphError) -> Value {
        let normed = try builder.apply(RMSNorm(epsilon: c.normEpsilon), x, name: "norm")
        return try builder.apply(Mul(), normed, self.weight(weight), name: name)
    }

    private mutating func linear(
        _ linear: LlamaWeights.Linear, _ x: Value, name: String?, withBias biasName: String
    ) throws(GraphError) -> Value {
        let product = try builder.apply(MatMul(), weight(linear.weight), x, name: name)
        guard let bias = linear.bias else { return product }
        return try builder.apply(Add(), product, weight(bias), name: biasName)
    }

    private mutating func rope(_ x: Value, _ positions: Value, name: String) throws(GraphError) -> Value {
        guard let factors = weights.ropeFactors else {
            return try builder.apply(RoPE(c.rope), x, positions, name: name)
        }
        return try builder.apply(RoPE(c.rope), x, positions, weight(factors), name: name)
    }

    private var headsOfCache: Shape { Shape(c.headSize, c.kvHeads, attended) }
    private var wholeCache: Int { c.kvSize * cache.capacity * 2 }

    // MARK: leaves

    private mutating func weight(_ weight: LlamaWeights.Weight) -> Value {
        leaf(weight.info.name, weight.tensor, .weight)
    }

    private mutating func cacheLeaf(_ name: String, _ tensor: Tensor) -> Value { leaf(name, tensor, .cache) }

    private mutating func input(_ name: String, _ values: [Int32]) -> Value {
        input(name, Shape(values.count), .i32, values)
    }

    /// 0 where a token may look, -∞ at later positions. [N,T]
    private mutating func mask() -> Value {
        if let known = known["attn_inp_kq_mask"] { return known }
        var mask = [Float](repeating: 0, count: attended * tokenCount)
        for token in 0..<tokenCount {
            for position in 0..<attended where position > cache.count + token {
                mask[token * attended + position] = -.infinity
            }
        }
        return input("attn_inp_kq_mask", Shape(attended, tokenCount), .f32, mask)
    }

    /// The cache row of each token. [T]
    private mutating func keyPlaces() -> Value {
        if let known = known["attn_inp_k_idxs"] { return known }
        return input(
            "attn_inp_k_idxs", Shape(tokenCount), .i64, (0..<tokenCount).map { Int64(cache.count + $0) })
    }

    /// The cache element of each token's each value, token by token. [T*K*D]
    private mutating func valuePlaces() -> Value {
        if let known = known["attn_inp_v_idxs"] { return known }
        var places: [Int64] = []
        places.reserveCapacity(tokenCount * c.kvSize)
        for token in 0..<tokenCount {
            for j in 0..<c.kvSize { places.append(Int64(j * cache.capacity + cache.count + token)) }
        }
        return input("attn_inp_v_idxs", Shape(places.count), .i64, places)
    }

    private mutating func input<Element: BitwiseCopyable>(
        _ name: String, _ shape: Shape, _ type: TensorType, _ values: [Element]
    ) -> Value {
        let tensor = Tensor.zeros(type, shape)
        tensor.withMutableElements(of: Element.self) { span in
            for index in values.indices { span[index] = values[index] }
        }
        return leaf(name, tensor, .input)
    }

    private mutating func leaf(_ name: String, _ tensor: Tensor, _ role: Leaf.Role) -> Value {
        if let value = known[name] { return value }
        let value = builder.leaf(name, tensor.layout, role)
        known[name] = value
        bindings[name] = tensor
        return value
    }
}
