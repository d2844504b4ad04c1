import ComputeGraph
import Tensors

extension Architectures {
    /// Qwen1.5-MoE, Qwen2-57B-A14B: Qwen2 with experts in place of the feed-forward network, whose weights are the router's
    /// probabilities as they are, and one expert more that all tokens go through, behind a gate.
    ///
    /// Source: llama.cpp `src/models/qwen2moe.cpp`; Qwen team 2024, "Qwen1.5-MoE" and "Qwen2 Technical Report".
    struct Qwen2MoE: Architecture {
        static let names = ["qwen2moe"]
        static let summary = "Qwen2 with experts, and one more that all tokens share, behind a gate"

        var configuration: LlamaConfiguration
        var routing: ExpertRouting?
        /// Hidden units of an expert, and of the one that all tokens share.
        private let width: Int
        private let sharedWidth: Int

        init(_ keys: MetadataReader) throws(LlamaError) {
            let routing = try ExpertRouting(keys, dividesBySum: false)
            configuration = try LlamaConfiguration(keys, pairs: .halves, routing)
            width = try keys.expertWidth(configuration, routing)
            self.routing = routing
            sharedWidth = try keys.width("expert_shared_feed_forward_length") ?? configuration.feedForward
        }

        func weights(_ file: inout WeightLoader) throws(LlamaError) {
            try file.ends(tied: false)
            for (index, layer) in configuration.perLayer.enumerated() {
                file.block = index
                try file.norm("attn_norm", configuration.embedding)
                try file.queriesKeysValues(layer)
                try file.attentionOutput(layer)
                try file.norm("ffn_norm", configuration.embedding)
                try file.experts(routing!, width: width)
                try file.matrix("ffn_gate_inp_shexp.weight", Shape(configuration.embedding))
                try file.sharedExpert(width: sharedWidth)
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
                let routed = try pass.experts(hidden, routing!)
                let shared = try pass.sharedExpert(hidden, gated: true)
                stream = try pass.addFeedForward(pass.together(routed, shared), to: stream)
            }
            return try pass.logits(pass.finalNorm(stream))  // [V,O]
        }
    }
}
