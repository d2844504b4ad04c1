import ArgumentParser
import LlamaModel
import Tracing

/// What is looked at in each prediction of a run.
struct WatchOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Follow a token, its text or #ID: how probable it is after the prompt and after each token that follows, with \
            --logits all after each token of the prompt too (table tracked). Repeatable. (default: none)
            """, valueName: "token"))
    var track: [String] = []
    @Option(
        help: ArgumentHelp(
            """
            A sum of logits after the prompt, of tokens that are quoted or #ID, such as "' Mary' - ' John'" (columns metric \
            and metric_value of the table run). (default: none)
            """, valueName: "tokens"))
    var metric: String?

    func validate() throws {
        if let metric, LogitMetric.names(in: metric) == nil {
            throw ValidationError("\(SweepProblem.metric(option: "--metric", text: metric))")
        }
    }

    /// Ids of the tokens to follow, each once.
    func tokens(of model: Llama) throws -> [Int] {
        var ids: [Int] = []
        for name in track {
            let id = try TokenName.id(name, of: model, option: "--track")
            if !ids.contains(id) { ids.append(id) }
        }
        return ids
    }
}

/// A metric in words and as what it is.
struct NamedMetric {
    let text: String
    let metric: LogitMetric

    /// - Parameter option: what messages call it.
    /// - Throws: `SweepProblem.metric` if the text is no sum of tokens, `InputError` if one of them is not one token.
    init(_ text: String, for model: Llama, option: String = "--metric") throws {
        guard let names = LogitMetric.names(in: text) else { throw SweepProblem.metric(option: option, text: text) }
        self.text = text
        metric = .sum(
            try names.map { .init(sign: $0.sign, token: try TokenName.id($0.name, of: model, option: option)) })
    }

    func value(_ logits: [Float]) -> Double { metric.value(logits, base: logits) }
}
