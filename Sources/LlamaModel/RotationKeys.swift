import Operations
import RealModule

extension RoPE.Parameters {
    /// As libllama fills `rope_ext`'s parameters for a context that overrides nothing.
    ///
    /// - Parameters:
    ///   - readsYaRN: whether the architecture reads YaRN's betas and the multiplier of its logarithm from keys.
    ///   - movesMagnitude: whether YaRN's magnitude is not in the rotation but in the scores' scale.
    init(
        _ keys: MetadataReader, _ pairs: RoPE.Pairs, dimensions: Int, trainedContext: Int, readsYaRN: Bool = false,
        movesMagnitude: Bool = false
    ) throws(LlamaError) {
        let scaling = try keys.string("rope.scaling.type") ?? "linear"
        guard ["none", "linear", "yarn", "longrope"].contains(scaling) else {
            throw .unsupported(
                file: keys.file, what: "RoPE scaling", found: scaling,
                supported: "'none', 'linear', 'yarn' and 'longrope', and Llama 3's rope_freqs.weight")
        }
        let oldFactor = try keys.float("rope.scale_linear")
        let factor = try keys.float("rope.scaling.factor") ?? oldFactor ?? 0
        let base = try keys.float("rope.freq_base") ?? 10000
        guard base > 0, factor >= 0 else {
            throw keys.invalid("rope", "base \(base), factor \(factor)", "positive numbers")
        }
        let frequencyScale: Float = scaling == "none" || factor == 0 ? 1 : 1 / factor
        var attention: Float = 1
        if scaling == "yarn" {
            // ggml's YaRN multiplies the magnitude by 1 + 0.1 ln(factor) itself; libllama divides by it beforehand.
            let stretch = 1 / frequencyScale
            func magnitude(_ multiplier: Float) -> Float {
                stretch <= 1 || movesMagnitude ? 1 : 0.1 * multiplier * Float.log(stretch) + 1
            }
            let multiplier = try readsYaRN ? keys.float("rope.scaling.yarn_log_multiplier") ?? 0 : 0
            attention = magnitude(1) / (multiplier == 0 ? 1 : magnitude(multiplier))
            attention *= 1 / (1 + 0.1 * Float.log(stretch))
        }
        attention *= try keys.float("rope.scaling.attn_factor") ?? 1
        self.init(
            pairs: pairs, dimensions: dimensions,
            originalContext: try keys.count("rope.scaling.original_context_length") ?? trainedContext,
            frequencyBase: base, frequencyScale: frequencyScale,
            extrapolation: scaling == "yarn" ? 1 : 0, attentionFactor: attention,
            betaFast: try readsYaRN ? keys.float("rope.scaling.yarn_beta_fast") ?? 32 : 32,
            betaSlow: try readsYaRN ? keys.float("rope.scaling.yarn_beta_slow") ?? 1 : 1)
    }
}
