import GGUF
import Operations

/// The sizes of a model, from its file's metadata.
public struct LlamaConfiguration: Sendable, Equatable {
    /// The sizes of one layer.
    public struct Layer: Sendable, Hashable {
        /// n_head: query heads.
        public var heads: Int
        /// n_head_kv: key and value heads; `heads / kvHeads` query heads share one.
        public var kvHeads: Int
        /// n_embd_head_k: values of a head of queries and keys.
        public var keySize: Int
        /// n_embd_head_v: values of a head of values.
        public var valueSize: Int
        /// n_ff: width of the feed-forward network.
        public var feedForward: Int
        /// How queries and keys are rotated; `nil` if they are not.
        public var rope: RoPE.Parameters?

        /// Query heads that share a KV head.
        public var groupSize: Int { heads / kvHeads }
        /// Keys of all heads of one position.
        public var keyWidth: Int { kvHeads * keySize }
        /// Values of all heads of one position.
        public var valueWidth: Int { kvHeads * valueSize }
    }

    /// As `general.architecture` has it.
    public let architecture: String
    /// A value a layer, from the first.
    public private(set) var perLayer: [Layer]
    /// n_embd: width of the residual stream.
    public let embedding: Int
    /// n_vocab.
    public let vocabulary: Int
    /// n_ctx_train: positions the model was trained for.
    public let trainedContext: Int
    public let normEpsilon: Float

    /// n_layer.
    public var layers: Int { perLayer.count }

    // MARK: what all layers have in common, for models with layers of other sizes are refused

    public var heads: Int { perLayer[0].heads }
    public var kvHeads: Int { perLayer[0].kvHeads }
    public var groupSize: Int { perLayer[0].groupSize }
    /// Values of one head.
    public var headSize: Int { perLayer[0].keySize }
    public var feedForward: Int { perLayer[0].feedForward }

    /// The KV head that a query head reads.
    public func kvHead(ofQueryHead head: Int) -> Int { head / groupSize }

    /// - Precondition: a divisor of the query heads.
    func with(kvHeads: Int) -> LlamaConfiguration {
        precondition(kvHeads > 0 && heads % kvHeads == 0, "\(kvHeads) KV heads for \(heads) query heads")
        var copy = self
        for index in copy.perLayer.indices { copy.perLayer[index].kvHeads = kvHeads }
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
            throw keys.unsupported("expert_count", "\(experts)", "dense models, without experts")
        }
        let limit = 1 << 24  // far above any model, far below overflow
        let layers = try keys.count("block_count", in: 1...512)
        architecture = keys.architecture
        embedding = try keys.count("embedding_length", in: 1...limit)
        trainedContext = try keys.count("context_length", in: 1...limit)
        normEpsilon = try keys.requiredFloat("attention.layer_norm_rms_epsilon")
        let feedForward = try keys.uniformCount("feed_forward_length", layers: layers, in: 1...limit)
        let heads = try keys.uniformCount("attention.head_count", layers: layers, in: 1...limit)
        let kvHeads = try keys.uniformCount("attention.head_count_kv", layers: layers) ?? heads
        guard kvHeads > 0, heads % kvHeads == 0 else {
            throw keys.invalid("attention.head_count_kv", "\(kvHeads)", "a divisor of the \(heads) query heads")
        }
        let headSize = try Self.headSize(keys, embedding / heads)
        vocabulary = try Self.vocabulary(keys)
        let rope = try RoPE.Parameters(keys, pairs, dimensions: headSize, trainedContext: trainedContext)
        perLayer = (0..<layers).map { layer in
            Layer(
                heads: heads, kvHeads: kvHeads, keySize: headSize, valueSize: headSize, feedForward: feedForward,
                rope: rotates(layer) ? rope : nil)
        }
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

    private static func vocabulary(_ keys: MetadataReader) throws(LlamaError) -> Int {
        if let count = try keys.count("vocab_size"), count > 0 { return count }
        guard let tokens = keys.metadata["tokenizer.ggml.tokens"]?.array, tokens.count > 0 else {
            throw .missingKey(file: keys.file, key: "tokenizer.ggml.tokens")
        }
        return tokens.count
    }
}
