import ComputeGraph
import Tensors

/// What differs from pass to pass: tokens, positions, cells of the cache, the mask.
struct PassInputs {
    /// llama.cpp's names, and for what it calls alike a name that is Quipu's alone.
    enum Name: String {
        case tokens = "inp_tokens"
        case positions = "inp_pos"
        case mask = "attn_inp_kq_mask"
        case windowMask = "attn_inp_kq_mask (window)"
        case keyIndices = "attn_inp_k_idxs"
        case valueIndices = "attn_inp_v_idxs"
        case outputs = "out_ids"
        case attentionScale = "inp_attn_scale"

        /// What llama.cpp calls the leaf.
        var leaf: String { self == .windowMask ? Name.mask.rawValue : rawValue }
    }

    let tokens: [Int32]
    /// The tokens that get logits, counted from the pass's first.
    let outputs: Range<Int>
    /// Position of the first token.
    let first: Int
    /// C: cells of the cache.
    let capacity: Int
    let c: LlamaConfiguration

    /// N: positions attended to.
    var attended: Int { first + tokens.count }

    func tensor(_ name: Name) -> Tensor {
        switch name {
        case .tokens: filled(.i32, Shape(tokens.count), tokens)
        case .positions: filled(.i32, Shape(tokens.count), tokens.indices.map { Int32(first + $0) })
        case .mask: filled(.f32, Shape(attended, tokens.count), mask())
        case .windowMask: filled(.f32, Shape(attended, tokens.count), mask(window: c.windows!.positions))
        case .keyIndices: filled(.i64, Shape(tokens.count), tokens.indices.map { Int64(first + $0) })
        case .valueIndices: filled(.i64, Shape(tokens.count * valueWidth), valueIndices)
        case .outputs: filled(.i32, Shape(outputs.count), outputs.map(Int32.init))
        case .attentionScale: filled(.f32, Shape(1, 1, tokens.count), attentionScale)
        }
    }

    /// The same in every layer, for all write at these cells.
    private var valueWidth: Int { c.perLayer[0].valueWidth }

    /// 0 where a token may look, -∞ at later positions and those that its window has left behind. [N,T]
    private func mask(window: Int? = nil) -> [Float] {
        var mask = [Float](repeating: -.infinity, count: attended * tokens.count)
        for token in tokens.indices {
            let position = first + token
            let oldest = max(0, position + 1 - (window ?? .max))
            for visible in oldest...position { mask[token * attended + visible] = 0 }
        }
        return mask
    }

    /// What each token's query is multiplied by. [1,1,T]
    private var attentionScale: [Float] {
        tokens.indices.map { c.temperature!.factor(at: first + $0) }
    }

    /// The cache element of each token's each value, token by token. [T*K*D]
    private var valueIndices: [Int64] {
        tokens.indices.flatMap { token in (0..<valueWidth).map { Int64($0 * capacity + first + token) } }
    }

    private func filled<Element: BitwiseCopyable>(
        _ type: TensorType, _ shape: Shape, _ values: [Element]
    ) -> Tensor {
        let tensor = Tensor.zeros(type, shape)
        tensor.withMutableElements(of: Element.self) { span in
            for index in values.indices { span[index] = values[index] }
        }
        return tensor
    }
}

extension Leaf {
    /// Whether it is the ids of the pass's tokens. All other inputs follow from how many there are, and from which position.
    public var holdsTokens: Bool { name == PassInputs.Name.tokens.rawValue }
}
