import ComputeGraph

extension Architectures {
    /// Qwen2, 2.5 and R1's distillations into them: a llama whose queries, keys and values have biases, and whose rotation
    /// turns a value of a head's first half together with one of its second.
    ///
    /// Source: llama.cpp `src/models/qwen2.cpp`; Qwen team 2024, "Qwen2 Technical Report".
    struct Qwen2: Architecture {
        static let names = ["qwen2"]
        static let summary =
            "a llama whose queries, keys and values have biases; the halves of a head are rotated together"

        var configuration: LlamaConfiguration

        init(_ keys: MetadataReader) throws(LlamaError) {
            configuration = try LlamaConfiguration(dense: keys, pairs: .halves)
        }

        func weights(_ file: inout WeightLoader) throws(LlamaError) {
            try file.ends()
            try file.optionalVector("output.bias", configuration.vocabulary)
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
                var written = try pass.linear("attn_output", mixed, name: nil, .attentionWrite)  // [E,T]
                try pass.keepOutputs(&written, &stream)
                stream = try pass.addAttention(written, to: stream)

                let hidden = try pass.norm(stream, "ffn_norm", .feedForwardNorm)
                stream = try pass.addFeedForward(pass.feedForward(hidden), to: stream)
            }
            return try pass.logits(pass.finalNorm(stream))  // [V,O]
        }
    }
}
