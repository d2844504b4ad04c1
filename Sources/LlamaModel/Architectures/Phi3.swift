import ComputeGraph
import Operations

extension Architectures {
    /// Phi 3, 3.5 and 4: a llama whose queries, keys and values come from one matrix, and gate and content of the feed-forward
    /// network from another. Rotation has factors for long contexts and others for short ones.
    ///
    /// As in llama.cpp, a window that the file names is not applied.
    /// Source: llama.cpp `src/models/phi3.cpp`; Abdin et al. 2024, "Phi-3 Technical Report".
    struct Phi3: Architecture {
        static let names = ["phi3"]
        static let summary = "a llama with fused matrices and two sets of rotation factors"

        var configuration: LlamaConfiguration

        init(_ keys: MetadataReader) throws(LlamaError) {
            configuration = try LlamaConfiguration(dense: keys, pairs: .halves, partial: true)
        }

        func weights(_ file: inout WeightLoader) throws(LlamaError) {
            try file.ends()
            try file.rotationFactors(longAndShort: true)
            for (index, layer) in configuration.perLayer.enumerated() {
                file.block = index
                try file.norm("attn_norm", configuration.embedding)
                try file.queriesKeysValues(layer)
                try file.attentionOutput(layer)
                try file.norm("ffn_norm", configuration.embedding)
                try file.linear("ffn_up", configuration.embedding, 2 * layer.feedForward, bias: false)
                try file.linear("ffn_down", layer.feedForward, configuration.embedding, bias: false)
            }
        }

        func logits(_ pass: inout PassBuilder) throws(GraphError) -> PassBuilder.Value {
            let queryScale = 1 / Float(configuration.headSize).squareRoot()
            var stream = try pass.embedding()  // [E,T]
            for layer in 0..<configuration.layers {
                pass.layer = layer
                let read = try pass.norm(stream, "attn_norm", .attentionNorm)
                let (q, k, v) = try pass.queryKeyValue(read)  // [D,H,T], [D,K,T]
                let query = try pass.scale(pass.rope(q, .query), by: queryScale, name: "Qcur", .query)
                let mixed = try pass.attention(query, pass.rope(k, .key), v, scale: 1)  // [H*D,T]
                var written = try pass.linear("attn_output", mixed, name: nil, .attentionWrite)  // [E,T]
                try pass.keepOutputs(&written, &stream)
                stream = try pass.addAttention(written, to: stream, name: nil)

                let hidden = try pass.norm(stream, "ffn_norm", .feedForwardNorm)
                stream = try pass.addFeedForward(pass.feedForward(hidden), to: stream, streamFirst: true)
            }
            return try pass.logits(pass.finalNorm(stream))  // [V,O]
        }
    }
}
