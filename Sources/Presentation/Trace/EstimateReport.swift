import Recording

/// The result of `trace --estimate`.
public struct EstimateReport: Report {
    let capture: String
    let promptTokens: Int
    let generate: Int
    let valueBytes: Int
    let rowBytes: Int
    let sizeBytes: Int

    public init(_ estimate: TraceEstimate, capture: Capture, promptIds: [Int], generate: Int) {
        self.capture = capture.description
        promptTokens = promptIds.count
        self.generate = generate
        valueBytes = estimate.values
        rowBytes = estimate.rows
        sizeBytes = estimate.total
    }

    public func page(_ style: Style) -> String {
        """
        \(style.bold("about \(ByteSize(sizeBytes))")) for \(Numbers.count(promptTokens, "prompt token")) and \(generate) generated, capture \(capture)
        \(ByteSize(valueBytes)) of values, \(ByteSize(rowBytes)) of rows; nothing was run
        """
    }
}
