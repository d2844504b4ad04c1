import ComputeGraph
import GGUF
import Operations
import RealModule
import Tensors

extension Architectures {
    /// DeepSeek V2, V2-Lite, V3 and R1: keys and values of all heads are made of one short vector, which is what the cache
    /// keeps; after some dense layers, experts, of which one or two are for all tokens. V3's router rates each expert by
    /// itself, chooses groups first, and adds a bias that changes the choice alone.
    ///
    /// Files from before May 2025 have the matrix that unpacks keys and values whole; from them llama.cpp keeps the keys
    /// and values of all heads.
    /// Source: llama.cpp `src/models/deepseek2.cpp`; DeepSeek-AI 2024, "DeepSeek-V2" and "DeepSeek-V3 Technical Report".
    struct DeepSeek2: Architecture {
        static let names = ["deepseek2"]
        static let summary =
            "latent attention: one short vector stands for keys and values of all heads; experts after dense layers"

        var configuration: LlamaConfiguration
        var routing: ExpertRouting?
        /// Hidden units of an expert, and of the shared ones together.
        private let width: Int
        private let sharedWidth: Int
        /// Layers at the beginning that have no experts.
        private let denseLayers: Int
        /// Values that queries pass through; 0 where they are made in one step.
        private let queryRank: Int
        /// R: values of the latent vector.
        private let rank: Int
        private let rotated: Int
        private let attentionScale: Float

        init(_ keys: MetadataReader) throws(LlamaError) {
            if let count = try keys.count("nextn_predict_layers"), count > 0 {
                throw keys.unsupported("nextn_predict_layers", "\(count)", "0")
            }
            if let scale = try keys.float("attention.temperature_scale"), scale != 0 {
                throw keys.unsupported("attention.temperature_scale", "\(scale)", "0")
            }
            let routing = try ExpertRouting(deepSeek: keys)
            self.routing = routing
            rank = try keys.count("attention.kv_lora_rank", in: 1...1 << 24)
            configuration = try LlamaConfiguration(latent: keys, rank: rank, experts: routing.count)
            rotated = configuration.rotations[0]!.dimensions
            let (layers, vocabulary) = (configuration.layers, configuration.vocabulary)
            // llama.cpp tells the small models, which have no bottleneck of queries, by their number of layers.
            let isLite = [26, 27].contains(layers) || layers == 48 && vocabulary == 128_256
            guard isLite || keys.has("attention.q_lora_rank") else { throw keys.missing("attention.q_lora_rank") }
            queryRank = isLite ? 0 : try keys.count("attention.q_lora_rank") ?? 0
            denseLayers = try keys.count("leading_dense_block_count") ?? 0
            width = try keys.count("expert_feed_forward_length", in: 1...1 << 24)
            sharedWidth = width * (try keys.count("expert_shared_count", in: 1...1 << 10))
            attentionScale = try Self.attentionScale(keys, configuration)
        }

        /// One over the root of a head's size, times the square of YaRN's magnitude. In llama.cpp's order, in Float.
        private static func attentionScale(_ keys: MetadataReader, _ c: LlamaConfiguration) throws(LlamaError) -> Float
        {
            let (rotation, sizes) = (c.rotations[0]!, c.perLayer[0])
            let logStretch = Float.log(1 / rotation.frequencyScale)
            let multiplier = (try keys.float("rope.scaling.yarn_log_multiplier") ?? 0) / 0.1
            let whole = rotation.attentionFactor * (1 + 0.1 * logStretch)
            let magnitude = whole * (1 + 0.1 * multiplier * logStretch)
            return magnitude * magnitude / Float(sizes.latent?.keySize ?? sizes.keySize).squareRoot()
        }

        func weights(_ file: inout WeightLoader) throws(LlamaError) {
            try file.ends()
            let c = configuration
            for (index, layer) in c.perLayer.enumerated() {
                file.block = index
                try file.norm("attn_norm", c.embedding)
                let (key, value) = (layer.latent?.keySize ?? layer.keySize, layer.mixSize)
                if queryRank > 0 {
                    try file.linear("attn_q_a", c.embedding, queryRank, bias: false)
                    try file.norm("attn_q_a_norm", queryRank)
                    try file.linear("attn_q_b", queryRank, layer.heads * key, bias: false)
                } else {
                    try file.linear("attn_q", c.embedding, layer.heads * key, bias: false)
                }
                try file.linear("attn_kv_a_mqa", c.embedding, rank + rotated, bias: false)
                try file.norm("attn_kv_a_norm", rank)
                if layer.latent != nil {
                    try file.matrix("attn_k_b.weight", Shape(key - rotated, rank, layer.heads))
                    try file.matrix("attn_v_b.weight", Shape(rank, value, layer.heads))
                } else {
                    try file.linear("attn_kv_b", rank, layer.heads * (key - rotated + value), bias: false)
                }
                try file.attentionOutput(layer)
                try file.norm("ffn_norm", c.embedding)
                if index < denseLayers {
                    try file.feedForward(layer)
                } else {
                    try file.experts(routing!, width: width)
                    try file.optionalVector("exp_probs_b.bias", routing!.count)
                    try file.sharedExpert(width: sharedWidth)
                }
            }
        }

        func logits(_ pass: inout PassBuilder) throws(GraphError) -> PassBuilder.Value {
            var stream = try pass.embedding()  // [E,T]
            for (index, layer) in configuration.perLayer.enumerated() {
                pass.layer = index
                let read = try pass.norm(stream, "attn_norm", .attentionNorm)
                let query = try pass.latentQuery(read, size: layer.latent?.keySize ?? layer.keySize)  // [D,H,T]
                let (latent, key) = try pass.latentKeyValue(read, rank: rank, rotated: rotated)  // [R,T], [rope,1,T]
                let mixed =
                    layer.latent != nil
                    ? try pass.absorbedAttention(query, latent: latent, key: key, scale: attentionScale)
                    : try pass.unpackedAttention(query, latent: latent, key: key, scale: attentionScale)  // [V*H,T]
                var written = try pass.linear("attn_output", mixed, name: nil, .attentionWrite)  // [E,T]
                try pass.keepOutputs(&written, &stream)
                stream = try pass.addAttention(written, to: stream)

                let hidden = try pass.norm(stream, "ffn_norm", .feedForwardNorm)
                if index < denseLayers {
                    written = try pass.feedForward(hidden)
                } else {
                    let routed = try pass.experts(hidden, routing!)
                    written = try pass.together(routed, pass.sharedExpert(hidden, gated: false))
                }
                stream = try pass.addFeedForward(written, to: stream)
            }
            return try pass.logits(pass.finalNorm(stream))  // [V,O]
        }
    }
}

extension ExpertRouting {
    /// What the files of DeepSeek V2 and V3 say about it.
    fileprivate init(deepSeek keys: MetadataReader) throws(LlamaError) {
        try self.init(keys, dividesBySum: try keys.bool("expert_weights_norm") ?? false)
        let factor = try keys.float("expert_weights_scale") ?? 0
        scale = factor == 0 || factor == 1 ? nil : factor
        gating = try Self.gating(keys)
        groups = max(1, try keys.count("expert_group_count") ?? 0)
        guard groups > 1 else { return }
        guard groups < count, count % groups == 0, count / groups > 1 else {
            throw keys.invalid(
                "expert_group_count", "\(groups)", "groups of at least two of the \(count) experts, all of one size")
        }
        groupsUsed = try keys.count("expert_group_used_count", in: 1...groups - 1)
        guard used <= groupsUsed * (count / groups) else {
            throw keys.invalid(
                "expert_used_count", "\(used)",
                "at most the \(groupsUsed * (count / groups)) experts of the groups used")
        }
    }

    /// llama.cpp's `llama_expert_gating_func_type`; files of V2 say nothing.
    private static func gating(_ keys: MetadataReader) throws(LlamaError) -> Gating {
        let key = "expert_gating_func"
        switch try keys.count(key) ?? 0 {
        case 0:
            let (layers, vocabulary) = (try keys.count("block_count"), try LlamaConfiguration.vocabulary(keys))
            return [47, 48].contains(layers) && vocabulary == 154_880 ? .sigmoid : .softmax
        case 1: return .softmax
        case 2: return .sigmoid
        case let other: throw keys.unsupported(key, "\(other)", "1 (softmax) and 2 (sigmoid)")
        }
    }
}

extension LlamaConfiguration {
    /// The sizes of a model with latent attention.
    fileprivate init(latent keys: MetadataReader, rank: Int, experts: Int) throws(LlamaError) {
        let limit = 1 << 24
        let layers = try keys.count("block_count", in: 1...512)
        let embedding = try keys.count("embedding_length", in: 1...limit)
        let trainedContext = try keys.count("context_length", in: 1...limit)
        let heads = try keys.uniformCount("attention.head_count", layers: layers, in: 1...limit)
        let kvHeads = try keys.uniformCount("attention.head_count_kv", layers: layers) ?? heads
        let keyLength = try keys.count("attention.key_length") ?? embedding / heads
        let valueLength = try keys.count("attention.value_length") ?? embedding / heads
        let rotated = try keys.count("rope.dimension_count") ?? keyLength
        let (key, value) = (
            try keys.width("attention.key_length_mla"), try keys.width("attention.value_length_mla")
        )
        let isLatent = key != nil && value != nil
        guard isLatent || key == nil && value == nil else {
            throw keys.missing(key == nil ? "attention.key_length_mla" : "attention.value_length_mla")
        }
        guard kvHeads == (isLatent ? 1 : heads) else {
            throw keys.invalid(
                "attention.head_count_kv", "\(kvHeads)",
                isLatent ? "1, for the latent vector of all heads" : "a KV head for each of the \(heads) query heads")
        }
        guard rotated > 0, rotated % 2 == 0, rotated < key ?? keyLength else {
            throw keys.invalid("rope.dimension_count", "\(rotated)", "an even number below the size of a key")
        }
        guard !isLatent || keyLength == rank + rotated && valueLength == rank else {
            throw keys.invalid(
                "attention.key_length", "\(keyLength)", "\(rank + rotated), the latent vector with what is rotated")
        }
        guard valueLength > 0 else { throw keys.invalid("attention.value_length", "0", "a size of values") }
        let latent = key.flatMap { key in
            value.map { ModelSizes.Layer.Latent(rank: rank, rotated: rotated, keySize: key, valueSize: $0) }
        }
        let layer = ModelSizes.Layer(
            heads: heads, kvHeads: kvHeads, keySize: keyLength, valueSize: valueLength,
            feedForward: try keys.uniformCount("feed_forward_length", layers: layers, in: 1...limit), latent: latent)
        let multiplier = try keys.float("rope.scaling.yarn_log_multiplier") ?? 0
        let rotation = try RoPE.Parameters(
            keys, .neighbours, dimensions: rotated, trainedContext: trainedContext, movesMagnitude: multiplier != 0)
        self.init(
            sizes: ModelSizes(
                architecture: keys.architecture, perLayer: Array(repeating: layer, count: layers),
                embedding: embedding, vocabulary: try Self.vocabulary(keys), trainedContext: trainedContext,
                experts: experts),
            rotations: Array(repeating: rotation, count: layers),
            normEpsilon: try keys.requiredFloat("attention.layer_norm_rms_epsilon"))
    }
}
