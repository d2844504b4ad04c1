import LlamaModel
import Measuring

/// The result of `bench --lengths`.
public struct LengthReport: Report {
    struct Phase: Encodable {
        /// The median of `rates`.
        let tokensPerSecond: Double
        let tokensPerSecondMin: Double
        let tokensPerSecondMax: Double
        /// A value a repetition.
        let rates: [Double]
        /// Wall time of a pass on average; of it, in products with the cache and the soft max between them.
        let ns: Double
        let attentionNs: Double
        let attentionShare: Double

        init(_ phase: LengthBenchmark.Phase) {
            tokensPerSecond = phase.rate
            tokensPerSecondMin = phase.rates.min()!
            tokensPerSecondMax = phase.rates.max()!
            rates = phase.rates
            ns = phase.passNanoseconds
            attentionNs = phase.attentionNanoseconds
            attentionShare = phase.attentionShare
        }
    }

    struct Line: Encodable {
        /// Tokens of the prompt, and in the cache when generation begins.
        let nTokens: Int
        /// `null` where there is no prompt.
        @OrNull var prompt: Phase?
        let decode: Phase
    }

    let model: String
    let threads: Int
    let nDecode: Int
    let lengths: [Line]

    public init(_ benchmark: LengthBenchmark, model: Llama, threads: Int, decodeTokens: Int) {
        self.model = model.file.path
        self.threads = threads
        nDecode = decodeTokens
        lengths = benchmark.rows.map {
            Line(nTokens: $0.length, prompt: $0.prompt.map(Phase.init), decode: Phase($0.decode))
        }
    }

    public func page(_ style: Style) -> String {
        var table = Table([
            ("tokens", .right), ("prompt, tokens/s", .right), ("attention", .right), ("decode, tokens/s", .right),
            ("attention", .right), ("a token", .right),
        ])
        for line in lengths {
            table.add(
                "\(line.nTokens)", line.prompt.map { BenchReport.rate($0.tokensPerSecond) } ?? "-",
                line.prompt.map { Numbers.percent($0.attentionShare) } ?? "-",
                BenchReport.rate(line.decode.tokensPerSecond), Numbers.percent(line.decode.attentionShare),
                Numbers.duration(nanoseconds: Int(line.decode.ns)))
        }
        let generated = "\(Numbers.count(nDecode, "token")) generated after each prompt"
        let facts = "\(Numbers.count(threads, "thread")), \(generated)"
        let legend = [
            "Attention: products with the keys and values of the cache, and the soft max between",
            "them, of the time of a pass.",
        ]
        return ([style.bold(model), facts, ""] + table.lines(style) + [""] + legend.map(style.dim))
            .joined(separator: "\n")
    }
}
