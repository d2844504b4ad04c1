import GGUF
import Operations
import RealModule

/// The sizes and constants of a llama, from its file's metadata.
public struct LlamaConfiguration: Sendable, Equatable {
    /// n_layer: blocks.
    public let layers: Int
    /// n_embd: width of the residual stream.
    public let embedding: Int
    /// n_head: query heads.
    public let heads: Int
    /// n_head_kv: key and value heads; `heads / kvHeads` query heads share one.
    public private(set) var kvHeads: Int
    /// Values of one head.
    public let headSize: Int
    /// n_ff: width of the feed-forward network.
    public let feedForward: Int
    /// n_vocab.
    public let vocabulary: Int
    /// n_ctx_train: positions the model was trained for.
    public let trainedContext: Int
    public let normEpsilon: Float
    public let rope: RoPE.Parameters

    /// n_embd_gqa: values of all key (or value) heads of one position.
    public var kvSize: Int { kvHeads * headSize }

    /// Query heads that share a KV head.
    public var groupSize: Int { heads / kvHeads }

    /// The KV head that a query head reads.
    public func kvHead(ofQueryHead head: Int) -> Int { head / groupSize }

    /// Applied to scores inside softmax.
    public var scoreScale: Float { 1 / Float(headSize).squareRoot() }

    /// - Precondition: a divisor of the query heads.
    func with(kvHeads: Int) -> LlamaConfiguration {
        precondition(kvHeads > 0 && heads % kvHeads == 0, "\(kvHeads) KV heads for \(heads) query heads")
        var copy = self
        copy.kvHeads = kvHeads
        return copy
    }

    /// - Throws: `LlamaError` if the file is no llama that Quipu runs.
    public init(metadata: Metadata, file: String) throws(LlamaError) {
        let keys = MetadataReader(file: file, metadata: metadata)
        guard let architecture = try keys.string("general.architecture") else {
            throw .missingKey(file: file, key: "general.architecture")
        }
        guard architecture == "llama" else {
            throw .unsupported(
                file: file, what: "architecture", found: architecture, supported: "architecture 'llama' only")
        }
        if let experts = try keys.count("llama.expert_count"), experts > 0 {
            throw .unsupported(
                file: file, what: "llama.expert_count", found: "\(experts)", supported: "dense models, without experts")
        }
        let limit = 1 << 24  // far above any model, far below overflow
        layers = try keys.count("llama.block_count", in: 1...512)
        embedding = try keys.count("llama.embedding_length", in: 1...limit)
        trainedContext = try keys.count("llama.context_length", in: 1...limit)
        guard let epsilon = try keys.float("llama.attention.layer_norm_rms_epsilon") else {
            throw .missingKey(file: file, key: "llama.attention.layer_norm_rms_epsilon")
        }
        normEpsilon = epsilon
        feedForward = try Self.positive("llama.feed_forward_length", keys, layers, limit)
        heads = try Self.positive("llama.attention.head_count", keys, layers, limit)
        kvHeads = try keys.uniformCount("llama.attention.head_count_kv", layers: layers) ?? heads
        guard kvHeads > 0, heads % kvHeads == 0 else {
            throw .invalidValue(
                file: file, key: "llama.attention.head_count_kv", found: "\(kvHeads)",
                expected: "a divisor of the \(heads) query heads")
        }
        headSize = try Self.headSize(keys, embedding / heads)
        vocabulary = try Self.vocabulary(keys)
        rope = try Self.rope(keys, headSize: headSize, trainedContext: trainedContext)
    }

    private static func positive(
        _ key: String, _ keys: MetadataReader, _ layers: Int, _ limit: Int
    ) throws(LlamaError) -> Int {
        guard let count = try keys.uniformCount(key, layers: layers) else {
            throw .missingKey(file: keys.file, key: key)
        }
        guard (1...limit).contains(count) else {
            throw .invalidValue(file: keys.file, key: key, found: "\(count)", expected: "1 to \(limit)")
        }
        return count
    }

    private static func headSize(_ keys: MetadataReader, _ fallback: Int) throws(LlamaError) -> Int {
        let keyLength = try keys.count("llama.attention.key_length") ?? fallback
        let valueLength = try keys.count("llama.attention.value_length") ?? fallback
        let rotated = try keys.count("llama.rope.dimension_count") ?? keyLength
        guard keyLength == valueLength else {
            throw .unsupported(
                file: keys.file, what: "llama.attention.value_length", found: "\(valueLength)",
                supported: "value heads as long as key heads (\(keyLength))")
        }
        guard rotated == keyLength, rotated > 0, rotated % 2 == 0 else {
            throw .invalidValue(
                file: keys.file, key: "llama.rope.dimension_count", found: "\(rotated)",
                expected: "the head size (\(keyLength)), an even number")
        }
        return keyLength
    }

    private static func vocabulary(_ keys: MetadataReader) throws(LlamaError) -> Int {
        if let count = try keys.count("llama.vocab_size"), count > 0 { return count }
        guard let tokens = keys.metadata["tokenizer.ggml.tokens"]?.array, tokens.count > 0 else {
            throw .missingKey(file: keys.file, key: "tokenizer.ggml.tokens")
        }
        return tokens.count
    }

    /// As libllama fills `rope_ext`'s parameters for a context that overrides nothing.
    private static func rope(
        _ keys: MetadataReader, headSize: Int, trainedContext: Int
    ) throws(LlamaError) -> RoPE.Parameters {
        let scaling = try keys.string("llama.rope.scaling.type") ?? "linear"
        guard ["none", "linear", "yarn"].contains(scaling) else {
            throw .unsupported(
                file: keys.file, what: "RoPE scaling", found: scaling,
                supported: "'none', 'linear' and 'yarn', and Llama 3's rope_freqs.weight")
        }
        let oldFactor = try keys.float("llama.rope.scale_linear")
        let factor = try keys.float("llama.rope.scaling.factor") ?? oldFactor ?? 0
        let base = try keys.float("llama.rope.freq_base") ?? 10000
        guard base > 0, factor >= 0 else {
            throw .invalidValue(
                file: keys.file, key: "llama.rope", found: "base \(base), factor \(factor)",
                expected: "positive numbers")
        }
        let frequencyScale: Float = scaling == "none" || factor == 0 ? 1 : 1 / factor
        var attention: Float = 1
        if scaling == "yarn" {
            // ggml's YaRN multiplies the magnitude by 1 + 0.1 ln(factor) itself; libllama divides by it beforehand.
            let stretch = 1 / frequencyScale
            let magnitude: Float = stretch <= 1 ? 1 : 0.1 * Float.log(stretch) + 1
            attention = magnitude * (1 / (1 + 0.1 * Float.log(stretch)))
        }
        attention *= try keys.float("llama.rope.scaling.attn_factor") ?? 1
        return RoPE.Parameters(
            dimensions: headSize,
            originalContext: try keys.count("llama.rope.scaling.original_context_length") ?? trainedContext,
            frequencyBase: base, frequencyScale: frequencyScale,
            extrapolation: scaling == "yarn" ? 1 : 0, attentionFactor: attention, betaFast: 32, betaSlow: 1)
    }
}
