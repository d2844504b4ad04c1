import ComputeGraph
import Operations
import Tensors

extension Architectures {
    /// Gemma 2: embeddings times √E, a norm before and one after attention and feed-forward network, GELU in the gate.
    /// Scores and logits stay below a cap, and every second layer sees the last positions only.
    ///
    /// Source: llama.cpp `src/models/gemma2.cpp`; Gemma team 2024, "Gemma 2".
    struct Gemma2: Architecture {
        static let names = ["gemma2"]
        static let summary =
            "norms before and after each part, capped scores and logits, a window in every second layer"
        static let windowEvery: Int? = 2

        var configuration: LlamaConfiguration
        private let queryScale: Float
        private let scoreCap: Float
        private let logitCap: Float

        init(_ keys: MetadataReader) throws(LlamaError) {
            let base = try keys.float("rope.freq_base") ?? 10_000
            configuration = try LlamaConfiguration(
                dense: keys, pairs: .halves,
                windows: LlamaConfiguration.Windows(keys, every: Self.windowEvery!, fallback: 4096),
                windowFrequencies: (base: keys.windowBase(base), scale: nil))
            queryScale = configuration.gemmaQueryScale(layersOfLargest: 46)
            scoreCap = try Self.cap("attn_logit_softcapping", keys, 50)
            logitCap = try Self.cap("final_logit_softcapping", keys, 30)
        }

        private static func cap(_ key: String, _ keys: MetadataReader, _ fallback: Float) throws(LlamaError) -> Float {
            let cap = try keys.cap(key, fallback)!
            guard cap > 0 else { throw keys.invalid(key, "0", "a positive number") }
            return cap
        }

        func weights(_ file: inout WeightLoader) throws(LlamaError) {
            // The embedding is the output head too, whatever the file has besides.
            try file.matrix("token_embd.weight", Shape(configuration.embedding, configuration.vocabulary))
            try file.norm("output_norm", configuration.embedding)
            for (index, layer) in configuration.perLayer.enumerated() {
                file.block = index
                try file.norm("attn_norm", configuration.embedding)
                try file.queriesKeysValues(layer)
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
                let query = try pass.scale(pass.rope(q, .query), by: queryScale, .query)
                let mixed = try pass.attention(query, pass.rope(k, .key), v, scale: 1, cap: scoreCap)  // [H*D,T]
                var written = try pass.linear("attn_output", mixed, name: nil, .attentionWrite)  // [E,T]
                try pass.keepOutputs(&written, &stream)
                written = try pass.norm(written, "post_attention_norm", name: "attn_post_norm", .attentionWrite)
                stream = try pass.addAttention(written, to: stream, name: "sa_out")

                let hidden = try pass.norm(stream, "ffn_norm", .feedForwardNorm)
                written = try pass.norm(
                    pass.feedForward(hidden, activation: GEGLU(), hidden: "ffn_geglu"), "post_ffw_norm",
                    name: "ffn_post_norm", .feedForwardWrite, numbered: false)
                stream = try pass.addFeedForward(written, to: stream)
            }
            return try pass.logits(pass.finalNorm(stream), cap: logitCap)  // [V,O]
        }
    }
}
