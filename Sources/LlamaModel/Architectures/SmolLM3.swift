import ComputeGraph

extension Architectures {
    /// SmolLM3: a llama in which every fourth layer does not rotate, so that it sees what a token is but not how far away.
    ///
    /// Source: llama.cpp `src/models/smollm3.cpp`; Bakouch et al. 2025, "SmolLM3"; Yang et al. 2025, "RoPE to NoPE and Back
    /// Again".
    struct SmolLM3: Architecture {
        static let names = ["smollm3"]
        static let summary = "a llama in which every fourth layer does not rotate"

        var configuration: LlamaConfiguration

        init(_ keys: MetadataReader) throws(LlamaError) {
            configuration = try LlamaConfiguration(dense: keys, pairs: .neighbours) { layer in (layer + 1) % 4 != 0 }
        }

        func weights(_ file: inout WeightLoader) throws(LlamaError) {
            try file.ends()
            for (index, layer) in configuration.perLayer.enumerated() {
                file.block = index
                try file.norm("attn_norm", configuration.embedding)
                try file.queriesKeysValues(layer)
                try file.attentionOutput(layer)
                try file.norm("ffn_norm", configuration.embedding)
                try file.feedForward(layer)
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
                stream = try pass.addFeedForward(pass.feedForward(hidden), to: stream)
            }
            return try pass.logits(pass.finalNorm(stream))  // [V,O]
        }
    }
}
