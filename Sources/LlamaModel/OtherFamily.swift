/// A family of models that Quipu knows by name but does not run: what it is, and what Quipu lacks.
///
/// Source: llama.cpp `src/models/*.cpp`, and `llama-model.cpp: create_memory` for what is cached.
struct OtherFamily {
    let name: String
    /// In one sentence, as `Architecture.summary`.
    let summary: String
    /// What the graph needs beyond Quipu's, to be read after "needs".
    let needs: String
    /// Every how many layers one sees the whole context while the others see a window; `nil` if all do.
    var window: Window?
    /// Every how many layers one has attention, and so a KV cache, where the file does not say.
    var attentionEvery: Int?
    /// Whether keys and values are kept from token to token; encoders read a text at once.
    var caches = true

    struct Window {
        let every: Int
        /// Whether the layer with the whole view is the first of each group, not the last.
        var wholeFirst = false
    }

    static func named(_ name: String) -> OtherFamily? { all.first { $0.name == name } }

    private init(
        _ name: String, _ summary: String, needs: String, window: Int? = nil, wholeFirst: Bool = false,
        attentionEvery: Int? = nil, caches: Bool = true
    ) {
        (self.name, self.summary, self.needs) = (name, summary, needs)
        self.window = window.map { Window(every: $0, wholeFirst: wholeFirst) }
        (self.attentionEvery, self.caches) = (attentionEvery, caches)
    }

    private static let ownGraph = "a graph of its own"
    private static let layerNorm = "LayerNorm with a mean and biases"
    private static let encoder = "attention to what comes after, and embeddings as a result: it writes no text"

    static let all: [OtherFamily] = [
        // Qwen
        .init(
            "qwen", "the first Qwen: a llama with one matrix for queries, keys and values", needs: "its fused biases"),
        .init("qwen2vl", "Qwen2 that reads images", needs: "rotation by three coordinates (M-RoPE)"),
        .init("qwen3vl", "Qwen3 that reads images", needs: "rotation by three coordinates (M-RoPE)"),
        .init(
            "qwen3vlmoe", "Qwen3 with experts that reads images",
            needs: "rotation by three coordinates (M-RoPE)"),
        .init(
            "qwen3next", "Qwen3 in which three of four layers keep a state of fixed size (delta net)",
            needs: "delta-net layers, convolution over positions and gates", attentionEvery: 4),
        .init(
            "qwen35", "Qwen3.5: three of four layers keep a state of fixed size (delta net)",
            needs: "delta-net layers, convolution over positions, gates and interleaved rotation (IMROPE)",
            attentionEvery: 4),
        .init(
            "qwen35moe", "Qwen3.5 with experts",
            needs: "delta-net layers, convolution over positions, gates and interleaved rotation (IMROPE)",
            attentionEvery: 4),
        // Gemma
        .init(
            "gemma", "a llama with embeddings times √E and a GELU gate",
            needs: "the embedding scale √E and the gate GEGLU"),
        .init(
            "gemma3n", "Gemma 3 for small devices, with inputs for each layer and shared KV caches",
            needs: "per-layer inputs, shared KV caches, sliding windows and alternating updates (AltUp, Laurel)",
            window: 5),
        .init(
            "gemma4", "Gemma 3 with inputs for each layer, shared KV caches and, in some sizes, experts",
            needs: "per-layer inputs, shared KV caches and sliding windows"),
        .init(
            "gemma-embedding", "Gemma 3 that makes embeddings of texts", needs: encoder, window: 6, caches: false),
        // Phi
        .init(
            "phi2", "attention and feed-forward network side by side, a part of each head rotated",
            needs: "\(layerNorm), parallel attention, partial rotation and GELU without gate"),
        .init(
            "phimoe", "Phi-3.5 with experts", needs: "\(layerNorm) and long and short rotation factors"),
        // DeepSeek
        .init(
            "deepseek", "a llama with many small experts and some that all tokens share",
            needs: ownGraph),
        .init(
            "deepseek32", "DeepSeek V3.2: latent attention to the positions that an indexer chooses",
            needs: "sparse attention, with an indexer that chooses positions"),
        .init(
            "kimi-linear", "latent attention in some layers, a state of fixed size in the others, and experts",
            needs: "linear attention in most layers"),
        .init(
            "minicpm3", "a llama whose queries, keys and values come from short latent vectors",
            needs: "scales, and latent attention in a graph of its own"),
        // Mistral, Llama
        .init(
            "mistral4", "Mistral 4: latent attention and experts", needs: ownGraph),
        .init(
            "llama4", "experts, and attention in chunks in three of four layers",
            needs: "chunked attention, an L2 norm of Q and K, a temperature and weights before the experts",
            window: 4),
        .init(
            "deci", "Nemotron from Llama: layers of unequal size, some without attention", needs: "layers that differ"),
        .init("grok", "experts, post norms and capped scores", needs: "post norms and soft caps (TANH)"),
        .init(
            "dbrx", "experts with LayerNorm and clamped queries, keys and values",
            needs: "\(layerNorm) and clamped queries, keys and values"),
        // OpenAI
        .init(
            "gpt2", "GPT-2: learned positions in place of rotation", needs: "\(layerNorm), learned positions and GELU"),
        .init("gptneox", "GPT-NeoX and Pythia", needs: "\(layerNorm), parallel attention, partial rotation and GELU"),
        .init("gptj", "GPT-J", needs: "\(layerNorm), parallel attention, partial rotation and GELU"),
        // Cohere
        .init(
            "cohere2", "Command R7B: as command-r, with a window in three of four layers",
            needs: "LayerNorm, parallel attention, sliding windows, layers without rotation and a scale of the logits",
            window: 4),
        // IBM, Ai2, others
        .init("granitemoe", "Granite with experts", needs: ownGraph),
        .init(
            "granitehybrid", "Granite with a state of fixed size (Mamba 2) in most layers",
            needs: "state-space layers (Mamba 2)"),
        .init("olmo", "the first OLMo: norms without weights", needs: "LayerNorm without weights and clamps"),
        .init("olmoe", "OLMo with experts", needs: ownGraph),
        .init(
            "starcoder", "code model with one KV head and learned positions",
            needs: "\(layerNorm), learned positions and GELU without gate"),
        .init(
            "glm4", "a llama with norms after each part too, and half of each head rotated",
            needs: "post norms, partial rotation and SWIGLU of one input"),
        .init(
            "glm4moe", "GLM 4.5 and 4.6: experts with a bias in the choice, and a shared one",
            needs: "partial rotation, in a graph of its own"),
        .init("chatglm", "ChatGLM: half of each head rotated", needs: "partial rotation and fused matrices"),
        .init(
            "minimax-m2", "experts chosen with a bias, queries and keys normalised",
            needs: "partial rotation, in a graph of its own"),
        .init("hunyuan-moe", "experts and a shared one", needs: "a norm of Q and K after rotation"),
        .init("ernie4_5-moe", "experts and shared ones", needs: ownGraph),
        .init(
            "smallthinker", "experts chosen before attention", needs: "a router before attention, and sliding windows",
            window: 4,
            wholeFirst: true),
        .init(
            "falcon", "attention and feed-forward network side by side",
            needs: "\(layerNorm), parallel attention and GELU without gate"),
        .init("mpt", "scores lowered by distance in place of rotation", needs: "LayerNorm, ALiBi and GELU"),
        .init("bloom", "scores lowered by distance in place of rotation", needs: "\(layerNorm), ALiBi and GELU"),
        .init(
            "stablelm", "a llama with LayerNorm and a part of each head rotated",
            needs: "\(layerNorm) and partial rotation"),
        .init("internlm2", "a llama with other names", needs: ownGraph),
        .init("minicpm", "a llama with scales", needs: "scales of embedding, residual stream and logits"),
        .init(
            "exaone4", "post norms, and a window in three of four layers in the large one",
            needs: "post norms and sliding windows"),
        .init("nemotron", "LayerNorm and squared ReLU", needs: "\(layerNorm), partial rotation and squared ReLU"),
        .init(
            "lfm2", "short convolutions in most layers, attention in the others", needs: "convolution over positions"),
        .init("lfm2moe", "LFM2 with experts", needs: "convolution over positions"),
        // no attention, or not in all layers
        .init("mamba", "a state of fixed size in place of attention", needs: "state-space layers (SSM_SCAN, SSM_CONV)"),
        .init(
            "mamba2", "a state of fixed size in place of attention", needs: "state-space layers (SSM_SCAN, SSM_CONV)"),
        .init(
            "jamba", "Mamba layers, some of attention, and experts",
            needs: "state-space layers (SSM_SCAN, SSM_CONV)"),
        .init("falcon-h1", "attention and Mamba 2 side by side in each layer", needs: "state-space layers (Mamba 2)"),
        .init(
            "nemotron_h", "layers of Mamba 2, attention or feed-forward network",
            needs: "state-space layers (Mamba 2) and layers that differ"),
        .init("rwkv6", "a recurrent network in place of attention", needs: "RWKV layers (RWKV_WKV6)"),
        .init("rwkv7", "a recurrent network in place of attention", needs: "RWKV layers (RWKV_WKV7)"),
        // encoders
        .init("bert", "an encoder that makes embeddings of texts", needs: encoder, caches: false),
        .init(
            "modern-bert", "an encoder that makes embeddings of texts", needs: encoder, window: 3, wholeFirst: true,
            caches: false),
        .init("nomic-bert", "an encoder that makes embeddings of texts", needs: encoder, caches: false),
        .init("nomic-bert-moe", "an encoder with experts", needs: encoder, caches: false),
        .init("jina-bert-v2", "an encoder that makes embeddings of texts", needs: encoder, caches: false),
        .init("jina-bert-v3", "an encoder that makes embeddings of texts", needs: encoder, caches: false),
        .init(
            "t5", "an encoder that reads a text and a decoder that writes another",
            needs: "an encoder, attention to its output and biases by distance", caches: false),
        .init("t5encoder", "the encoder of T5", needs: encoder, caches: false),
        // diffusion
        .init(
            "dream", "Qwen2 that fills in all positions at once", needs: "diffusion in place of one token at a time",
            caches: false),
        .init(
            "llada", "a llama that fills in all positions at once", needs: "diffusion in place of one token at a time",
            caches: false),
    ]
}
