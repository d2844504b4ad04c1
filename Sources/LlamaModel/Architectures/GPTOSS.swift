import ComputeGraph
import Operations

extension Architectures {
    /// gpt-oss: experts with biases and a gate of their own kind, chosen before their weights are made; a learned sink in each
    /// head, which takes what no position should have; every second layer, from the first on, sees the last positions only.
    ///
    /// Source: llama.cpp `src/models/openai-moe.cpp`; OpenAI 2025, "gpt-oss-120b & gpt-oss-20b Model Card".
    struct GPTOSS: Architecture {
        static let names = ["gpt-oss"]
        static let summary = "experts with biases, a sink in each head and a window in every second layer"
        static let windowEvery: Int? = 2

        var configuration: LlamaConfiguration
        var routing: ExpertRouting?
        /// Hidden units of an expert.
        private let width: Int

        init(_ keys: MetadataReader) throws(LlamaError) {
            var routing = try ExpertRouting(keys, dividesBySum: false)
            routing.gating = .softmaxOfChosen
            guard let windows = try LlamaConfiguration.Windows(keys, every: Self.windowEvery!) else {
                throw keys.missing("attention.sliding_window")
            }
            let base = try keys.float("rope.freq_base") ?? 10_000
            configuration = try LlamaConfiguration(
                keys, pairs: .halves, routing, windows: windows,
                windowFrequencies: (base: keys.windowBase(base), scale: nil))
            width = try keys.count("expert_feed_forward_length", in: 1...1 << 24)
            self.routing = routing
        }

        func weights(_ file: inout WeightLoader) throws(LlamaError) {
            try file.ends(tied: false)
            for (index, layer) in configuration.perLayer.enumerated() {
                file.block = index
                try file.norm("attn_norm", configuration.embedding)
                try file.queriesKeysValues(layer)
                try file.attentionOutput(layer)
                try file.vector("attn_output.bias", configuration.embedding)
                try file.vector("attn_sinks.weight", layer.heads)
                try file.norm("post_attention_norm", configuration.embedding)
                try file.experts(routing!, width: width, bias: true)
            }
        }

        func logits(_ pass: inout PassBuilder) throws(GraphError) -> PassBuilder.Value {
            var stream = try pass.embedding()  // [E,T]
            for layer in 0..<configuration.layers {
                pass.layer = layer
                let read = try pass.norm(stream, "attn_norm", .attentionNorm)
                let (q, k, v) = try pass.queryKeyValue(read)  // [D,H,T], [D,K,T]
                let mixed = try pass.attention(pass.rope(q, .query), pass.rope(k, .key), v)  // [H*D,T]
                let written = try pass.linear("attn_output", mixed, name: "attn_out", .attentionWrite)  // [E,T]
                stream = try pass.addAttention(written, to: stream)

                let hidden = try pass.norm(stream, "post_attention_norm", name: "attn_post_norm", .feedForwardNorm)
                let made = try pass.experts(hidden, routing!, activation: SwiGLUOAI(), hidden: "ffn_moe_swiglu_oai")
                stream = try pass.addFeedForward(made, to: stream)
            }
            // Only here, not in the last layer, are the tokens chosen whose logits are wanted.
            return try pass.logits(pass.finalNorm(pass.outputs(of: stream)))  // [V,O]
        }
    }
}
