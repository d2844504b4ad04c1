import ArgumentParser
import Presentation
import Recording

struct SQLCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sql",
        abstract: "Ask a trace anything, in SQL. Reads only.",
        discussion: """
            Tables: model, metadata, weight, run, token, pass, op, op_input, tensor, gqa_map, attention_head, kv_cache,
            logit. Views: v_op, v_layer, v_attention_group, v_roofline. Functions over blobs: f32(blob, i), f16(blob, i),
            row(blob, i, n) as a JSON array, dot(a, b).

            Example:
              quipu sql trace.db "SELECT name, rms FROM op ORDER BY rms DESC LIMIT 5"
            """)

    @Argument(
        help: ArgumentHelp("The trace (default: the last one written) and the statement.", valueName: "trace> <statement"))
    var arguments: [String]
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        if !(1...2).contains(arguments.count) { throw ValidationError("give a trace and a statement, or a statement") }
    }

    func run() throws {
        let store = try LastTrace.open(arguments.count == 2 ? arguments[0] : nil)
        var columns: [String] = []
        var rows: [[TraceStore.SQLValue]] = []
        try store.query(arguments.last!, columns: { columns = $0 }, row: { rows.append($0) })
        try printing.print(SQLReport(columns: columns, rows: rows))
    }
}
