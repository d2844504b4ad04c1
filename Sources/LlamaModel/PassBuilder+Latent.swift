import ComputeGraph
import Operations
import Tensors

/// Attention whose keys and values are made of one short vector a position (MLA): H heads of nope + rope values for
/// queries and keys, of which only the last rope are rotated, in all heads alike; R values of the latent vector.
///
/// Source: llama.cpp `src/models/deepseek2.cpp`; DeepSeek-AI 2024, "DeepSeek-V2".
extension PassBuilder {
    /// Queries of all heads, counted by heads: through a bottleneck with a norm where the file has one. [D,H,T]
    ///
    /// - Parameter size: D, of a head.
    mutating func latentQuery(_ x: Value, size: Int) throws(GraphError) -> Value {
        let q: Value
        if weights["blk.\(layer!).attn_q_a.weight"] != nil {
            let narrow = try linear("attn_q_a", x, name: "q", .query)
            q = try linear("attn_q_b", norm(narrow, "attn_q_a_norm", name: "q", .query), name: "q", .query)
        } else {
            q = try linear("attn_q", x, name: "q", .query)
        }
        return try heads(q, size, sizes.heads, name: "q", .query)
    }

    /// The latent vector `[R,T]`, normalised, and the rotated part of the keys of all heads `[rope,1,T]`.
    mutating func latentKeyValue(_ x: Value, rank: Int, rotated: Int) throws(GraphError) -> (latent: Value, key: Value)
    {
        let both = try linear("attn_kv_a_mqa", x, name: "kv_cmpr_pe", .latent)  // [R+rope,T]
        let row = graph.layout(of: both).strides.nb1
        let part = try graph.apply(
            View(Shape(rank, tokenCount), strides: .init(4, row, row * tokenCount, row * tokenCount)), both,
            name: "kv_cmpr", role: .init(.latent, .view))
        let latent = try norm(part, "attn_kv_a_norm", name: "kv_cmpr", .latent)
        graph.mark(latent, as: .init(.latent))
        let key = try graph.apply(
            View(Shape(rotated, 1, tokenCount), strides: .init(4, row, row, row * tokenCount), byteOffset: rank * 4),
            both, name: "k_pe", role: .init(.key, .view))
        return (latent, try turned(key, name: "k_pe", .init(.key, .rotated)))
    }

    /// Heads asked as latent vectors, which stay packed: what would make keys of them is multiplied into the queries, and
    /// what makes values of them into what is mixed. [V*H,T]
    ///
    /// - Parameters:
    ///   - query: `[D,H,T]`, not rotated.
    ///   - latent: `[R,T]`.
    ///   - key: the rotated part of the keys, `[rope,1,T]`.
    mutating func absorbedAttention(
        _ query: Value, latent: Value, key: Value, scale: Float
    ) throws(GraphError) -> Value {
        let (s, sizes) = (sizes.latent!, sizes)
        let strides = graph.layout(of: query).strides
        let plain = try graph.apply(
            View(Shape(s.keySize - s.rotated, sizes.heads, tokenCount), strides: strides), query, name: "q_nope",
            role: .init(.query, .view))  // [nope,H,T]
        let byHead = try graph.apply(
            Permute([0, 2, 1, 3]), plain, name: "q_nope_perm", role: .init(.query, .view))  // [nope,T,H]
        let asked = try graph.apply(
            MatMul(), weight("blk.\(layer!).attn_k_b.weight"), byHead, name: "q_nope_absorbed",
            role: .init(.query, .absorbed))  // [R,T,H]
        let absorbed = try graph.apply(
            Permute([0, 2, 1, 3]), asked, name: "q_nope_absorbed_perm", role: .init(.query, .view))  // [R,H,T]
        let part = try graph.apply(
            View(
                Shape(s.rotated, sizes.heads, tokenCount), strides: strides, byteOffset: (s.keySize - s.rotated) * 4),
            query, name: "q_pe", role: .init(.query, .view))
        let turnedPart = try turned(part, name: "q_pe", .init(.query, .rotated))  // [rope,H,T]
        let whole = try graph.apply(Concat(), absorbed, turnedPart, name: "Qcur", role: .init(.query))  // [R+rope,H,T]
        let packed = try graph.apply(
            Reshape(Shape(s.rank, 1, tokenCount)), latent, name: "Vcur", role: .init(.latent, .view))
        let kept = try graph.apply(Concat(), packed, key, name: "Kcur", role: .init(.key))  // [R+rope,1,T]
        for value in [whole, packed, kept] { graph.expand(value) }
        let (keys, values) = try cachedLatent(kept)  // [R+rope,N,1], [N,R,1]
        return try attend(whole, keys, values, scale: scale) {
            (pass: inout PassBuilder, mixed: Value) throws(GraphError) -> Value in
            try pass.graph.apply(
                MatMul(), pass.weight("blk.\(pass.layer!).attn_v_b.weight"), mixed, name: "kqv_mla",
                role: .init(.mix, .heads))  // [V,T,H]
        }
    }

    /// Keys and values of each head unpacked, as files from before May 2025 want it. [V*H,T]
    mutating func unpackedAttention(
        _ query: Value, latent: Value, key: Value, scale: Float
    ) throws(GraphError) -> Value {
        let s = sizes
        let (rotated, plain) = (graph.layout(of: key).shape.ne0, s.keySize - graph.layout(of: key).shape.ne0)
        let both = try linear("attn_kv_b", latent, name: "kv", .keyValue)  // [H*(nope+V),T]
        graph.mark(both, as: .init(.keyValue))
        let (head, row) = ((plain + s.valueSize) * 4, (plain + s.valueSize) * 4 * s.heads)
        func part(_ size: Int, after: Int) -> View {
            View(
                Shape(size, s.heads, tokenCount), strides: .init(4, head, row, row * tokenCount), byteOffset: after * 4)
        }
        let keys = try graph.apply(part(plain, after: 0), both, name: "k_nope_view", role: .init(.key, .view))
        let view = try graph.apply(
            part(s.valueSize, after: plain), both, name: "Vcur_view", role: .init(.value, .view))
        let values = try graph.apply(Cont(), view, name: "Vcur_cont", role: .init(.value), tokens: 2)
        let repeated = try graph.apply(
            Repeat(to: Shape(rotated, s.heads, tokenCount)), key, role: .init(.key, .rotated))
        let whole = try graph.apply(Concat(), keys, repeated, name: "Kcur", role: .init(.key))
        return try attention(
            turned(query, name: "Qcur", .init(.query), after: plain), whole, values, scale: scale)
    }

    /// - Parameter offset: values of a head before those that are turned.
    private mutating func turned(
        _ x: Value, name: String, _ role: NodeRole, after offset: Int = 0
    ) throws(GraphError) -> Value {
        var rotation = c.rotations[layer!]!
        rotation.offset = offset
        return try graph.apply(RoPE(rotation), x, input(.positions), name: name, role: role)
    }

    /// Writes this pass's latent vectors into the cache; returns what it then holds, as the scores and the mix read it.
    private mutating func cachedLatent(_ kept: Value) throws(GraphError) -> (keys: Value, values: Value) {
        let (index, growth) = (layer!, Growth(c: c, capacity: cache.capacity, tokenCount: tokenCount))
        let role = NodeRole(.keyCache, .view)
        let cells = leaf("cache_k_l\(index)", cache.keys[index], .cache)
        try storeKeys(kept, cells)
        let filled = try graph.apply(growth.keyView(index, attended), cells, role: role)  // [R+rope,1,N]
        let latent = try graph.apply(growth.valueView(index, attended), filled, role: role)  // [R,1,N]
        keyViews.append((filled, index))
        valueViews.append((latent, index))
        let byPosition = try graph.apply(Permute([0, 2, 1, 3]), latent, role: role)  // [R,N,1]
        let transposed = try graph.apply(Transpose(), byPosition, role: role)  // [N,R,1]
        let values = try graph.apply(Cont(), transposed, name: "v_cont", role: role)
        return (try graph.apply(Permute([0, 2, 1, 3]), filled, role: role), values)
    }
}
