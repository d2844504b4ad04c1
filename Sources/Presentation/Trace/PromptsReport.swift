import LlamaModel
import RealModule
import Recording

/// The result of `trace --prompts`.
public struct PromptsReport: Report {
    public struct Run: Encodable, Sendable {
        /// Of the file, from 1.
        let line: Int
        /// Its id in the trace.
        let run: Int
        @OrNull var group: String?
        let prompt: String
        let promptTokens: Int
        let generatedIds: [Int]
        let generatedText: String
        /// The most probable token after the prompt.
        let top: String
        let topProbability: Double
        @OrNull var metric: String?
        @OrNull var metricValue: Double?
        let tracked: [Tracked]
        /// Logits of its predictions that were no numbers.
        let notFinite: Int

        public init(
            line: Int, run: Int, group: String?, prompt: String, ids: [Int], generatedIds: [Int],
            generatedText: String, prediction: Prediction, metric: (text: String, value: Double)?,
            tracked: [TrackedToken], notFinite: Int, model: Llama
        ) {
            (self.line, self.run, self.prompt, self.notFinite) = (line, run, prompt, notFinite)
            promptTokens = ids.count
            (self.generatedIds, self.generatedText) = (generatedIds, generatedText)
            let best = prediction.top(1, model.vocabulary)[0]
            (top, topProbability) = (best.piece, best.probability)
            self.tracked = tracked.map { Tracked($0, in: ids + generatedIds, model) }
            self.group = group
            (self.metric, metricValue) = (metric?.text, metric?.value)
        }
    }

    /// The metric over the runs of a group.
    struct Group: Encodable {
        /// `nil`: runs without a group.
        @OrNull var group: String?
        let n: Int
        let mean: Double
        /// Of the mean; `nil` of a single run.
        @OrNull var standardError: Double?
        let min: Double
        let max: Double

        init(_ name: String?, _ values: [Double]) {
            n = values.count
            let mean = values.reduce(0, +) / Double(values.count)
            self.mean = mean
            (min, max) = (values.min()!, values.max()!)
            group = name
            let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
            standardError = n > 1 ? .sqrt(squares / Double(n - 1) / Double(n)) : nil
        }
    }

    public let trace: String
    public let model: String
    public let file: String
    public let capture: String
    public let runs: [Run]
    let groups: [Group]
    public let sizeBytes: Int
    public let wallNs: Int

    /// - Parameter file: of the prompts.
    public init(
        trace: String, model: Llama, file: String, capture: Capture, runs: [Run], sizeBytes: Int, wallNs: Int
    ) {
        (self.trace, self.file, self.runs) = (trace, file, runs)
        (self.model, self.capture) = (model.file.path, capture.description)
        (self.sizeBytes, self.wallNs) = (sizeBytes, wallNs)
        let measured = runs.filter { $0.metricValue?.isFinite ?? false }
        var names: [String?] = []
        for run in measured where !names.contains(run.group) { names.append(run.group) }
        groups = names.map { name in Group(name, measured.filter { $0.group == name }.map { $0.metricValue! }) }
    }

    public func page(_ style: Style) -> String {
        let hasMetric = runs.contains { $0.metric != nil }
        let hasGroups = runs.contains { $0.group != nil }
        var columns: [(String, Table.Alignment)] = [("run", .right), ("tokens", .right)]
        if hasGroups { columns.append(("group", .left)) }
        if hasMetric { columns.append(("metric", .right)) }
        columns += [("expects", .left), ("", .right), ("prompt", .left)]
        var table = Table(columns)
        for run in runs {
            var cells = ["\(run.run)", "\(run.promptTokens)"]
            if hasGroups { cells.append(run.group ?? "") }
            if hasMetric { cells.append(Numbers.short(run.metricValue)) }
            cells += ["‹\(run.top)›", Numbers.percent(run.topProbability), run.prompt]
            table.add(cells)
        }
        var lines = table.lines(style)
        if hasMetric, groups.count > 1 || runs.count > 1 { lines += [""] + groupLines(style) }
        let followed = runs.flatMap { run in run.tracked.map { (run.run, $0) } }
        if !followed.isEmpty { lines += [""] + trackedLines(followed, style) }
        let broken = runs.filter { $0.notFinite > 0 }
        if !broken.isEmpty {
            lines +=
                [""]
                + ("Logits that are no numbers: runs " + broken.map { "\($0.run)" }.joined(separator: ", ")
                + ". What they predict is not to be trusted.").wrapped(to: style.width, paint: style.warning)
        }
        return
            (lines + [
                "",
                style.bold("Written: \(trace)")
                    + " (\(Numbers.count(runs.count, "run")), \(ByteSize(sizeBytes)), capture \(capture))",
            ]).joined(separator: "\n")
    }

    private func groupLines(_ style: Style) -> [String] {
        var table = Table([
            ("group", .left), ("runs", .right), ("mean", .right), ("± one se", .right), ("least", .right),
            ("most", .right),
        ])
        for group in groups {
            table.add(
                group.group ?? "(none)", "\(group.n)", Numbers.short(group.mean), Numbers.short(group.standardError),
                Numbers.short(group.min), Numbers.short(group.max))
        }
        return table.lines(style)
    }

    private func trackedLines(_ followed: [(run: Int, Tracked)], _ style: Style) -> [String] {
        var table = Table([
            ("run", .right), ("position", .right), ("after", .left), ("token", .left), ("rank", .right),
            ("probability", .right),
        ])
        for (run, token) in followed {
            table.add(
                "\(run)", "\(token.position)", "‹\(token.after)›", "‹\(token.piece)›", "\(token.rank + 1)",
                Numbers.percent(token.probability))
        }
        return table.lines(style)
    }
}
