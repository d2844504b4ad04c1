import Foundation
import TestSupport
import Testing

/// Traces that somebody damaged or made by hand, read by every command.
@Suite struct TraceMutationTests {
    /// A few hundred of the mutations that `scripts/mutate_traces.py` tries by the thousand: no signal, no hang, no raw
    /// control characters, and no words of SQLite or of Foundation.
    @Test func mutatedTracesAreReadOrRefused() throws {
        let bench = try Workbench()
        let script = Places.package.appending(path: "scripts/mutate_traces.py").path
        let outcome = try bench.shell(
            "python3 '\(script)' '\(Workbench.binary)' '\(TinyModel.stories.path)' --count 300 --seed 7")
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
        #expect(outcome.output.contains(" 0 failures"))
    }

    /// What was seen to trap, hang or take terabytes.
    @Test(arguments: [
        ("UPDATE graph_op SET ne0 = 4611686018427387904, ne1 = 1, ne2 = 1, ne3 = 1 WHERE name = 'ffn_out-1'", "ne0"),
        ("UPDATE graph_op SET ne0 = 1000000000000 WHERE name = 'ffn_out-1'", "ne0"),
        ("UPDATE graph_op SET ne0 = -1 WHERE name = 'ffn_out-1'", "ne0: found -1, expected a whole number from 1"),
        ("UPDATE tensor SET first_element = -1", "column first_element: found -1"),
        ("UPDATE tensor SET n_elements = 9223372036854775807", "column n_elements: found 9223372036854775807"),
        ("UPDATE tensor SET data = zeroblob(3)", "column data: found a blob of 3 bytes"),
        ("UPDATE graph_op SET flops = 9223372036854775807", "column flops"),
        ("DROP VIEW op; CREATE VIEW op AS SELECT 1 AS id", "table sqlite_schema, row name op, column sql"),
    ])
    func aWrongValueIsNamed(change: String, part: String) throws {
        let bench = try Workbench()
        try bench.addTrace()
        try changeTrace(bench.folder.path("trace.db"), change)
        expectComplaint(
            try bench.quipu("show", "trace.db", "ffn_out-1[0:2]"), "trace.db: the trace is damaged: table", part)
    }

    @Test(arguments: [
        ("DELETE FROM token", ["attention", "trace.db"], "column first_position"),
        ("DELETE FROM pass", ["attention", "trace.db"], "there is no step 0; the run has none yet"),
        ("UPDATE pass SET n_tokens = -9223372036854775808", ["attention", "trace.db"], "column n_tokens"),
        ("UPDATE token SET token_id = -1", ["verify", "trace.db"], "column token_id: found -1"),
        ("UPDATE token SET token_id = 512", ["verify", "trace.db"], "column token_id: found 512, expected 0 to 511"),
        ("UPDATE model SET n_head = 0, n_head_kv = 0", ["attention", "trace.db"], "column n_head: found 0"),
        ("UPDATE model SET n_layer = -1", ["lens", "trace.db"], "column n_layer: found -1"),
        (
            "UPDATE run SET sampling = 'x'", ["trace", "--from", "trace.db", "-o", "y.db"],
            "column sampling: found the text 'x'"
        ),
        (
            "ALTER TABLE token RENAME TO t2; CREATE VIEW token AS SELECT * FROM t2", ["attention", "trace.db"],
            "row name token, column type: found a view, expected a table"
        ),
        (
            "CREATE TRIGGER t AFTER INSERT ON op_stat BEGIN SELECT RAISE(IGNORE); END",
            ["trace", "model.gguf", "-p", "Once", "--append", "-o", "trace.db"],
            "row name t, column type: found a trigger"
        ),
        ("PRAGMA user_version = -1", ["ops", "trace.db"], "column user_version: found -1"),
    ])
    func rowsThatContradictOthersAreNamed(change: String, command: [String], part: String) throws {
        let bench = try Workbench()
        try bench.addTrace()
        try changeTrace(bench.folder.path("trace.db"), change)
        expectComplaint(try bench.quipu(command), "trace.db: ", part)
    }
}
