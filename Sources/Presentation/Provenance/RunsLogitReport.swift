import LlamaModel
import Recording
import Tokenization
import Tracing

/// The result of `explain logit --over-runs`: what each part of the network adds to a logit, on the mean of several runs.
public struct RunsLogitReport: Report {
    struct Run: Encodable {
        let run: Int
        @OrNull var group: String?
        let prompt: String
        let tokenId: Int
        let piece: String
        @OrNull var againstId: Int?
        @OrNull var againstPiece: String?
        let logit: Float
    }

    struct Part: Encodable {
        let name: String
        @OrNull var layer: Int?
        @OrNull var head: Int?
        @OrNull var kvHead: Int?
        @OrNull var expert: Int?
        /// Runs that have it: not every token goes through every expert.
        let n: Int
        let mean: Double
        /// Of the sample, with n − 1; `null` of one run.
        @OrNull var sd: Double?
    }

    let trace: String
    @OrNull var group: String?
    private(set) var runs: [Run] = []
    /// In the network's order; the means of all parts that every run has add up to the mean logit.
    var parts: [Part] { order.map { part($0, values[$0.name] ?? []) } }

    private var order: [LogitAttribution.Part] = []
    private var values: [String: [Double]] = [:]

    private enum CodingKeys: CodingKey { case trace, group, runs, parts }

    public init(trace: String, group: String?) {
        self.trace = trace
        _group = OrNull(wrappedValue: group)
    }

    public mutating func add(
        _ attribution: LogitAttribution, of run: RecordedRun, group: String?, _ vocabulary: Vocabulary
    ) {
        runs.append(
            Run(
                run: run.id, group: group, prompt: run.prompt, tokenId: attribution.token,
                piece: vocabulary.displayPiece(attribution.token), againstId: attribution.against,
                againstPiece: attribution.against.map(vocabulary.displayPiece), logit: attribution.logit))
        for part in attribution.parts {
            if values[part.name] == nil { order.append(part) }
            values[part.name, default: []].append(part.value)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(trace, forKey: .trace)
        try container.encode(_group, forKey: .group)
        try container.encode(runs, forKey: .runs)
        try container.encode(parts, forKey: .parts)
    }

    private func part(_ part: LogitAttribution.Part, _ values: [Double]) -> Part {
        let mean = values.reduce(0, +) / Double(values.count)
        let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        return Part(
            name: part.name, layer: part.layer, head: part.head, kvHead: part.kvHead, expert: part.expert,
            n: values.count, mean: mean, sd: values.count > 1 ? (squares / Double(values.count - 1)).squareRoot() : nil)
    }

    // MARK: for people

    public func page(_ style: Style) -> String {
        let parts = parts
        let logit = runs.reduce(0) { $0 + Double($1.logit) } / Double(runs.count)
        let asked = runs.contains { $0.againstId != nil } ? "differences of logits" : "logits"
        let title =
            "\(runs.count == 1 ? "One run" : "\(runs.count) runs"), \(asked) of \(Numbers.significant(logit)) on the mean"
        let heads = parts.filter { $0.head != nil }.sortedWorstFirst { abs($0.mean) }
        let others = parts.filter { $0.head == nil }.sortedWorstFirst { abs($0.mean) }
        return
            ([style.bold(title), ""] + runLines(style) + [""]
            + table("The heads that add most", heads.prefix(12), style) + [""]
            + table("Other parts", others.prefix(8), style)).joined(separator: "\n")
    }

    private func runLines(_ style: Style) -> [String] {
        var lines = runs.prefix(6).map { run in
            let token = run.againstPiece.map { "'\(run.piece)' over '\($0)'" } ?? "'\(run.piece)'"
            return "\(run.run)".leftPadded(to: 5) + "  \(token) \(Numbers.signed(Double(run.logit)))  "
                + style.dim("after '\(run.prompt.suffix(30))'".onOneLine)
        }
        if runs.count > lines.count { lines.append(style.dim("  … and \(runs.count - lines.count) more")) }
        return lines
    }

    private func table(_ title: String, _ parts: ArraySlice<Part>, _ style: Style) -> [String] {
        let most = parts.first.map { abs($0.mean) } ?? 0
        var table = Table([("part", .left), ("mean", .right), ("sd", .right), ("runs", .right), ("", .left)])
        for part in parts {
            table.add(
                part.name, Numbers.signed(part.mean), part.sd.map(Numbers.short) ?? "-", "\(part.n)",
                Bar.signed(most > 0 ? part.mean / most : 0, half: 14))
        }
        return [style.bold(title), ""] + table.lines(style)
    }
}
