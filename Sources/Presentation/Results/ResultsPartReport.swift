/// The result of a part of some work: that it is there. What it comes to, only the whole can say.
public struct ResultsPartReport: Report {
    let output: String
    let command: String
    let part: String
    /// In the output.
    let rows: Int
    /// Of the whole work.
    let allRows: Int

    public init(output: String, command: String, part: String, rows: Int, allRows: Int) {
        (self.output, self.command, self.part, self.rows, self.allRows) = (output, command, part, rows, allRows)
    }

    public func page(_ style: Style) -> String {
        let next =
            "When all parts are there, `quipu merge all.jsonl PART...` unites them, and this command with "
            + "`--output all.jsonl --resume` and no --part shows the result."
        return
            ([
                style.bold("Written: \(output)"),
                "part \(part) of `\(command)`: \(rows) of \(Numbers.count(allRows, "row"))", "",
            ] + next.wrapped(to: style.width, indent: "")).joined(separator: "\n")
    }
}
