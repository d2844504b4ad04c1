import Foundation
import TestSupport
import Testing

/// What holds for the output of every command.
@Suite struct OutputTests {
    /// Every command that prints a page, with the model and the trace of a workbench.
    static let pages = [
        ["inspect", "model.gguf"], ["inspect", "model.gguf", "--tensors"], ["inspect", "model.gguf", "--metadata"],
        ["inspect", "model.gguf", "--bytes", "blk.0.attn_q.weight"],
        ["tokenize", "model.gguf", "Once upon a time, unbelievably", "--steps"],
        ["tokenize", "model.gguf", String(repeating: "long", count: 60), "--steps"],
        ["graph", "model.gguf"], ["trace", "model.gguf", "--prompt", "Once", "--estimate"],
        ["trace", "model.gguf", "--prompt", "Once upon a time there was a little girl named Lily", "--generate", "2"],
        ["ops", "trace.db"], ["ops", "trace.db", "--step", "1"],
        ["show", "trace.db", "kq_soft_max-0"], ["show", "trace.db", "result_output"],
        ["show", "trace.db", "ffn_inp-0"],
        ["export", "trace.db", "*", "--output", "all.npz"],
        ["show", "trace.db", "Qcur-0[3]"], ["show", "trace.db", "Qcur-0[0,0,0]"],
        ["sql", "trace.db", "SELECT * FROM op"], ["sql", "trace.db", "SELECT * FROM v_layer"],
        ["sql", "trace.db", "SELECT * FROM metadata"], ["sql", "trace.db", "SELECT * FROM tensor LIMIT 3"],
        ["bench", "model.gguf", "-p", "8", "-n", "2", "-r", "1"],
    ]

    static let models = TinyModel.allCases.map(\.path) + (Places.runsSmolLM2 ? [Places.smolLM2] : [])

    @Test(arguments: models)
    func pagesFitEightyColumnsAndCarryNoEscapes(model: String) throws {
        let bench = try Workbench(model)
        try bench.quipu(
            "trace", "model.gguf", "--prompt", "Once upon a time", "--generate", "3", "--output", "trace.db")
        for page in Self.pages {
            let outcome = try bench.quipu(page)
            #expect(outcome.status == 0, "\(page): \(outcome.errors)")
            #expect(outcome.errors == "", "\(page)")
            #expect(!outcome.output.contains("\u{1B}"), "\(page)")
            #expect(outcome.output.hasSuffix("\n") && !outcome.output.hasSuffix("\n\n"), "\(page)")
            for line in outcome.lines { #expect(line.count <= 80, "\(page): \(line)") }
        }
    }

    @Test func coloursAreThereWhenAskedFor() throws {
        let bench = try Workbench()
        try bench.addTrace()
        let show = ["show", "trace.db", "kq_soft_max-0[:,:,0]"]
        #expect(try bench.quipu(show + ["--color", "always"]).output.contains("\u{1B}[48;2;"))
        #expect(try !bench.quipu(show + ["--color", "never"]).output.contains("\u{1B}"))
        #expect(try !bench.quipu(show, environment: ["NO_COLOR": "1"]).output.contains("\u{1B}"))
        #expect(
            try bench.quipu(show + ["--color", "always"], environment: ["NO_COLOR": "1"]).output.contains("\u{1B}"))
    }

    static let documents: [([String], Set<String>)] = [
        (
            ["inspect", "model.gguf"],
            ["file", "version", "n_tensors", "n_kv", "n_params", "size_bytes", "bpw", "metadata", "tensors"]
        ),
        (
            ["inspect", "model.gguf", "--bytes", "output_norm.weight"],
            ["tensor", "type", "shape", "file_offset", "bytes_hex"]
        ),
        (["tokenize", "model.gguf", "Once"], ["ids", "pieces"]),
        (["tokenize", "model.gguf", "Once", "--steps"], ["ids", "pieces", "steps"]),
        (["graph", "model.gguf"], ["n_nodes", "n_tokens", "nodes"]),
        (
            ["trace", "model.gguf", "--prompt", "Once", "--generate", "3"],
            [
                "trace", "prompt_ids", "generated_ids", "generated_text", "n_ops", "size_bytes", "wall_ns",
                "tokens_per_second",
            ]
        ),
        (["trace", "model.gguf", "--prompt", "Once", "--estimate"], ["size_bytes", "value_bytes", "row_bytes"]),
        (["ops", "trace.db"], ["trace", "run", "step", "complete", "ops"]),
        (
            ["show", "trace.db", "Qcur-0[0:2,0]"],
            ["name", "kind", "type", "shape", "slice", "values", "rms", "min", "max"]
        ),
        (["sql", "trace.db", "SELECT 1 AS one"], ["columns", "rows"]),
        (
            ["export", "trace.db", "kq-*", "--output", "kq.npz"],
            ["trace", "run", "output", "size_bytes", "arrays"]
        ),
        (["bench", "model.gguf", "-p", "8", "-n", "2"], ["prompt", "decode", "memory_bandwidth", "ops"]),
    ]

    @Test(arguments: documents)
    func jsonIsOneDocumentWithItsKeys(arguments: [String], keys: Set<String>) throws {
        let bench = try Workbench()
        try bench.addTrace()
        let outcome = try bench.quipu(arguments + ["--json"])
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
        #expect(keys.isSubset(of: try outcome.object().keys))
    }

    @Test func jsonOfTensorsHasTheKeysOfALine() throws {
        let tensors = try #require(
            try Workbench().quipu("inspect", "model.gguf", "--json").object()["tensors"] as? [[String: Any]])
        #expect(tensors.count == 48)
        #expect(Set(["name", "type", "shape", "file_offset", "n_bytes", "bpw"]).isSubset(of: tensors[0].keys))
    }

    /// The reader of a pipe may go away, and streams may be closed: no crash, and a trace is finished all the same.
    @Test(arguments: ["| head -n 1", ">&-", "<&-", "2>&-", "<&- >&- 2>&-", "| true"])
    func closedStreamsDoNoHarm(redirection: String) throws {
        let bench = try Workbench()
        let outcome = try bench.shell("quipu trace model.gguf -p Once -g 3 -o t.db \(redirection)")
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
        let row = try bench.row("SELECT complete, (SELECT count(*) FROM pass) AS passes FROM run", of: "t.db")
        #expect(row["complete"] as? Int == 1)
        #expect(row["passes"] as? Int == 3)
    }

    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full"), "needs /dev/full"))
    func aFullDiskIsSaid() throws {
        let outcome = try Workbench().shell("quipu inspect model.gguf > /dev/full")
        expectComplaint(outcome, "cannot be written", "space")
    }
}
