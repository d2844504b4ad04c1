import ComputeGraph

extension Architectures {
    /// Llama 2 and 3, Mistral, Vicuna, TinyLlama, SmolLM2: a norm before attention and one before the feed-forward network,
    /// each of which adds what it makes to the residual stream; neighbouring values of a head are rotated together.
    ///
    /// Llama 3 divides the angles by `rope_freqs.weight`; Mistral's heads may be wider than E / H; Mixtral has experts in
    /// place of the feed-forward network.
    /// Source: llama.cpp `src/models/llama.cpp`; Touvron et al. 2023, "LLaMA" and "Llama 2"; Jiang et al. 2023 and 2024.
    struct Llama: Architecture {
        static let names = ["llama"]
        static let summary =
            "norm, attention, norm, gated feed-forward network; neighbouring values of a head are rotated together"

        var configuration: LlamaConfiguration
        /// `nil` in dense models.
        var routing: ExpertRouting?

        init(_ keys: MetadataReader) throws(LlamaError) {
            if try keys.count("expert_count") ?? 0 > 0 {
                let routing = try ExpertRouting(keys)
                configuration = try LlamaConfiguration(keys, pairs: .neighbours, routing)
                self.routing = routing
            } else {
                configuration = try LlamaConfiguration(dense: keys, pairs: .neighbours)
                routing = nil
            }
        }

        func weights(_ file: inout WeightLoader) throws(LlamaError) {
            try file.ends()
            try file.rotationFactors()
            for (index, layer) in configuration.perLayer.enumerated() {
                file.block = index
                try file.norm("attn_norm", configuration.embedding)
                try file.queriesKeysValues(layer)
                try file.attentionOutput(layer, bias: true)
                try file.norm("ffn_norm", configuration.embedding)
                if let routing {
                    try file.experts(routing, width: layer.feedForward)
                } else {
                    try file.feedForward(layer, bias: true)
                }
            }
        }

        func logits(_ pass: inout PassBuilder) throws(GraphError) -> PassBuilder.Value {
            var stream = try pass.embedding()  // [E,T]
            for layer in 0..<configuration.layers {
                pass.layer = layer
                let read = try pass.norm(stream, "attn_norm", .attentionNorm)
                let (q, k, v) = try pass.queryKeyValue(read)  // [D,H,T], [D,K,T]
                let mixed = try pass.attention(pass.rope(q, .query), pass.rope(k, .key), v)  // [H*D,T]
                var written = try pass.linear("attn_output", mixed, name: "attn_out", .attentionWrite)  // [E,T]
                try pass.keepOutputs(&written, &stream)
                stream = try pass.addAttention(written, to: stream)

                let hidden = try pass.norm(stream, "ffn_norm", .feedForwardNorm)
                if let routing {
                    written = try pass.experts(hidden, routing)
                } else {
                    written = try pass.feedForward(hidden)
                }
                stream = try pass.addFeedForward(written, to: stream)
            }
            return try pass.logits(pass.finalNorm(stream))  // [V,O]
        }
    }
}
