import Foundation
import TestSupport
import Testing

@Suite struct ExportCommandTests {
    @Test func writesArraysAndSaysWhich() throws {
        let bench = try Workbench()
        try bench.addTrace()
        let outcome = try bench.quipu("export", "trace.db", "kq_soft_max-*", "norm-0#1", "--output", "x.npz", "--json")
        let object = try outcome.object()
        let arrays = try #require(object["arrays"] as? [[String: Any]])
        #expect(
            arrays.compactMap { $0["name"] as? String } == (0..<5).map { "kq_soft_max-\($0)" } + ["norm-0#1"])
        #expect(arrays[0]["shape"] as? [Int] == [8, 5, 5] && arrays[5]["shape"] as? [Int] == [5, 64])
        #expect(arrays.allSatisfy { $0["dtype"] as? String == "<f4" && $0["missing"] as? Int == 0 })
        #expect(try bench.bytes("x.npz").count == object["size_bytes"] as? Int)
        #expect(try bench.bytes("x.npz").starts(with: Data("PK".utf8)))
        // The last trace is the one that is meant when none is named.
        try bench.quipu("trace", "model.gguf", "-p", "Once", "--output", "mine.db")
        let page = try bench.quipu("export", "l_out-?", "-o", "y.npz")
        #expect(page.output.contains("Written: y.npz (") && page.output.hasSuffix("5 arrays\n"))
    }

    @Test func stepsAreNamed() throws {
        let bench = try Workbench()
        try bench.addTrace()
        let export = ["export", "trace.db", "kq-1", "-o"]
        func names(_ step: String) throws -> [String] {
            let outcome = try bench.quipu(export + ["x.npz", "--force", "--step", step, "--json"])
            return try #require(try outcome.object()["arrays"] as? [[String: Any]]).compactMap { $0["name"] as? String }
        }
        #expect(try names("2") == ["kq-1"] && names("-1") == ["kq-1"])
        #expect(try names("1:3") == ["step1/kq-1", "step2/kq-1"])
        #expect(try names(":") == (0..<4).map { "step\($0)/kq-1" })
        expectComplaint(try bench.quipu(export + ["y.npz", "--step", "4"]), "no step 4", "0 to 3")
        expectComplaint(try bench.quipu(export + ["y.npz", "--step", "2:9"]), "steps 0 to 3")
        #expect(!bench.exists("y.npz"))
    }

    @Test(arguments: [
        (["kqq-*"], "fits no operation"), (["Qcur-0 (view)*"], "no values of their own"),
        (["kq-9"], "no operation 'kq-9'"), (["norm-0#2"], "occurs 2 times"), (["kq-1[:,0]"], "leave the brackets out"),
        (["kq-1", "*x#y"], "a number"),
    ])
    func namesThatFitNothing(names: [String], part: String) throws {
        let bench = try Workbench()
        try bench.addTrace()
        expectComplaint(try bench.quipu(["export", "trace.db"] + names + ["-o", "x.npz"]), part)
        #expect(!bench.exists("x.npz"))
    }

    @Test func outputsThatCannotBe() throws {
        let bench = try Workbench()
        try bench.addTrace()
        let export = ["export", "trace.db", "kq-*", "--output"]
        expectComplaint(try bench.quipu(export + ["x.txt"]), "x.txt: found another ending", ".npz")
        expectComplaint(try bench.quipu(export + ["x.npy"]), "holds one array", "fit 5")
        expectComplaint(try bench.quipu(export + ["no/x.npz"]), "there is no folder")
        try bench.folder.write("mine", to: "x.npz")
        expectComplaint(try bench.quipu(export + ["x.npz"]), "x.npz exists already", "--force")
        expectComplaint(try bench.quipu(export + ["x.npz", "--force"]), "something else than a file of arrays")
        #expect(try String(decoding: bench.bytes("x.npz"), as: UTF8.self) == "mine")
        expectComplaint(try bench.quipu("export", "trace.db", "-o", "y.npz"), "come tensors", status: 64)
        expectComplaint(try bench.quipu("export", "trace.db", "kq-0"), "Missing expected argument", status: 64)
        expectComplaint(try bench.quipu("export", "nothing.db", "kq-0", "-o", "y.npz"), "there is no such trace")
        expectComplaint(try bench.quipu("export", "model.gguf", "kq-0", "-o", "y.npz"), "found a GGUF model")
    }

    /// A trace that somebody made to lead out of it, or to crash.
    @Test(arguments: [
        ("UPDATE graph_op SET name = '../kq-1' WHERE name = 'kq-1'", "*kq-1", "no file inside an archive"),
        ("UPDATE graph_op SET params = '{}' WHERE name = 'Qcur-1 (view)'", "Qcur-1 (view)", "column params: found {}"),
        ("UPDATE graph_op SET ne0 = 1 << 40 WHERE name = 'kq-1'", "kq-1", "column ne0 to ne3: found "),
        (
            "UPDATE tensor SET run_length = 1, run_stride = 1 << 62", "kq-1",
            "column run_stride: found 4611686018427387904"
        ),
        (
            "UPDATE graph_input SET source_seq = seq WHERE source_seq NOT NULL", "Qcur-1 (view)",
            "expected an operation before this one"
        ),
        ("DELETE FROM graph_input", "Qcur-1 (view)", "column slot: found 0 inputs, expected 1 or more"),
    ])
    func tracesOfStrangers(change: String, name: String, part: String) throws {
        let bench = try Workbench()
        try bench.addTrace()
        try changeTrace(bench.folder.path("trace.db"), change)
        expectComplaint(try bench.quipu("export", "trace.db", name, "-o", "x.npz"), part)
        #expect(!bench.exists("x.npz"))
    }
}
