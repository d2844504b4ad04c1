import ComputeGraph
import Tensors

extension Architectures {
    /// Command R: LayerNorm, one a layer; attention and feed-forward network both read it, side by side, and logits are scaled.
    ///
    /// Source: llama.cpp `src/models/command-r.cpp`; Wang and Komatsuzaki 2021, "GPT-J-6B" (parallel layers).
    struct CommandR: Architecture {
        static let names = ["command-r"]
        static let summary = "attention and feed-forward network side by side, logits scaled"

        var configuration: LlamaConfiguration
        private let logitScale: Float?

        init(_ keys: MetadataReader) throws(LlamaError) {
            configuration = try LlamaConfiguration(dense: keys, pairs: .neighbours, hasMean: true)
            logitScale = try keys.float("logit_scale").flatMap { $0 == 0 ? nil : $0 }
            guard configuration.layers < 64 else {
                throw keys.unsupported(
                    "block_count", "\(configuration.layers)",
                    "fewer than 64 layers (Command R+ normalises queries and keys with weights of each head)")
            }
        }

        func weights(_ file: inout WeightLoader) throws(LlamaError) {
            // The embedding is the output head too.
            try file.matrix("token_embd.weight", Shape(configuration.embedding, configuration.vocabulary))
            try file.norm("output_norm", configuration.embedding)
            for (index, layer) in configuration.perLayer.enumerated() {
                file.block = index
                try file.norm("attn_norm", configuration.embedding)
                try file.queriesKeysValues(layer)
                try file.attentionOutput(layer)
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
                let made = try pass.feedForward(pass.keepOutputs(of: read))
                stream = try pass.addParallel(feedForward: made, attention: written, to: stream)
            }
            return try pass.logits(pass.finalNorm(stream), scale: logitScale)  // [V,O]
        }
    }
}
