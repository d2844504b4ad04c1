import ComputeGraph

extension Architectures {
    /// Qwen3-30B-A3B, Qwen3-235B-A22B, Qwen3-Coder: Qwen3 with many small experts in place of the feed-forward network.
    ///
    /// Source: llama.cpp `src/models/qwen3moe.cpp`; Qwen team 2025, "Qwen3 Technical Report".
    struct Qwen3MoE: Architecture {
        static let names = ["qwen3moe"]
        static let summary = "Qwen3 with experts in place of the feed-forward network"

        var configuration: LlamaConfiguration
        var routing: ExpertRouting?
        /// Hidden units of an expert.
        private let width: Int

        init(_ keys: MetadataReader) throws(LlamaError) {
            let routing = try ExpertRouting(keys)
            configuration = try LlamaConfiguration(keys, pairs: .halves, routing)
            width = try keys.expertWidth(configuration, routing)
            self.routing = routing
        }

        func weights(_ file: inout WeightLoader) throws(LlamaError) {
            try file.ends()
            for (index, layer) in configuration.perLayer.enumerated() {
                file.block = index
                try file.norm("attn_norm", configuration.embedding)
                try file.queriesKeysValues(layer)
                try file.norm("attn_q_norm", layer.keySize)
                try file.norm("attn_k_norm", layer.keySize)
                try file.attentionOutput(layer)
                try file.norm("ffn_norm", configuration.embedding)
                try file.experts(routing!, width: width)
            }
        }

        func logits(_ pass: inout PassBuilder) throws(GraphError) -> PassBuilder.Value {
            var stream = try pass.embedding()  // [E,T]
            for layer in 0..<configuration.layers {
                pass.layer = layer
                let read = try pass.norm(stream, "attn_norm", .attentionNorm)
                let (q, k, v) = try pass.queryKeyValue(read)  // [D,H,T], [D,K,T]
                let query = try pass.norm(q, "attn_q_norm", name: "Qcur_normed", .query)
                let key = try pass.norm(k, "attn_k_norm", name: "Kcur_normed", .key)
                let mixed = try pass.attention(pass.rope(query, .query), pass.rope(key, .key), v)  // [H*D,T]
                var written = try pass.linear("attn_output", mixed, name: nil, .attentionWrite)  // [E,T]
                try pass.keepOutputs(&written, &stream)
                stream = try pass.addAttention(written, to: stream)

                let hidden = try pass.norm(stream, "ffn_norm", .feedForwardNorm)
                stream = try pass.addFeedForward(pass.experts(hidden, routing!), to: stream)
            }
            return try pass.logits(pass.finalNorm(stream))  // [V,O]
        }
    }
}
