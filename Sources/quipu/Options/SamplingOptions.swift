import ArgumentParser
import LlamaModel

/// How the next token is chosen.
struct SamplingOptions: ParsableArguments {
    @Option(help: "0 takes the most probable token; higher is more varied.") var temperature: Float = 0
    @Option(help: "Choose among the k most probable; 0: all. Used with a temperature.") var topK = 40
    @Option(help: "Choose among the most probable that hold this probability together.") var topP: Float = 0.95
    @Option(help: "Leave out what is less probable than this share of the most probable.") var minP: Float = 0.05
    @Option(help: "Seed of the random choice.") var seed: UInt64 = 0
    @Flag(help: "Go on after an end-of-generation token.") var ignoreEos = false

    var options: Sampler.Options {
        var options = Sampler.Options()
        options.temperature = temperature
        options.topK = topK
        options.topP = topP
        options.minP = minP
        options.seed = seed
        return options
    }

    func validate() throws {
        if !(temperature >= 0 && temperature.isFinite) { throw ValidationError("--temperature takes 0 or more") }
        if topK < 0 { throw ValidationError("--top-k takes 0 or more") }
        if !(topP > 0 && topP <= 1) { throw ValidationError("--top-p takes more than 0, up to 1") }
        if !(minP >= 0 && minP <= 1) { throw ValidationError("--min-p takes 0 to 1") }
    }
}
