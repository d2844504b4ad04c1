import GGUF
import Operations

/// What the graph of a model is made by: sizes and constants, from its file's metadata.
public struct LlamaConfiguration: Sendable, Equatable {
    public private(set) var sizes: ModelSizes
    /// How each layer rotates queries and keys; `nil` where it does not.
    public let rotations: [RoPE.Parameters?]
    public let normEpsilon: Float

    public var perLayer: [ModelSizes.Layer] { sizes.perLayer }
    /// As `general.architecture` has it.
    public var architecture: String { sizes.architecture }
    public var layers: Int { sizes.layers }
    public var embedding: Int { sizes.embedding }
    public var vocabulary: Int { sizes.vocabulary }
    public var trainedContext: Int { sizes.trainedContext }
    public var heads: Int { sizes.heads }
    public var kvHeads: Int { sizes.kvHeads }
    public var groupSize: Int { sizes.groupSize }
    public var headSize: Int { sizes.headSize }
    public var feedForward: Int { sizes.feedForward }
    public func kvHead(ofQueryHead head: Int) -> Int { sizes.kvHead(ofQueryHead: head) }

    init(sizes: ModelSizes, rotations: [RoPE.Parameters?], normEpsilon: Float) {
        (self.sizes, self.rotations, self.normEpsilon) = (sizes, rotations, normEpsilon)
    }

    /// - Precondition: a divisor of the query heads.
    func with(kvHeads: Int) -> LlamaConfiguration {
        precondition(kvHeads > 0 && heads % kvHeads == 0, "\(kvHeads) KV heads for \(heads) query heads")
        var copy = self
        for index in copy.sizes.perLayer.indices { copy.sizes.perLayer[index].kvHeads = kvHeads }
        return copy
    }

    /// - Throws: `LlamaError` if the file is no model that Quipu runs.
    public init(metadata: Metadata, file: String) throws(LlamaError) {
        self = try Architectures.architecture(metadata: metadata, file: file).configuration
    }
}

extension LlamaConfiguration {
    /// The sizes of a dense model, from the keys that all architectures share.
    ///
    /// - Parameters:
    ///   - pairs: which values of a head the architecture turns together.
    ///   - rotates: whether a layer rotates at all.
    init(
        dense keys: MetadataReader, pairs: RoPE.Pairs, rotates: (Int) -> Bool = { _ in true }
    ) throws(LlamaError) {
        if let experts = try keys.count("expert_count"), experts > 0 {
            throw keys.unsupported("expert_count", "\(experts)", "models of '\(keys.architecture)' without experts")
        }
        try self.init(keys, pairs: pairs, rotates: rotates, experts: 0)
    }

    /// The sizes of a model whose layers have experts.
    init(_ keys: MetadataReader, pairs: RoPE.Pairs, _ routing: ExpertRouting) throws(LlamaError) {
        try self.init(keys, pairs: pairs, rotates: { _ in true }, experts: routing.count)
    }

    private init(
        _ keys: MetadataReader, pairs: RoPE.Pairs, rotates: (Int) -> Bool, experts: Int
    ) throws(LlamaError) {
        let limit = 1 << 24  // far above any model, far below overflow
        let layers = try keys.count("block_count", in: 1...512)
        let embedding = try keys.count("embedding_length", in: 1...limit)
        let trainedContext = try keys.count("context_length", in: 1...limit)
        normEpsilon = try keys.requiredFloat("attention.layer_norm_rms_epsilon")
        let feedForward = try keys.uniformCount("feed_forward_length", layers: layers, in: 1...limit)
        let heads = try keys.uniformCount("attention.head_count", layers: layers, in: 1...limit)
        let kvHeads = try keys.uniformCount("attention.head_count_kv", layers: layers) ?? heads
        guard kvHeads > 0, heads % kvHeads == 0 else {
            throw keys.invalid("attention.head_count_kv", "\(kvHeads)", "a divisor of the \(heads) query heads")
        }
        let headSize = try Self.headSize(keys, embedding / heads)
        let layer = ModelSizes.Layer(
            heads: heads, kvHeads: kvHeads, keySize: headSize, valueSize: headSize, feedForward: feedForward)
        sizes = ModelSizes(
            architecture: keys.architecture, perLayer: Array(repeating: layer, count: layers), embedding: embedding,
            vocabulary: try Self.vocabulary(keys), trainedContext: trainedContext, experts: experts)
        let rotation = try RoPE.Parameters(keys, pairs, dimensions: headSize, trainedContext: trainedContext)
        rotations = (0..<layers).map { rotates($0) ? rotation : nil }
    }

    private static func headSize(_ keys: MetadataReader, _ fallback: Int) throws(LlamaError) -> Int {
        let keyLength = try keys.count("attention.key_length") ?? fallback
        let valueLength = try keys.count("attention.value_length") ?? fallback
        let rotated = try keys.count("rope.dimension_count") ?? keyLength
        guard keyLength == valueLength else {
            throw keys.unsupported(
                "attention.value_length", "\(valueLength)", "value heads as long as key heads (\(keyLength))")
        }
        guard rotated == keyLength, rotated > 0, rotated % 2 == 0 else {
            throw keys.invalid(
                "rope.dimension_count", "\(rotated)", "the head size (\(keyLength)), an even number")
        }
        return keyLength
    }

    static func vocabulary(_ keys: MetadataReader) throws(LlamaError) -> Int {
        if let count = try keys.count("vocab_size"), count > 0 { return count }
        guard let tokens = keys.metadata["tokenizer.ggml.tokens"]?.array, tokens.count > 0 else {
            throw .missingKey(file: keys.file, key: "tokenizer.ggml.tokens")
        }
        return tokens.count
    }
}
