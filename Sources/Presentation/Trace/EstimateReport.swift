import Recording

/// The result of `trace --estimate`.
public struct EstimateReport: Report {
    let capture: String
    /// Prompts, and the tokens of them all.
    let prompts: Int
    let promptTokens: Int
    let generate: Int
    let valueBytes: Int
    let rowBytes: Int
    let sizeBytes: Int

    /// - Parameter prompts: how many tokens each has.
    public init(_ estimate: TraceEstimate, capture: Capture, prompts: [Int], generate: Int) {
        self.capture = capture.description
        (self.prompts, promptTokens) = (prompts.count, prompts.reduce(0, +))
        self.generate = generate
        valueBytes = estimate.values
        rowBytes = estimate.rows
        sizeBytes = estimate.total
    }

    public func page(_ style: Style) -> String {
        let each = prompts > 1 ? " of \(prompts) prompts" : ""
        return """
            \(style.bold("about \(ByteSize(sizeBytes))")) for \(Numbers.count(promptTokens, "prompt token"))\(each) and \(generate) generated\(prompts > 1 ? " each" : ""), capture \(capture)
            \(ByteSize(valueBytes)) of values, \(ByteSize(rowBytes)) of rows; nothing was run
            """
    }
}
