import GGUF
import Quantization
import Tensors

/// The weights of a model by the names they have in the file, checked against what its architecture asks for.
///
/// Tensors lie in the mapped file; nothing is copied or changed, unless `replacing` is asked to.
public struct LlamaWeights: Sendable {
    /// A weight with what its file says of it; `replacing` changes the tensor alone.
    public struct Weight: Sendable {
        public let info: TensorInfo
        public let tensor: Tensor
    }

    /// A matrix and, in some models, the bias added to its product.
    public struct Linear: Sendable {
        public let weight: Weight
        public let bias: Weight?
    }

    private var table: [String: Weight]
    private let layerCount: Int

    /// - Throws: `LlamaError` if a tensor is missing, misshapen, of a format that cannot be multiplied, or left over.
    public init(file: GGUFFile) throws(LlamaError) {
        try self.init(file: file, Architectures.architecture(of: file))
    }

    init(file: GGUFFile, _ architecture: any Architecture) throws(LlamaError) {
        var loader = WeightLoader(file: file, architecture.configuration)
        try architecture.weights(&loader)
        try loader.checkAllUsed()
        (table, layerCount) = (loader.table, architecture.configuration.layers)
    }

    /// The weight of this name; `nil` if the model has none.
    public subscript(name: String) -> Weight? { table[name] }

    /// The same weights with other tensors in the place of some, by the names they have in the file.
    public func replacing(_ tensors: [String: Tensor]) -> LlamaWeights {
        var copy = self
        for (name, tensor) in tensors {
            copy.table[name] = table[name].map { Weight(info: $0.info, tensor: tensor) }
        }
        return copy
    }

    // MARK: what every model has

    public var tokenEmbedding: Weight { table["token_embd.weight"]! }
    public var outputNorm: Weight { table["output_norm.weight"]! }
    /// The output head; the token embedding itself where the model ties them.
    public var output: Weight { table["output.weight"] ?? tokenEmbedding }
    public var isTied: Bool { table["output.weight"] == nil }
    public var layers: [Layer] { (0..<layerCount).map { Layer(weights: self, index: $0) } }

    /// The weights of one block.
    public struct Layer: Sendable {
        fileprivate let weights: LlamaWeights
        fileprivate let index: Int

        /// The matrix called `blk.i.name.weight`, with its bias; `nil` if the block has none.
        public func linear(_ name: String) -> Linear? {
            weights["blk.\(index).\(name).weight"].map {
                Linear(weight: $0, bias: weights["blk.\(index).\(name).bias"])
            }
        }

        public var attention: Attention {
            if let fused = linear("attn_qkv") { return .fused(fused) }
            return .separate(query: linear("attn_q")!, key: linear("attn_k")!, value: linear("attn_v")!)
        }
        public var attentionOutput: Linear { linear("attn_output")! }
        public var down: Linear { linear("ffn_down")! }
    }

    public enum Attention: Sendable {
        case separate(query: Linear, key: Linear, value: Linear)
        /// `attn_qkv`: one matrix for all three.
        case fused(Linear)
    }
}
