import ComputeGraph
import Operations

extension Architectures {
    /// StarCoder 2: LayerNorm and biases everywhere, and a feed-forward network without a gate.
    ///
    /// Source: llama.cpp `src/models/starcoder2.cpp`; Lozhkov et al. 2024, "StarCoder 2 and The Stack v2".
    struct StarCoder2: Architecture {
        static let names = ["starcoder2"]
        static let summary = "code model with LayerNorm, biases everywhere and no gate"

        var configuration: LlamaConfiguration

        init(_ keys: MetadataReader) throws(LlamaError) {
            configuration = try LlamaConfiguration(dense: keys, pairs: .halves, hasMean: true)
        }

        func weights(_ file: inout WeightLoader) throws(LlamaError) {
            try file.ends()
            try file.vector("output_norm.bias", configuration.embedding)
            for (index, layer) in configuration.perLayer.enumerated() {
                file.block = index
                try file.norm("attn_norm", configuration.embedding, bias: true)
                try file.queriesKeysValues(layer)
                try file.attentionOutput(layer)
                try file.vector("attn_output.bias", configuration.embedding)
                try file.norm("ffn_norm", configuration.embedding, bias: true)
                try file.linear("ffn_up", configuration.embedding, layer.feedForward, bias: false)
                try file.vector("ffn_up.bias", layer.feedForward)
                try file.linear("ffn_down", layer.feedForward, configuration.embedding, bias: false)
                try file.vector("ffn_down.bias", configuration.embedding)
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
                let made = try pass.feedForward(hidden, activation: GELU(), hidden: "ffn_gelu")
                stream = try pass.addFeedForward(made, to: stream)
            }
            return try pass.logits(pass.finalNorm(stream))  // [V,O]
        }
    }
}
