import ComputeGraph
import GGUF
import Operations
import Tensors

/// The parts of which architectures put the graph of a pass together, node for node as llama.cpp builds it with flash
/// attention off; each part says what its nodes are.
///
/// A value is a part's result once something else is made of it: until then its nodes are steps, for a bias, a norm or a
/// scale may follow.
/// Symbols: E embedding, H query heads, K KV heads, D head size, F feed-forward, V vocabulary, T tokens of the pass,
/// N positions attended to (exact, where llama.cpp pads to 256), C cells of the cache, O tokens that get logits.
/// Source: llama.cpp `llama-graph.cpp`, `llama-kv-cache.cpp`.
struct PassBuilder {
    typealias Value = GraphBuilder.Value

    let c: LlamaConfiguration
    let weights: LlamaWeights
    let inputs: PassInputs
    let cache: KVCache
    /// The tensors of the leaves by name.
    private(set) var bindings: [String: Tensor] = [:]
    var graph = GraphBuilder()
    private var leaves: [String: Value] = [:]
    /// Where rows were chosen: of what.
    private var chosen: [Value: Value] = [:]
    /// The views of the caches' filled parts, with their layers.
    var keyViews: [(value: Value, layer: Int)] = []
    var valueViews: [(value: Value, layer: Int)] = []

    init(_ c: LlamaConfiguration, _ weights: LlamaWeights, _ inputs: PassInputs, _ cache: KVCache) {
        (self.c, self.weights, self.inputs, self.cache) = (c, weights, inputs, cache)
    }

    /// The layer that parts belong to; `nil` before the first and after the last.
    var layer: Int? {
        get { graph.layer }
        set { graph.layer = newValue }
    }

    /// The sizes of the layer.
    var sizes: ModelSizes.Layer { c.perLayer[layer!] }

    /// T and N of this pass.
    var tokenCount: Int { inputs.tokens.count }
    var attended: Int { inputs.attended }

    // MARK: ends

    /// A column of the embedding matrix for each token. [E,T]
    ///
    /// - Parameters:
    ///   - scale: what they are multiplied by.
    ///   - rows: llama.cpp's name of the rows, and `scaled` of what they are multiplied to.
    mutating func embedding(
        scale factor: Float? = nil, rows: String? = nil, scaled: String = "embd"
    ) throws(GraphError) -> Value {
        let (table, ids) = (weight("token_embd.weight"), input(.tokens))
        guard let factor else {
            return try graph.apply(GetRows(), table, ids, name: "embd", role: .init(.embedding))
        }
        let rows = try graph.apply(GetRows(), table, ids, name: rows, role: .init(.embedding, .rows))
        return try scale(rows, by: factor, name: scaled, .embedding)
    }

    /// The stream as the output matrix reads it. [E,O]
    mutating func finalNorm(_ stream: Value) throws(GraphError) -> Value {
        layer = nil
        return try norm(stream, "output_norm", name: "result_norm", .finalNorm)
    }

    /// A score for each token of the vocabulary. [V,O]
    ///
    /// - Parameters:
    ///   - scale: what they are multiplied by.
    ///   - cap: what they stay below.
    mutating func logits(
        _ normed: Value, scale factor: Float? = nil, cap: Float? = nil
    ) throws(GraphError) -> Value {
        let name = factor == nil && cap == nil ? "result_output" : nil
        var logits = try linear(
            weights.isTied ? "token_embd" : "output", normed, name: name, bias: "output.bias", .logits)
        logits = try scale(logits, by: factor, name: "result_output", .logits)
        if let cap { logits = try softCap(logits, cap, names: (nil, nil, "result_output"), .logits) }
        graph.mark(logits, as: .init(.logits))
        return logits
    }

    /// In the last layer, only the tokens whose logits are wanted go on. [E,O]
    mutating func keepOutputs(_ written: inout Value, _ stream: inout Value) throws(GraphError) {
        guard layer == c.layers - 1 else { return }
        let all = written
        written = try graph.apply(GetRows(), all, input(.outputs), role: .init(.attentionWrite, .rows))
        stream = try graph.apply(GetRows(), stream, input(.outputs), role: .init(.attentionResidual, .rows))
        chosen[written] = all
    }

    /// The same of what the feed-forward network reads, where that is what attention read.
    mutating func keepOutputs(of read: Value) throws(GraphError) -> Value {
        guard layer == c.layers - 1 else { return read }
        return try graph.apply(GetRows(), read, input(.outputs), role: .init(.attentionNorm, .rows))
    }

    /// After the last layer, the tokens whose logits are wanted. [E,O]
    mutating func outputs(of stream: Value) throws(GraphError) -> Value {
        layer = nil
        return try graph.apply(GetRows(), stream, input(.outputs), role: .init(.finalNorm, .rows))
    }

    // MARK: the residual stream

    mutating func addAttention(
        _ written: Value, to stream: Value, name: String? = "ffn_inp"
    ) throws(GraphError) -> Value {
        graph.mark(chosen[written] ?? written, as: .init(.attentionWrite))
        return try graph.apply(Add(), written, stream, name: name, role: .init(.attentionResidual))
    }

    /// - Parameter streamFirst: which of the two llama.cpp names first.
    mutating func addFeedForward(
        _ written: Value, to stream: Value, streamFirst: Bool = false
    ) throws(GraphError) -> Value {
        graph.mark(written, as: .init(.feedForwardWrite))
        let (first, second) = streamFirst ? (stream, written) : (written, stream)
        return try graph.apply(Add(), first, second, name: "l_out", role: .init(.layerOutput))
    }

    /// Both parts of a layer at once, where both read the same.
    mutating func addParallel(
        feedForward: Value, attention: Value, to stream: Value
    ) throws(GraphError) -> Value {
        graph.mark(feedForward, as: .init(.feedForwardWrite))
        graph.mark(chosen[attention] ?? attention, as: .init(.attentionWrite))
        let partial = try graph.apply(Add(), feedForward, stream, role: .init(.layerOutput, .partial))
        return try graph.apply(Add(), partial, attention, name: "l_out", role: .init(.layerOutput))
    }

    /// `W_down · (silu(W_gate · x) * W_up · x)`, or with another activation than silu; `W_down · activation(W_up · x)` where
    /// the file has no gate. [E,T]
    ///
    /// - Parameters:
    ///   - suffix: of the matrices' names in the file.
    ///   - hidden: llama.cpp's name of the activation's node, and `name` of the result.
    mutating func feedForward(
        _ x: Value, activation: some Operation = SwiGLU(), suffix: String = "",
        hidden hiddenName: String = "ffn_swiglu", name: String = "ffn_out", _ part: NodeRole.Part = .feedForwardWrite
    ) throws(GraphError) -> Value {
        let up = try linear("ffn_up" + suffix, x, name: "ffn_up", product: "ffn_up", sum: "ffn_up_b", .up)  // [F,T]
        graph.mark(up, as: .init(.up))
        let hidden: Value  // [F,T]
        if weights[local("ffn_gate" + suffix) + ".weight"] == nil {
            hidden = try graph.apply(activation, up, name: hiddenName, role: .init(.activation))
        } else {
            let gate = try linear(
                "ffn_gate" + suffix, x, name: "ffn_gate", product: "ffn_gate", sum: "ffn_gate_b", .gate)
            graph.mark(gate, as: .init(.gate))
            hidden = try graph.apply(activation, gate, up, name: hiddenName, role: .init(.activation))
        }
        return try linear("ffn_down" + suffix, hidden, name: name, product: "ffn_down", part)
    }

    // MARK: pieces

    /// `x / rms(x) * w` of each row of x, or with LayerNorm and a bias: a part of its own, or a step of another.
    ///
    /// - Parameters:
    ///   - weight: the weight's name in the file, without block and ending.
    ///   - name: llama.cpp's name of the node, where that is another.
    ///   - numbered: whether its name ends in the layer, as they do in llama.cpp but for one norm.
    ///   - numberedSteps: whether the name of the step before it does; `nil`: as its own.
    mutating func norm(
        _ x: Value, _ weight: String, name: String? = nil, _ part: NodeRole.Part, numbered: Bool = true,
        numberedSteps: Bool? = nil
    ) throws(GraphError) -> Value {
        let isWhole = [.attentionNorm, .feedForwardNorm, .finalNorm].contains(part)
        let (step, isNumbered) = (NodeRole(part, .unweighted), numberedSteps ?? numbered)
        let normed =
            switch c.norm {
            case .rootMeanSquare(let epsilon):
                try graph.apply(RMSNorm(epsilon: epsilon), x, name: "norm", numbered: isNumbered, role: step)
            case .layer(let epsilon):
                try graph.apply(LayerNorm(epsilon: epsilon), x, name: "norm", numbered: isNumbered, role: step)
            }
        let result = NodeRole(part, isWhole ? nil : .normed)
        let (gain, bias) = (self.weight(local(weight) + ".weight"), local(weight) + ".bias")
        guard weights[bias] != nil else {
            return try graph.apply(Mul(), normed, gain, name: name ?? weight, numbered: numbered, role: result)
        }
        let weighted = try graph.apply(
            Mul(), normed, gain, name: "norm_w", numbered: isNumbered, role: .init(part, .normed))
        return try graph.apply(
            Add(), weighted, self.weight(bias), name: name ?? weight, numbered: numbered, role: result)
    }

    /// `W · x`, and the bias if the file has one.
    ///
    /// - Parameters:
    ///   - matrix: its name in the file, without block and ending.
    ///   - name: llama.cpp's name of the node.
    ///   - product: its name of the product, and `sum` of the sum, where a bias follows.
    ///   - bias: the bias's name in the file, where that is another than the matrix's.
    mutating func linear(
        _ matrix: String, _ x: Value, name: String?, product: String? = nil, sum: String? = nil, bias: String? = nil,
        _ part: NodeRole.Part
    ) throws(GraphError) -> Value {
        let bias = bias ?? local(matrix) + ".bias"
        let hasBias = weights[bias] != nil
        let result = try graph.apply(
            MatMul(), weight(local(matrix) + ".weight"), x, name: hasBias ? product : name,
            role: .init(part, .product))
        guard hasBias else { return result }
        return try graph.apply(Add(), result, weight(bias), name: sum ?? name, role: .init(part, .biased))
    }

    /// What is multiplied by a number, where there is one.
    mutating func scale(
        _ x: Value, by factor: Float?, name: String? = nil, _ part: NodeRole.Part
    ) throws(GraphError) -> Value {
        guard let factor else { return x }
        return try graph.apply(Scale(by: factor), x, name: name, role: .init(part))
    }

    /// `cap · tanh(x / cap)`: near x where that is small, and never beyond the cap.
    ///
    /// - Parameter names: llama.cpp's names of the three nodes.
    mutating func softCap(
        _ x: Value, _ cap: Float, names: (String?, String?, String?), _ part: NodeRole.Part
    ) throws(GraphError) -> Value {
        let step = NodeRole(part, .scaled)
        let divided = try graph.apply(Scale(by: 1 / cap), x, name: names.0, role: step)
        let bent = try graph.apply(Tanh(), divided, name: names.1, role: step)
        return try scale(bent, by: cap, name: names.2, part)
    }

    /// The weight's name in the file.
    private func local(_ name: String) -> String { layer.map { "blk.\($0).\(name)" } ?? name }

    // MARK: leaves

    mutating func weight(_ name: String) -> Value { leaf(name, weights[name]!.tensor, .weight) }

    mutating func input(_ name: PassInputs.Name) -> Value {
        leaves[name.rawValue] ?? leaf(name.rawValue, inputs.tensor(name), .input, called: name.leaf)
    }

    /// - Parameter called: what llama.cpp calls it, where two are called alike.
    mutating func leaf(_ name: String, _ tensor: Tensor, _ role: Leaf.Role, called: String? = nil) -> Value {
        if let value = leaves[name] { return value }
        let value = graph.leaf(called ?? name, tensor.layout, role)
        leaves[name] = value
        bindings[name] = tensor
        return value
    }

    /// The names of the graph's leaves, in its order: those by which `bindings` has their tensors.
    ///
    /// - Precondition: all of the pass is in order.
    var leafNames: [String] {
        let indexed = leaves.compactMap { name, value -> (Int, String)? in
            if case .leaf(let index)? = graph.source(of: value) { (index, name) } else { nil }
        }
        return indexed.sorted { $0.0 < $1.0 }.map(\.1)
    }
}
