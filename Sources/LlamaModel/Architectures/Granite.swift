import ComputeGraph

extension Architectures {
    /// Granite 3: a llama with four numbers, by which embeddings, scores, what is written to the stream, and logits are
    /// multiplied, so that one set of training constants suits models of all sizes. Some files ask for no rotation at all.
    ///
    /// Source: llama.cpp `src/models/granite.cpp`; Yang et al. 2022, "Tensor Programs V" (µP).
    struct Granite: Architecture {
        static let names = ["granite"]
        static let summary =
            "a llama that scales embeddings, scores, what is written to the residual stream, and logits"

        var configuration: LlamaConfiguration
        private let embeddingScale: Float?
        private let attentionScale: Float?
        private let residualScale: Float?
        private let logitDivisor: Float

        init(_ keys: MetadataReader) throws(LlamaError) {
            let rotates = try keys.bool("rope.scaling.finetuned") ?? true
            configuration = try LlamaConfiguration(dense: keys, pairs: .neighbours) { _ in rotates }
            embeddingScale = try Self.factor("embedding_scale", keys)
            attentionScale = try Self.factor("attention.scale", keys)
            residualScale = try Self.factor("residual_scale", keys)
            logitDivisor = try keys.requiredFloat("logit_scale")
            guard logitDivisor != 0 else {
                throw keys.invalid("logit_scale", "0", "a number that logits are divided by")
            }
            if keys.has("deepstack_mapping") {
                throw keys.unsupported("deepstack_mapping", "an array", "text models, without images")
            }
        }

        /// As in llama.cpp, 0 is as good as no key.
        private static func factor(_ key: String, _ keys: MetadataReader) throws(LlamaError) -> Float? {
            let factor = try keys.float(key) ?? 0
            return factor == 0 ? nil : factor
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
            var stream = try pass.embedding(scale: embeddingScale)  // [E,T]
            for layer in 0..<configuration.layers {
                pass.layer = layer
                let read = try pass.norm(stream, "attn_norm", .attentionNorm)
                let (q, k, v) = try pass.queryKeyValue(read)  // [D,H,T], [D,K,T]
                let mixed = try pass.attention(
                    pass.rope(q, .query), pass.rope(k, .key), v, scale: attentionScale)  // [H*D,T]
                var written = try pass.linear("attn_output", mixed, name: "attn_out", .attentionWrite)  // [E,T]
                try pass.keepOutputs(&written, &stream)
                stream = try pass.addAttention(pass.scale(written, by: residualScale, .attentionWrite), to: stream)

                let hidden = try pass.norm(stream, "ffn_norm", .feedForwardNorm)
                written = try pass.feedForward(hidden)
                stream = try pass.addFeedForward(pass.scale(written, by: residualScale, .feedForwardWrite), to: stream)
            }
            return try pass.logits(pass.finalNorm(stream), scale: 1 / logitDivisor)  // [V,O]
        }
    }
}
