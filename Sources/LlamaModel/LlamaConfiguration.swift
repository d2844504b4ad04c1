import GGUF
import Operations
import RealModule

/// What the graph of a model is made by: sizes and constants, from its file's metadata.
public struct LlamaConfiguration: Sendable, Equatable {
    public private(set) var sizes: ModelSizes
    /// How each layer rotates queries and keys; `nil` where it does not.
    public let rotations: [RoPE.Parameters?]
    let norm: Norm
    public var normEpsilon: Float {
        switch norm {
        case .rootMeanSquare(let epsilon), .layer(let epsilon): epsilon
        }
    }
    /// Whether rotation has factors for long contexts and others for short ones.
    let hasLongAndShortFactors: Bool
    /// How queries grow with the position; `nil` if they do not.
    var temperature: Temperature?
    /// Which layers attend to the last positions only; `nil` if the architecture has no such layers.
    public let windows: Windows?

    /// Attention to the last positions: key j is visible at position p if p - j < positions.
    public struct Windows: Sendable, Equatable {
        public let positions: Int
        /// Whether each layer has the window.
        public let layers: [Bool]
    }

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

    /// What normalises, with what keeps its root from vanishing.
    enum Norm: Sendable, Equatable {
        case rootMeanSquare(epsilon: Float)
        /// With a mean.
        case layer(epsilon: Float)
    }

    /// From each multiple of `every` positions on, queries are multiplied by a larger number.
    struct Temperature: Sendable, Equatable {
        let scale: Float
        let every: Int

        /// `1 + scale · ln(1 + ⌊position / every⌋)`. Source: llama.cpp `llm_graph_input_attn_temp`.
        func factor(at position: Int) -> Float {
            Float(Double.log(Double((Float(position) / Float(every)).rounded(.down)) + 1) * Double(scale) + 1)
        }
    }

    init(sizes: ModelSizes, rotations: [RoPE.Parameters?], normEpsilon: Float) {
        (self.sizes, self.rotations, norm) = (sizes, rotations, .rootMeanSquare(epsilon: normEpsilon))
        (hasLongAndShortFactors, windows) = (false, nil)
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
    ///   - hasMean: whether norms subtract the mean.
    ///   - partial: whether a part of each head may be rotated.
    ///   - readsYaRN: whether the keys may say between which pairs YaRN blends, and how it changes the magnitude.
    ///   - windows: which layers have a window, and `windowFrequencies` how they rotate where that is another way.
    ///   - rotates: whether a layer rotates at all.
    init(
        dense keys: MetadataReader, pairs: RoPE.Pairs, hasMean: Bool = false, partial: Bool = false,
        readsYaRN: Bool = false, windows: Windows? = nil,
        windowFrequencies: (base: Float, scale: Float?)? = nil, rotates: (Int) -> Bool = { _ in true }
    ) throws(LlamaError) {
        if let experts = try keys.count("expert_count"), experts > 0 {
            throw keys.unsupported("expert_count", "\(experts)", "models of '\(keys.architecture)' without experts")
        }
        try self.init(
            keys, pairs: pairs, experts: 0, hasMean: hasMean, partial: partial, readsYaRN: readsYaRN, windows: windows,
            windowFrequencies: windowFrequencies, rotates: rotates)
    }

    /// The sizes of a model whose layers have experts.
    init(
        _ keys: MetadataReader, pairs: RoPE.Pairs, _ routing: ExpertRouting, windows: Windows? = nil,
        windowFrequencies: (base: Float, scale: Float?)? = nil
    ) throws(LlamaError) {
        try self.init(
            keys, pairs: pairs, experts: routing.count, windows: windows, windowFrequencies: windowFrequencies)
    }

    private init(
        _ keys: MetadataReader, pairs: RoPE.Pairs, experts: Int, hasMean: Bool = false, partial: Bool = false,
        readsYaRN: Bool = false, windows: Windows?, windowFrequencies: (base: Float, scale: Float?)?,
        rotates: (Int) -> Bool = { _ in true }
    ) throws(LlamaError) {
        let limit = 1 << 24  // far above any model, far below overflow
        let layers = try keys.count("block_count", in: 1...512)
        let embedding = try keys.count("embedding_length", in: 1...limit)
        let trainedContext = try keys.count("context_length", in: 1...limit)
        let epsilon = try keys.requiredFloat("attention.layer_norm_\(hasMean ? "" : "rms_")epsilon")
        norm = hasMean ? .layer(epsilon: epsilon) : .rootMeanSquare(epsilon: epsilon)
        let feedForward = try keys.uniformCount("feed_forward_length", layers: layers, in: 1...limit)
        let heads = try keys.uniformCount("attention.head_count", layers: layers, in: 1...limit)
        let kvHeads = try keys.uniformCount("attention.head_count_kv", layers: layers) ?? heads
        guard kvHeads > 0, heads % kvHeads == 0 else {
            throw keys.invalid("attention.head_count_kv", "\(kvHeads)", "a divisor of the \(heads) query heads")
        }
        let (headSize, rotated) = try Self.headSize(keys, embedding / heads, partial: partial)
        let layer = ModelSizes.Layer(
            heads: heads, kvHeads: kvHeads, keySize: headSize, valueSize: headSize, feedForward: feedForward)
        sizes = ModelSizes(
            architecture: keys.architecture, perLayer: Array(repeating: layer, count: layers), embedding: embedding,
            vocabulary: try Self.vocabulary(keys), trainedContext: trainedContext, experts: experts)
        let rotation = try RoPE.Parameters(
            keys, pairs, dimensions: rotated, trainedContext: trainedContext, readsYaRN: readsYaRN)
        hasLongAndShortFactors = try keys.string("rope.scaling.type") == "longrope"
        var inWindow = rotation
        if let windowFrequencies {
            inWindow.frequencyBase = windowFrequencies.base
            inWindow.frequencyScale = windowFrequencies.scale ?? rotation.frequencyScale
        }
        rotations = (0..<layers).map { layer in
            let hasWindow = windows?.layers[layer] ?? false
            return rotates(layer) ? (hasWindow ? inWindow : rotation) : nil
        }
        self.windows = windows
    }

    private static func headSize(
        _ keys: MetadataReader, _ fallback: Int, partial: Bool
    ) throws(LlamaError) -> (all: Int, rotated: Int) {
        let keyLength = try keys.count("attention.key_length") ?? fallback
        let valueLength = try keys.count("attention.value_length") ?? fallback
        let rotated = try keys.count("rope.dimension_count") ?? keyLength
        guard keyLength == valueLength else {
            throw keys.unsupported(
                "attention.value_length", "\(valueLength)", "value heads as long as key heads (\(keyLength))")
        }
        guard rotated == keyLength || partial && rotated < keyLength, rotated > 0, rotated % 2 == 0 else {
            throw keys.invalid(
                "rope.dimension_count", "\(rotated)",
                "\(partial ? "at most " : "")the head size (\(keyLength)), an even number")
        }
        return (keyLength, rotated)
    }

    static func vocabulary(_ keys: MetadataReader) throws(LlamaError) -> Int {
        if let count = try keys.count("vocab_size"), count > 0 { return count }
        guard let tokens = keys.metadata["tokenizer.ggml.tokens"]?.array, tokens.count > 0 else {
            throw .missingKey(file: keys.file, key: "tokenizer.ggml.tokens")
        }
        return tokens.count
    }
}
