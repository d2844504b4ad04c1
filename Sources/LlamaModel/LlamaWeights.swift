import GGUF
import Quantization
import Tensors

/// The weights of a llama by their place in the graph, checked against the configuration.
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

        func check(rows: Int) {
            precondition(
                weight.tensor.shape.ne1 == rows && bias.map { $0.tensor.shape.ne0 == rows } ?? true,
                "'\(weight.info.name)' is \(weight.tensor.shape), expected \(rows) rows, and as many in its bias")
        }
    }

    public struct Layer: Sendable {
        public let attentionNorm: Weight
        public let attention: Attention
        public let attentionOutput: Linear
        public let feedForwardNorm: Weight
        public let gate: Linear
        public let up: Linear
        public let down: Linear
    }

    public enum Attention: Sendable {
        case separate(query: Linear, key: Linear, value: Linear)
        /// `attn_qkv`: one matrix for all three.
        case fused(Linear)
    }

    public private(set) var tokenEmbedding: Weight
    public private(set) var layers: [Layer]
    public private(set) var outputNorm: Weight
    /// The output head; the token embedding itself where the model ties them.
    public private(set) var output: Weight
    public let isTied: Bool
    /// `rope_freqs.weight`: Llama 3's frequency factors, shared by all layers.
    public private(set) var ropeFactors: Weight?

    /// - Throws: `LlamaError` if a tensor is missing, misshapen, of a format that cannot be multiplied, or left over.
    public init(file: GGUFFile, configuration c: LlamaConfiguration) throws(LlamaError) {
        var loader = Loader(file: file)
        tokenEmbedding = try loader.weight("token_embd.weight", Shape(c.embedding, c.vocabulary))
        outputNorm = try loader.vector("output_norm.weight", c.embedding)
        let separate = try loader.optionalWeight("output.weight", Shape(c.embedding, c.vocabulary))
        output = separate ?? tokenEmbedding
        isTied = separate == nil
        ropeFactors = try loader.optionalVector("rope_freqs.weight", c.headSize / 2)
        var layers: [Layer] = []
        for index in 0..<c.layers { layers.append(try loader.layer(index, c)) }
        self.layers = layers
        try loader.checkAllUsed()
    }

    /// The same weights with other tensors in the place of some, by the names they have in the file.
    public func replacing(_ tensors: [String: Tensor]) -> LlamaWeights {
        func replaced(_ weight: Weight) -> Weight {
            Weight(info: weight.info, tensor: tensors[weight.info.name] ?? weight.tensor)
        }
        func replaced(_ linear: Linear) -> Linear {
            Linear(weight: replaced(linear.weight), bias: linear.bias.map(replaced))
        }
        var copy = self
        copy.tokenEmbedding = replaced(tokenEmbedding)
        copy.outputNorm = replaced(outputNorm)
        copy.output = replaced(output)
        copy.ropeFactors = ropeFactors.map(replaced)
        copy.layers = layers.map { layer in
            let attention: Attention =
                switch layer.attention {
                case .separate(let query, let key, let value):
                    .separate(query: replaced(query), key: replaced(key), value: replaced(value))
                case .fused(let matrix): .fused(replaced(matrix))
                }
            return Layer(
                attentionNorm: replaced(layer.attentionNorm), attention: attention,
                attentionOutput: replaced(layer.attentionOutput), feedForwardNorm: replaced(layer.feedForwardNorm),
                gate: replaced(layer.gate), up: replaced(layer.up), down: replaced(layer.down))
        }
        return copy
    }
}

/// Takes tensors out of a file one by one, and knows which were never asked for.
private struct Loader {
    let file: GGUFFile
    private var used: Set<String> = []

    private static let formats = BlockFormats.weights.map(\.type)

    init(file: GGUFFile) { self.file = file }

    mutating func layer(_ index: Int, _ c: LlamaConfiguration) throws(LlamaError) -> LlamaWeights.Layer {
        let block = "blk.\(index)."
        let queries = c.heads * c.headSize
        return LlamaWeights.Layer(
            attentionNorm: try vector(block + "attn_norm.weight", c.embedding),
            attention: try attention(block, c, queries),
            attentionOutput: try linear(block + "attn_output", Shape(queries, c.embedding)),
            feedForwardNorm: try vector(block + "ffn_norm.weight", c.embedding),
            gate: try linear(block + "ffn_gate", Shape(c.embedding, c.feedForward)),
            up: try linear(block + "ffn_up", Shape(c.embedding, c.feedForward)),
            down: try linear(block + "ffn_down", Shape(c.feedForward, c.embedding)))
    }

    private mutating func attention(
        _ block: String, _ c: LlamaConfiguration, _ queries: Int
    ) throws(LlamaError) -> LlamaWeights.Attention {
        if file.tensor(named: block + "attn_qkv.weight") != nil {
            return .fused(try linear(block + "attn_qkv", Shape(c.embedding, queries + 2 * c.kvSize)))
        }
        return .separate(
            query: try linear(block + "attn_q", Shape(c.embedding, queries)),
            key: try linear(block + "attn_k", Shape(c.embedding, c.kvSize)),
            value: try linear(block + "attn_v", Shape(c.embedding, c.kvSize)))
    }

    private mutating func linear(_ name: String, _ shape: Shape) throws(LlamaError) -> LlamaWeights.Linear {
        LlamaWeights.Linear(
            weight: try weight(name + ".weight", shape), bias: try optionalVector(name + ".bias", shape.ne1))
    }

    mutating func weight(_ name: String, _ shape: Shape) throws(LlamaError) -> LlamaWeights.Weight {
        guard let weight = try optionalWeight(name, shape) else {
            throw .missingTensor(file: file.path, name: name, expected: shape)
        }
        return weight
    }

    /// A norm's weight or a bias: added to or multiplied with activations as it is, so it must be F32.
    mutating func vector(_ name: String, _ count: Int) throws(LlamaError) -> LlamaWeights.Weight {
        guard let vector = try optionalVector(name, count) else {
            throw .missingTensor(file: file.path, name: name, expected: Shape(count))
        }
        return vector
    }

    mutating func optionalVector(_ name: String, _ count: Int) throws(LlamaError) -> LlamaWeights.Weight? {
        guard let weight = try optionalWeight(name, Shape(count)) else { return nil }
        guard weight.info.type == .f32 else {
            throw .unsupported(
                file: file.path, what: "type of '\(name)'", found: weight.info.type.name, supported: "F32 vectors")
        }
        return weight
    }

    mutating func optionalWeight(_ name: String, _ shape: Shape) throws(LlamaError) -> LlamaWeights.Weight? {
        guard let info = file.tensor(named: name) else { return nil }
        guard info.shape == shape else {
            throw .wrongShape(file: file.path, name: name, found: info.shape, expected: shape)
        }
        guard Self.formats.contains(info.type) else {
            throw .unsupported(
                file: file.path, what: "type of '\(name)'", found: info.type.name,
                supported: Self.formats.map(\.name).joined(separator: ", "))
        }
        used.insert(name)
        return LlamaWeights.Weight(info: info, tensor: file.values(of: info))
    }

    func checkAllUsed() throws(LlamaError) {
        let left = file.tensors.map(\.name).filter { !used.contains($0) }
        if !left.isEmpty { throw .unusedTensors(file: file.path, names: left) }
    }
}
