import Recording

/// The result of `report`: where the page is and what it leaves out.
public struct HTMLReportSummary: Report {
    public let report: String
    public let trace: String
    public let sizeBytes: Int
    /// What was left out or down-sampled.
    public let notes: [String]

    public init(report: String, trace: String, sizeBytes: Int, notes: [String]) {
        self.report = report
        self.trace = trace
        self.sizeBytes = sizeBytes
        self.notes = notes
    }

    public func page(_ style: Style) -> String {
        let lines = [style.bold("Written: \(report)") + " (\(ByteSize(sizeBytes))); open it in a browser."]
        guard !notes.isEmpty else { return lines[0] }
        let left = notes.flatMap { note in
            note.wrapped(to: style.width - 4, indent: "  ")
                .enumerated().map { ($0 == 0 ? "- " : "") + $1 }
        }
        return (lines + ["", "What it leaves out:"] + left).joined(separator: "\n")
    }
}
