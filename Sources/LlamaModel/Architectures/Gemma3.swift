import ComputeGraph
import Operations

extension Architectures {
    /// Gemma 3: embeddings times √E, a norm before and one after attention and feed-forward network, GELU in the gate, and
    /// queries and keys normalised head by head. Five of six layers see the last positions only, and rotate faster.
    ///
    /// Source: llama.cpp `src/models/gemma3.cpp`; Gemma team 2025, "Gemma 3 Technical Report".
    struct Gemma3: Architecture {
        static let names = ["gemma3"]
        static let summary = "Gemma with normalised queries and keys and a window in five of six layers"
        static let windowEvery: Int? = 6

        var configuration: LlamaConfiguration
        private let queryScale: Float
        private let logitCap: Float?

        init(_ keys: MetadataReader) throws(LlamaError) {
            configuration = try LlamaConfiguration(
                dense: keys, pairs: .halves, windows: LlamaConfiguration.Windows(keys, every: Self.windowEvery!),
                windowFrequencies: (base: keys.windowBase(10_000), scale: 1))
            queryScale = configuration.gemmaQueryScale(layersOfLargest: 62)
            logitCap = try keys.cap("final_logit_softcapping", nil).flatMap { $0 == 0 ? nil : $0 }
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
                try file.norm("post_attention_norm", configuration.embedding)
                try file.norm("ffn_norm", configuration.embedding)
                try file.feedForward(layer)
                try file.norm("post_ffw_norm", configuration.embedding)
            }
        }

        func logits(_ pass: inout PassBuilder) throws(GraphError) -> PassBuilder.Value {
            var stream = try pass.embedding(
                scale: Float(configuration.embedding).squareRoot(), rows: "embd", scaled: "inp_scaled")  // [E,T]
            for layer in 0..<configuration.layers {
                pass.layer = layer
                let read = try pass.norm(stream, "attn_norm", .attentionNorm)
                let (q, k, v) = try pass.queryKeyValue(read)  // [D,H,T], [D,K,T]
                var query = try pass.rope(pass.norm(q, "attn_q_norm", name: "Qcur_normed", .query), .query)
                let key = try pass.rope(pass.norm(k, "attn_k_norm", name: "Kcur_normed", .key), .key)
                query = try pass.scale(query, by: queryScale, .query)
                let mixed = try pass.attention(query, key, v, scale: 1)  // [H*D,T]
                var written = try pass.linear("attn_output", mixed, name: nil, .attentionWrite)  // [E,T]
                try pass.keepOutputs(&written, &stream)
                written = try pass.norm(written, "post_attention_norm", name: "attn_post_norm", .attentionWrite)
                stream = try pass.addAttention(written, to: stream, name: "sa_out")

                let hidden = try pass.norm(stream, "ffn_norm", .feedForwardNorm)
                written = try pass.norm(
                    pass.feedForward(hidden, activation: GEGLU(), hidden: "ffn_geglu"), "post_ffw_norm",
                    name: "ffn_post_norm", .feedForwardWrite, numberedSteps: false)
                stream = try pass.addFeedForward(written, to: stream)
            }
            return try pass.logits(pass.finalNorm(stream), cap: logitCap)  // [V,O]
        }
    }
}

extension LlamaConfiguration {
    /// What Gemma multiplies queries by: one over the root of the head size, or in the largest model, which is known by its
    /// number of layers, of the width divided by the heads.
    func gemmaQueryScale(layersOfLargest: Int) -> Float {
        1 / Float(layers == layersOfLargest ? embedding / heads : headSize).squareRoot()
    }
}
