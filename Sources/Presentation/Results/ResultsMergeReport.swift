/// The result of `merge` of the parts of some work.
public struct ResultsMergeReport: Report {
    public struct Input: Encodable, Sendable {
        let results: String
        let part: String
        let rows: Int

        public init(results: String, part: String, rows: Int) {
            (self.results, self.part, self.rows) = (results, part, rows)
        }
    }

    let output: String
    let command: String
    let rows: Int
    let inputs: [Input]

    public init(output: String, command: String, rows: Int, inputs: [Input]) {
        (self.output, self.command, self.rows, self.inputs) = (output, command, rows, inputs)
    }

    public func page(_ style: Style) -> String {
        var table = Table([("results", .left), ("part", .left), ("rows", .right)])
        for input in inputs {
            table.add(input.results.cut(to: max(20, style.width - 24)), input.part, Numbers.grouped(input.rows))
        }
        let next =
            "`quipu \(command)` with the same model and options, `--output \(output)` and `--resume` shows the result."
        return
            (table.lines(style) + [
                "", style.bold("Written: \(output)") + ", \(Numbers.count(rows, "row")) of `\(command)`",
            ] + next.wrapped(to: style.width, indent: "")).joined(separator: "\n")
    }
}
