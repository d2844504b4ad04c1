import ComputeGraph

extension Architectures {
    /// OLMo 2: attention and feed-forward network read the residual stream as it is, and what they write is normalised
    /// instead; queries and keys are normalised over all heads together.
    ///
    /// Source: llama.cpp `src/models/olmo2.cpp`; OLMo team 2024, "2 OLMo 2 Furious".
    struct Olmo2: Architecture {
        static let names = ["olmo2"]
        static let summary =
            "a llama that normalises what attention and feed-forward network write, and queries and keys over all heads"

        var configuration: LlamaConfiguration

        init(_ keys: MetadataReader) throws(LlamaError) {
            configuration = try LlamaConfiguration(dense: keys, pairs: .halves)
            if let window = try keys.count("attention.sliding_window"), window > 0 {
                throw keys.unsupported(
                    "attention.sliding_window", "\(window)", "OLMo 2 without windows (OLMo 3 has some)")
            }
        }

        func weights(_ file: inout WeightLoader) throws(LlamaError) {
            try file.ends(tied: false)
            for (index, layer) in configuration.perLayer.enumerated() {
                file.block = index
                try file.linear("attn_q", configuration.embedding, layer.heads * layer.keySize, bias: true)
                try file.linear("attn_k", configuration.embedding, layer.keyWidth, bias: true)
                try file.linear("attn_v", configuration.embedding, layer.valueWidth, bias: true)
                try file.norm("attn_q_norm", layer.heads * layer.keySize)
                try file.norm("attn_k_norm", layer.keyWidth)
                try file.attentionOutput(layer)
                try file.norm("post_attention_norm", configuration.embedding)
                try file.feedForward(layer)
                try file.norm("post_ffw_norm", configuration.embedding)
            }
        }

        func logits(_ pass: inout PassBuilder) throws(GraphError) -> PassBuilder.Value {
            var stream = try pass.embedding()  // [E,T]
            for (index, layer) in configuration.perLayer.enumerated() {
                pass.layer = index
                let q = try pass.linear("attn_q", stream, name: "Qcur", .query)  // [H*D,T]
                let k = try pass.linear("attn_k", stream, name: "Kcur", .key)  // [K*D,T]
                let v = try pass.linear("attn_v", stream, name: "Vcur", .value)
                let query = try pass.norm(q, "attn_q_norm", name: "Qcur_normed", .query)
                let key = try pass.norm(k, "attn_k_norm", name: "Kcur_normed", .key)
                let mixed = try pass.attention(
                    pass.rope(pass.heads(query, layer.keySize, layer.heads, .query), .query),  // [D,H,T]
                    pass.rope(pass.heads(key, layer.keySize, layer.kvHeads, .key), .key),  // [D,K,T]
                    pass.heads(v, layer.valueSize, layer.kvHeads, name: "Vcur", .value))  // [H*D,T]
                var written = try pass.linear("attn_output", mixed, name: nil, .attentionWrite)  // [E,T]
                try pass.keepOutputs(&written, &stream)
                written = try pass.norm(
                    written, "post_attention_norm", name: "attn_post_norm", .attentionWrite)
                stream = try pass.addAttention(written, to: stream)

                written = try pass.norm(
                    pass.feedForward(stream), "post_ffw_norm", name: "ffn_post_norm",
                    .feedForwardWrite, numbered: false)
                stream = try pass.addFeedForward(written, to: stream)
            }
            return try pass.logits(pass.finalNorm(stream))  // [V,O]
        }
    }
}
