import ArgumentParser
import Presentation
import Recording

struct SQLCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sql",
        abstract: "Ask a trace anything, in SQL. Reads only.",
        usage: "quipu sql [TRACE] STATEMENT [options]",
        discussion: """
            Tables: model, metadata, weight, run, token, pass, op, op_input, tensor, gqa_map, attention_head, kv_cache, \
            logit. Views: v_op, v_layer, v_attention_group, v_roofline. Functions over the blobs of table tensor: \
            f32(blob, i) and f16(blob, i) give element i; row(blob, i, n) gives row i of n elements as a JSON array; \
            dot(a, b) sums the products of two rows or blobs.

            Example:
              quipu sql trace.db "SELECT name, rms FROM op ORDER BY rms DESC LIMIT 5"

            Example:
              quipu sql trace.db "SELECT dot(row(data, 0, 8), row(data, 1, 8)) FROM tensor"
            """)

    @Argument(
        help: ArgumentHelp(
            "The trace (default: the last one written) and the statement.", valueName: "trace> <statement"),
        completion: .trace)
    var arguments: [String]
    @OptionGroup(title: "Output") var printing: OutputOptions

    func validate() throws {
        _ = try LeadingFile(arguments, file: "trace", rest: "a statement, such as \"SELECT * FROM run\"")
    }

    func run() throws {
        let query = try LeadingFile(arguments, file: "trace", rest: "a statement")
        let store = try LastTrace.open(query.file)
        let isDocument = printing.json
        let style = printing.style
        var stream = SQLStream(isDocument ? nil : style) { text in
            // The reader has enough, as in `| head`.
            guard Terminal.writeIfRead(isDocument ? text : style.shown(text)) else { throw ExitCode.success }
        }
        try store.query(query.rest, columns: { try stream.begin($0) }, row: { try stream.add($0) })
        try stream.end()
    }
}
