import Foundation
import TestSupport
import Testing

/// Traces that cannot be read, and places in them that do not exist.
@Suite struct TraceFaultTests {
    static let readers = [["ops", "bad.db"], ["show", "bad.db", "kq-0"], ["sql", "bad.db", "SELECT 1"]]

    @Test(arguments: readers)
    func filesThatAreNoTrace(command: [String]) throws {
        let bench = try Workbench()
        expectComplaint(try bench.quipu(command), "bad.db: there is no such trace", "quipu trace")

        try FileManager.default.createDirectory(atPath: bench.folder.path("bad.db"), withIntermediateDirectories: true)
        expectComplaint(try bench.quipu(command), "bad.db: found a directory", "written by `quipu trace`")
        try FileManager.default.removeItem(atPath: bench.folder.path("bad.db"))

        for (content, found) in [("", "an empty file"), ("once upon a time", "a file of another kind")] {
            try bench.folder.write(content, to: "bad.db")
            expectComplaint(try bench.quipu(command), "bad.db: found \(found)", "written by `quipu trace`")
        }
        try bench.bytes("model.gguf").write(to: URL(filePath: bench.folder.path("bad.db")))
        // `show` reads the weights of a model, too.
        let isShow = command[0] == "show"
        expectComplaint(
            try bench.quipu(command), isShow ? "bad.db: there is no tensor `kq-0`" : "bad.db: found a GGUF model")
    }

    /// Cut to a whole number of pages and to half a page, and with bytes overwritten: refused, or read as far as it goes.
    @Test(arguments: readers)
    func damagedTracesDoNotCrash(command: [String]) throws {
        let bench = try Workbench()
        try bench.addTrace()
        let whole = try bench.bytes("trace.db")
        for length in [100, 4096, 8192, 10_000, whole.count / 2] {
            try whole.prefix(length).write(to: URL(filePath: bench.folder.path("bad.db")))
            let outcome = try bench.quipu(command)
            #expect([0, 1].contains(outcome.status), "\(length): \(outcome.errors)")
            #expect(outcome.status == 0 || outcome.errors.hasPrefix("quipu: "))
            #expect(!outcome.errors.contains("malformed"), "SQLite's words say nothing of what to do")
        }
        var scribbled = whole
        for offset in stride(from: 4096, to: whole.count, by: 4096) { scribbled[offset] = 0xFF }
        try scribbled.write(to: URL(filePath: bench.folder.path("bad.db")))
        expectComplaint(
            try bench.quipu(command[0] == "sql" ? ["sql", "bad.db", "SELECT * FROM op"] : command), "bad.db: ")
    }

    @Test(arguments: [
        ("kq-00", "Did you mean kq-0"), ("kqsoftmax-0", "kq_soft_max-0"), ("zzzzzzzz", "`quipu ops` lists them"),
        ("kq-0[99]", "dimension 0 has indices 0 to 4"), ("kq-0[:,5]", "dimension 1 has indices 0 to 4"),
        ("kq-0[3:1]", "dimension 0"), ("kq-0[0,0,0,1]", "dimension 3 has indices 0 to 0"), ("kq-0[-6]", "dimension 0"),
        ("kq-0[a]", "'a' is no index"), ("kq-0[1", "closing ]"), ("kq-0[]", "no index"), ("kq-0[1.5]", "1.5"),
        ("kq-0[1,2,3,4,5]", "four dimensions"), ("kq-0[99999999999999999999]", "no index"),
        ("Qcur-0#3", "occurs 3 times"), ("kq-0#1", "occurs once"), ("Qcur-0#x", "a number"), ("Qcur-0#-1", "a number"),
        ("[1]", "the name is missing"), ("", "the name is missing"),
        ("cache_v_l0 (reshaped)", "before anything was written"),
    ])
    func addressesThatNameNothing(address: String, part: String) throws {
        let bench = try Workbench()
        try bench.addTrace()
        expectComplaint(try bench.quipu("show", "trace.db", address), part)
    }

    @Test func placesThatDoNotExist() throws {
        let bench = try Workbench()
        try bench.addTrace()
        for command in [["ops", "trace.db"], ["show", "trace.db", "kq-0"]] {
            expectComplaint(try bench.quipu(command + ["--step", "4"]), "trace.db: there is no step 4", "0 to 3")
            expectComplaint(try bench.quipu(command + ["--step=-1"]), "there is no step -1")
            expectComplaint(try bench.quipu(command + ["--run", "9"]), "trace.db: there is no run 9", "run 1")
        }
        expectComplaint(try bench.quipu("ops", "trace.db", "--layer", "5"), "trace.db", "Layers are 0 to 4")
        expectComplaint(try bench.quipu("ops", "trace.db", "--kind", "MAT_MUL"), "kinds are ADD, ")
        expectComplaint(try bench.quipu("ops", "trace.db", "--name", "ffn_oot-1"), "Did you mean ffn_out-1")
    }

    @Test func theLastTraceIsRemembered() throws {
        let bench = try Workbench()
        expectComplaint(try bench.quipu("ops"), "no trace was named", "quipu trace MODEL")
        try bench.quipu("trace", "model.gguf", "-p", "Once", "--output", "mine.db")
        #expect(try bench.quipu("ops").output.contains("mine.db, run 1"))
        #expect(try bench.quipu("sql", "SELECT count(*) AS n FROM run").output.contains("1 row"))
        #expect(try bench.quipu("show", "kq-0").status == 0)
        try FileManager.default.removeItem(atPath: bench.folder.path("mine.db"))
        expectComplaint(try bench.quipu("ops"), "mine.db, is no longer there", "name another")
    }

    /// What was left out of a trace is said to be left out, not shown as something else.
    @Test func valuesThatWereNotCaptured() throws {
        let bench = try Workbench()
        try bench.quipu("trace", "model.gguf", "-p", "Once upon", "--output", "s.db", "--capture", "stats")
        expectComplaint(try bench.quipu("show", "s.db", "kq-0"), "'kq-0' were not captured", "--capture stats")
        try bench.quipu("trace", "model.gguf", "-p", "Once upon", "--output", "n.db", "--capture", "none")
        expectComplaint(try bench.quipu("ops", "n.db"), "n.db: the run recorded no operations", "--capture none")
        try bench.quipu("trace", "model.gguf", "-p", "Once upon", "--output", "o.db", "--only", "ffn_out-*")
        #expect(try bench.quipu("show", "o.db", "ffn_out-1").status == 0)
        expectComplaint(try bench.quipu("show", "o.db", "kq-0"), "not captured", "--capture all ffn_out-*")
    }

    /// Other tables may be there, whatever they are called: also like a function of SQLite's by which columns can be read.
    @Test func tablesOfOthersDoNoHarm() throws {
        let bench = try Workbench()
        try bench.addTrace()
        try changeTrace(bench.folder.path("trace.db"), "CREATE TABLE pragma_table_xinfo (a)")
        let outcome = try bench.quipu("ops", "trace.db")
        #expect(outcome.status == 0 && outcome.errors == "", "\(outcome.errors)")
    }
}
