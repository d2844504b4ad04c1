import Recording

/// The result of `merge`: what each trace added.
public struct MergeReport: Report {
    public struct Input: Encodable, Sendable {
        let trace: String
        let runsAdded: Int
        let runsKnown: Int
        let rowsAdded: Int
        let rowsKnown: Int
    }

    public let output: String
    /// Runs in the output now.
    public let runs: Int
    public let sizeBytes: Int
    public let inputs: [Input]

    public init(output: String, runs: Int, sizeBytes: Int, merged: [MergedTrace]) {
        self.output = output
        self.runs = runs
        self.sizeBytes = sizeBytes
        inputs = merged.map {
            Input(
                trace: $0.path, runsAdded: $0.runsAdded, runsKnown: $0.runsKnown, rowsAdded: $0.rowsAdded,
                rowsKnown: $0.rowsKnown)
        }
    }

    public func page(_ style: Style) -> String {
        var table = Table([
            ("trace", .left), ("runs added", .right), ("known", .right), ("rows added", .right), ("known", .right),
        ])
        for input in inputs {
            table.add(
                input.trace.cut(to: max(20, style.width - 46)), "\(input.runsAdded)", "\(input.runsKnown)",
                Numbers.grouped(input.rowsAdded), Numbers.grouped(input.rowsKnown))
        }
        return
            (table.lines(style) + [
                "", style.bold("Written: \(output)") + " (\(ByteSize(sizeBytes))), \(Numbers.count(runs, "run"))",
            ]).joined(separator: "\n")
    }
}
