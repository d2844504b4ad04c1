import Operations
import RealModule

extension RoPE.Parameters {
    /// As libllama fills `rope_ext`'s parameters for a context that overrides nothing.
    ///
    /// - Parameter movesMagnitude: whether YaRN's magnitude is not in the rotation but in the scores' scale.
    init(
        _ keys: MetadataReader, _ pairs: RoPE.Pairs, dimensions: Int, trainedContext: Int, movesMagnitude: Bool = false
    ) throws(LlamaError) {
        let scaling = try keys.string("rope.scaling.type") ?? "linear"
        guard ["none", "linear", "yarn"].contains(scaling) else {
            throw .unsupported(
                file: keys.file, what: "RoPE scaling", found: scaling,
                supported: "'none', 'linear' and 'yarn', and Llama 3's rope_freqs.weight")
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
            let magnitude: Float = stretch <= 1 || movesMagnitude ? 1 : 0.1 * Float.log(stretch) + 1
            attention = magnitude * (1 / (1 + 0.1 * Float.log(stretch)))
        }
        attention *= try keys.float("rope.scaling.attn_factor") ?? 1
        self.init(
            pairs: pairs, dimensions: dimensions,
            originalContext: try keys.count("rope.scaling.original_context_length") ?? trainedContext,
            frequencyBase: base, frequencyScale: frequencyScale,
            extrapolation: scaling == "yarn" ? 1 : 0, attentionFactor: attention, betaFast: 32, betaSlow: 1)
    }
}
