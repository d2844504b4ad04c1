import Tensors

/// How large a model is, layer by layer, as its file or a trace of it says, whether or not Quipu runs its architecture.
public struct ModelSizes: Sendable, Equatable {
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
        /// Where one vector is kept for the keys and values of all heads (MLA), what it is unpacked into; `nil` elsewhere.
        /// `keySize` is its width then, `valueSize` that of the part which values are made of.
        public var latent: Latent?

        /// Sizes of heads that are made of a latent vector, in values.
        public struct Latent: Sendable, Hashable {
            /// kv_lora_rank: values of the vector that keys and values are made of.
            public var rank: Int
            /// Values behind it, shared by the keys of all heads, which are rotated.
            public var rotated: Int
            /// Of a head's key, with what is rotated.
            public var keySize: Int
            /// Of a head's value.
            public var valueSize: Int

            /// Parameters are the properties of the same names.
            public init(rank: Int, rotated: Int, keySize: Int, valueSize: Int) {
                (self.rank, self.rotated, self.keySize, self.valueSize) = (rank, rotated, keySize, valueSize)
            }
        }

        /// Sizes in values, counts of heads.
        public init(
            heads: Int, kvHeads: Int, keySize: Int, valueSize: Int, feedForward: Int, latent: Latent? = nil
        ) {
            self.heads = heads
            self.kvHeads = kvHeads
            self.keySize = keySize
            self.valueSize = valueSize
            self.feedForward = feedForward
            self.latent = latent
        }

        /// Query heads that share a KV head; 0 if there are none.
        public var groupSize: Int { kvHeads == 0 ? 0 : heads / kvHeads }
        /// Keys of all heads of one position.
        public var keyWidth: Int { kvHeads * keySize }
        /// Values of all heads of one position.
        public var valueWidth: Int { kvHeads * valueSize }

        /// How keys and values are shared among the query heads.
        public enum AttentionKind: String, Sendable, CaseIterable {
            /// Each query head has its own.
            case mha
            /// Groups of query heads share them.
            case gqa
            /// All query heads share them.
            case mqa
            /// All are made of one latent vector.
            case mla
        }

        /// How this layer does it.
        public var attentionKind: AttentionKind {
            latent != nil ? .mla : kvHeads == heads ? .mha : kvHeads == 1 ? .mqa : .gqa
        }

        /// Values of each head that the output matrix of attention reads.
        public var mixSize: Int { latent?.valueSize ?? valueSize }

        /// Bytes that some positions take in the cache: keys and values, or the latent vectors that both are made of.
        public func cacheBytes(positions: Int) -> Int {
            latent == nil
                ? cacheBytes(heads: kvHeads, positions: positions) : keyWidth * positions * TensorType.f16.blockBytes
        }

        /// Bytes that the keys and values of some positions would take with this many heads, each unpacked.
        public func cacheBytes(heads: Int, positions: Int) -> Int {
            let sizes = latent.map { $0.keySize + $0.valueSize } ?? keySize + valueSize
            return heads * sizes * positions * TensorType.f16.blockBytes
        }
    }

    /// As `general.architecture` has it.
    public let architecture: String
    /// A value a layer, from the first.
    public var perLayer: [Layer]
    /// n_embd: width of the residual stream.
    public let embedding: Int
    /// n_vocab.
    public let vocabulary: Int
    /// n_ctx_train: positions the model was trained for.
    public let trainedContext: Int
    /// n_expert: feed-forward networks of a layer of which a router chooses; 0 if there is one for all tokens.
    public let experts: Int

    /// Sizes in values; a layer's are listed from the first layer on.
    public init(
        architecture: String, perLayer: [Layer], embedding: Int, vocabulary: Int, trainedContext: Int, experts: Int = 0
    ) {
        self.architecture = architecture
        self.perLayer = perLayer
        self.embedding = embedding
        self.vocabulary = vocabulary
        self.trainedContext = trainedContext
        self.experts = experts
    }

    /// What a file of any architecture says; 0 where it says nothing.
    public init(listedIn metadata: Metadata) {
        let architecture = metadata.architecture ?? ""
        func value(_ key: String) -> GGUFValue? { metadata["\(architecture).\(key)"] }
        func count(_ key: String) -> Int? { value(key)?.integer }
        /// Of one layer: a number may stand for all.
        func count(_ key: String, _ layer: Int) -> Int? {
            if let all = value(key)?.array?.integers { return layer < all.count ? all[layer] : nil }
            return count(key)
        }
        let embedding = count("embedding_length") ?? 0
        // A damaged file may claim any number.
        let layers = min(max(0, count("block_count") ?? 0), 1 << 16)
        let perLayer = (0..<layers).map { layer in
            let heads = count("attention.head_count", layer) ?? 0
            let size = heads > 0 ? embedding / heads : 0
            return Layer(
                heads: heads, kvHeads: count("attention.head_count_kv", layer) ?? heads,
                keySize: count("attention.key_length") ?? size, valueSize: count("attention.value_length") ?? size,
                feedForward: count("feed_forward_length", layer) ?? 0)
        }
        self.init(
            architecture: architecture, perLayer: perLayer, embedding: embedding,
            vocabulary: count("vocab_size") ?? metadata["tokenizer.ggml.tokens"]?.array?.count ?? 0,
            trainedContext: count("context_length") ?? 0, experts: count("expert_count") ?? 0)
    }

    /// n_layer.
    public var layers: Int { perLayer.count }

    // MARK: of the first layer, which stands for all in every architecture that Quipu runs

    /// n_head.
    public var heads: Int { perLayer.first?.heads ?? 0 }
    /// n_head_kv.
    public var kvHeads: Int { perLayer.first?.kvHeads ?? 0 }
    /// Query heads that share a KV head.
    public var groupSize: Int { perLayer.first?.groupSize ?? 0 }
    /// Values of one head.
    public var headSize: Int { perLayer.first?.keySize ?? 0 }
    /// n_ff.
    public var feedForward: Int { perLayer.first?.feedForward ?? 0 }

    /// The KV head that a query head reads.
    public func kvHead(ofQueryHead head: Int) -> Int { head / groupSize }
}
