import ComputeGraph
import Operations
import Tensors

extension PassBuilder {
    /// Query `[D,H,T]`, key and value `[D,K,T]`, as the matrices and their biases make them.
    mutating func queryKeyValue(_ x: Value) throws(GraphError) -> (query: Value, key: Value, value: Value) {
        let s = sizes
        if weights["blk.\(layer!).attn_qkv.weight"] != nil { return try fusedQueryKeyValue(x) }
        // The first names are those of the unshaped products; the reshaped ones take them over.
        let q = try linear("attn_q", x, name: "Qcur", product: "Qcur", .query)
        let k = try linear("attn_k", x, name: "Kcur", product: "Kcur", .key)
        let v = try linear("attn_v", x, name: "Vcur", product: "Vcur", .value)
        return (
            try heads(q, s.keySize, s.heads, name: "Qcur", .query),
            try heads(k, s.keySize, s.kvHeads, name: "Kcur", .key),
            try heads(v, s.valueSize, s.kvHeads, name: "Vcur", .value)
        )
    }

    /// Parts of one product, whose rows are those of all queries, then keys, then values.
    private mutating func fusedQueryKeyValue(_ x: Value) throws(GraphError) -> (query: Value, key: Value, value: Value)
    {
        let s = sizes
        let all = try linear("attn_qkv", x, name: "wqkv", product: "wqkv", sum: "wqkv_b", .queryKeyValue)
        graph.mark(all, as: .init(.queryKeyValue))
        let row = graph.layout(of: all).strides.nb1
        func part(_ size: Int, _ heads: Int, after: Int) -> View {
            View(
                Shape(size, heads, tokenCount), strides: .init(4, size * 4, row, row * tokenCount),
                byteOffset: after * 4)
        }
        let queries = s.heads * s.keySize
        let (q, k) = (part(s.keySize, s.heads, after: 0), part(s.keySize, s.kvHeads, after: queries))
        let v = part(s.valueSize, s.kvHeads, after: queries + s.keyWidth)
        return (
            try graph.apply(q, all, name: "Qcur", role: .init(.query, .heads)),
            try graph.apply(k, all, name: "Kcur", role: .init(.key, .heads)),
            try graph.apply(v, all, name: "Vcur", role: .init(.value, .heads))
        )
    }

    /// Rows counted by heads. `[size,heads,T]`
    mutating func heads(
        _ rows: Value, _ size: Int, _ heads: Int, name: String? = nil, _ part: NodeRole.Part
    ) throws(GraphError) -> Value {
        try graph.apply(Reshape(Shape(size, heads, tokenCount)), rows, name: name, role: .init(part, .heads))
    }

    /// Queries or keys turned by their positions, where the layer does that.
    mutating func rope(_ x: Value, _ part: NodeRole.Part) throws(GraphError) -> Value {
        guard let rope = c.rotations[layer!].map(RoPE.init) else { return x }
        let (positions, name) = (input(.positions), part == .query ? "Qcur" : "Kcur")
        let role = NodeRole(part, .rotated)
        guard let factors = rotationFactors(rope.rope) else {
            return try graph.apply(rope, x, positions, name: name, role: role)
        }
        return try graph.apply(rope, x, positions, weight(factors), name: name, role: role)
    }

    /// What divides the angles: llama 3's factors, or those for long contexts and short ones, chosen by the room that the cache
    /// has, not by how much of it is used.
    private func rotationFactors(_ rope: RoPE.Parameters) -> String? {
        let length = cache.capacity > rope.originalContext ? "long" : "short"
        return ["rope_freqs.weight", "rope_factors_\(length).weight"].first { weights[$0] != nil }
    }

    /// Queries as the temperature of their position makes them, where the model has one.
    mutating func tempered(_ query: Value) throws(GraphError) -> Value {
        guard c.temperature != nil else { return query }
        return try graph.apply(
            Mul(), query, input(.attentionScale), name: "Qcur_attn_temp_scaled", role: .init(.query))
    }

    /// The values of all positions, mixed as each query's softmax over the keys says; keys and values go into the cache.
    /// `[D*H,T]`
    ///
    /// - Parameters:
    ///   - scale: what scores are multiplied by; `nil`: one over the root of the head size.
    ///   - cap: what scores stay below.
    mutating func attention(
        _ query: Value, _ key: Value, _ value: Value, scale: Float? = nil, cap: Float? = nil
    ) throws(GraphError) -> Value {
        let s = sizes
        let (q, k, v) = ((query, NodeRole.Part.query), (key, NodeRole.Part.key), (value, NodeRole.Part.value))
        // llama.cpp's two ways to put them in order: with windows, and without.
        for (projection, part) in c.windows == nil ? [q, v, k] : [q, k, v] {
            graph.mark(projection, as: .init(part))
            graph.expand(projection)
        }
        let (keys, values) = try cached(key: key, value: value)  // [D,N,K], [N,D,K]: shared by the heads of a group
        return try attend(query, keys, values, scale: scale ?? 1 / Float(s.keySize).squareRoot(), cap: cap)
    }

    /// The same of keys and values that are in the cache.
    ///
    /// - Parameters:
    ///   - cap: what scores stay below.
    ///   - unpack: what is made of the mixed values, where they are latent vectors.
    mutating func attend(
        _ query: Value, _ keys: Value, _ values: Value, scale: Float, cap: Float? = nil,
        unpack: ((inout PassBuilder, Value) throws(GraphError) -> Value)? = nil
    ) throws(GraphError) -> Value {
        let s = sizes
        let layout = graph.layout(of: query)
        let view = try graph.apply(View(layout.shape, strides: layout.strides), query, role: .init(.query, .view))
        let queries = try graph.apply(Permute([0, 2, 1, 3]), view, role: .init(.query, .view))  // [D,T,H]

        var scores = try graph.apply(
            MatMul(cachedDimension: 1), keys, queries, name: "kq", role: .init(.scores))  // [N,T,H]
        if let cap {
            graph.mark(scores, as: .init(.scores, .product))
            scores = try softCap(scores, cap, names: ("kq_scaled_1", "kq_tanh", "kq_scaled_2"), .scores)
        }
        let window = c.windows.flatMap { $0.layers[layer!] ? $0.positions : nil }
        let (softmax, mask) = (SoftMax(scale: scale, window: window), input(window == nil ? .mask : .windowMask))
        let (sinks, role) = ("blk.\(layer!).attn_sinks.weight", NodeRole(.pattern))
        let pattern =
            weights[sinks] == nil
            ? try graph.apply(softmax, scores, mask, name: "kq_soft_max", role: role)
            : try graph.apply(softmax, scores, mask, weight(sinks), name: "kq_soft_max", role: role)  // [N,T,H]
        let mixed = try graph.apply(
            MatMul(cachedDimension: 0), values, pattern, name: "kqv", role: .init(.mix, .heads))  // [D,T,H]
        let unpacked = try unpack?(&self, mixed) ?? mixed
        let byToken = try graph.apply(Permute([0, 2, 1, 3]), unpacked, role: .init(.mix, .view))  // [D,H,T]
        let joined = try graph.apply(
            Cont(Shape(s.mixSize * s.heads, tokenCount)), byToken, name: "kqv_out", role: .init(.mix))
        graph.expand(joined)
        return joined
    }

    /// Writes this pass's keys and values into the cache; returns what it then holds, as the scores and the mix read it.
    private mutating func cached(key: Value, value: Value) throws(GraphError) -> (keys: Value, values: Value) {
        let (index, growth) = (layer!, Growth(c: c, capacity: cache.capacity, tokenCount: tokenCount))
        let keyCache = leaf("cache_k_l\(index)", cache.keys[index], .cache)
        let valueCache = leaf("cache_v_l\(index)", cache.values[index]!, .cache)
        try storeKeys(key, keyCache)
        try storeValues(value, valueCache)

        let keyRole = NodeRole(.keyCache, .view)
        let valueRole = NodeRole(.valueCache, .view)
        let filledKeys = try graph.apply(growth.keyView(index, attended), keyCache, role: keyRole)
        let filledValues = try graph.apply(growth.valueView(index, attended), valueCache, role: valueRole)
        keyViews.append((filledKeys, index))
        valueViews.append((filledValues, index))
        return (
            try graph.apply(Permute([0, 2, 1, 3]), filledKeys, role: keyRole),
            try graph.apply(Permute([0, 2, 1, 3]), filledValues, role: valueRole)
        )
    }

    mutating func storeKeys(_ key: Value, _ cache: Value) throws(GraphError) {
        let row = graph.layout(of: key).strides.nb2
        let rows = try graph.apply(
            View(
                Shape(sizes.keyWidth, tokenCount), strides: .init(4, row, row * tokenCount, row * tokenCount)),
            key, role: .init(.key, .view))
        graph.expand(try graph.apply(SetRows(), rows, input(.keyIndices), cache, role: .init(.keyCache)))
    }

    private mutating func storeValues(_ value: Value, _ cache: Value) throws(GraphError) {
        let (width, role) = (sizes.valueWidth, NodeRole(.value, .view))
        let shape = Shape(width, tokenCount)
        let isPacked = graph.layout(of: value).strides.nb2 == width * 4
        let rows =
            isPacked
            ? try graph.apply(Reshape(shape), value, role: role) : try graph.apply(Cont(shape), value, role: role)
        let cells = try graph.apply(
            Reshape(Shape(1, width * self.cache.capacity)), cache, role: .init(.valueCache, .view))
        let elements = try graph.apply(Reshape(Shape(1, width * tokenCount)), rows, role: role)
        graph.expand(
            try graph.apply(SetRows(), elements, input(.valueIndices), cells, role: .init(.valueCache)))
    }
}
