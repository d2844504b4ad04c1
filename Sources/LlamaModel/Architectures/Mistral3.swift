import ComputeGraph

extension Architectures {
    /// Mistral 3 and Ministral 3: a llama whose queries grow with the position, beyond the context it was trained for at first,
    /// and whose stretched rotation (YaRN) has numbers of its own.
    ///
    /// Source: llama.cpp `src/models/mistral3.cpp`; Nakanishi 2025, "Scalable-Softmax Is Superior for Attention".
    struct Mistral3: Architecture {
        static let names = ["mistral3"]
        static let summary = "a llama whose queries grow with the position"

        var configuration: LlamaConfiguration

        init(_ keys: MetadataReader) throws(LlamaError) {
            configuration = try LlamaConfiguration(dense: keys, pairs: .neighbours, readsYaRN: true)
            let scale = try keys.float("attention.temperature_scale") ?? 0
            guard scale != 0 else { return }
            let key = "rope.scaling.original_context_length"
            let every = try keys.count(key) ?? configuration.trainedContext
            guard every > 0 else {
                throw keys.invalid(key, "0", "the positions after which queries grow")
            }
            configuration.temperature = .init(scale: scale, every: every)
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
                try file.feedForward(layer, bias: true)
            }
        }

        func logits(_ pass: inout PassBuilder) throws(GraphError) -> PassBuilder.Value {
            var stream = try pass.embedding()  // [E,T]
            for layer in 0..<configuration.layers {
                pass.layer = layer
                let read = try pass.norm(stream, "attn_norm", .attentionNorm)
                let (q, k, v) = try pass.queryKeyValue(read)  // [D,H,T], [D,K,T]
                let query = try pass.tempered(pass.rope(q, .query))
                let mixed = try pass.attention(query, pass.rope(k, .key), v)  // [H*D,T]
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
