import Foundation
import TestSupport
import Testing

/// `activations` against what `trace` records.
@Suite struct ActivationsTests {
    typealias Object = [String: Any]

    private func bench(_ model: String = TinyModel.stories.path) throws -> Workbench {
        let bench = try Workbench(model)
        try bench.addText()
        return bench
    }

    private static let text = ["--file", "text.txt", "--chunk", "32", "--chunks", "5"]

    /// Header and values of a `.npy` file.
    private func array(_ bench: Workbench, _ name: String) throws -> (shape: [Int], bytes: Data) {
        let data = try bench.bytes("out/\(name)")
        let length = Int(data[8]) | Int(data[9]) << 8
        let header = String(decoding: data[10..<10 + length], as: UTF8.self)
        let shape = try #require(header.firstMatch(of: /'shape': \(([0-9, ]+)\)/)).1
        return (shape.split(separator: ",").compactMap { Int($0.filter { $0 != " " }) }, data[(10 + length)...])
    }

    private func floats(_ data: Data) -> [Float] {
        data.withUnsafeBytes { raw in
            (0..<raw.count / 4).map { Float(bitPattern: raw.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)) }
        }
    }

    private func integers(_ data: Data) -> [Int] { floats(data).map { Int($0.bitPattern) } }

    /// Rows are what a trace of the chunk's tokens records.
    @Test func aShardHoldsWhatATraceDoes() throws {
        let bench = try bench()
        let command = [
            "activations", "model.gguf", "--at", "l_out-1,ffn_swiglu-*", "--chunks-per-shard", "2", "-o", "out",
        ]
        let object = try bench.quipu(command + Self.text + ["--json"]).object()
        #expect(object["n_shards"] as? Int == 3 && object["n_rows"] as? Int == 160)
        let columns = try #require(object["columns"] as? [Object])
        #expect(columns.count == 6)
        let tokens = integers(try array(bench, "tokens.00001.npy").bytes)
        let positions = integers(try array(bench, "positions.00001.npy").bytes)
        let chunks = integers(try array(bench, "chunks.00001.npy").bytes)
        #expect(tokens.count == 64 && positions == Array(0..<32) + Array(0..<32))
        #expect(chunks == Array(repeating: 2, count: 32) + Array(repeating: 3, count: 32))
        let stream = try array(bench, "l_out-1.00001.npy")
        #expect(stream.shape == [64, 64])
        let ids = tokens[..<32].map(String.init).joined(separator: ",")
        #expect(try bench.quipu("trace", "model.gguf", "--ids", ids, "-o", "t.db").status == 0)
        let shown = try bench.quipu("show", "t.db", "l_out-1[:,5]", "--json").object()
        let values = try #require(shown["values"] as? [Double])
        #expect(
            zip(floats(stream.bytes)[5 * 64..<6 * 64], values).allSatisfy { $0 == Float($1) } && values.count == 64)
        // The last layer has all tokens too.
        #expect(try array(bench, "ffn_swiglu-4.00002.npy").shape[0] == 32)
    }

    /// Stopped after any shard, the rest is the same bytes.
    @Test func aRunIsResumed() throws {
        let bench = try bench()
        let command =
            ["activations", "model.gguf", "--at", "l_out-1", "--chunks-per-shard", "1", "-o", "out"] + Self.text
        #expect(try bench.quipu(command).status == 0)
        let whole = try bench.bytes("out/l_out-1.00004.npy")
        var index = try JSONSerialization.jsonObject(with: bench.bytes("out/activations.json")) as! Object
        #expect(index["is_complete"] as? Bool == true)
        (index["shards_done"], index["is_complete"], index["rows"]) = (3, false, 96)
        try JSONSerialization.data(withJSONObject: index).write(
            to: URL(filePath: bench.folder.path("out/activations.json")))
        try FileManager.default.removeItem(atPath: bench.folder.path("out/l_out-1.00004.npy"))
        expectComplaint(try bench.quipu(command), "out", "--resume")
        let object = try bench.quipu(command + ["--resume", "--json"]).object()
        #expect(object["resumed_at"] as? Int == 3 && object["n_rows"] as? Int == 160)
        #expect(try bench.bytes("out/l_out-1.00004.npy") == whole)
        expectComplaint(
            try bench.quipu(command + ["--resume", "--every", "2"]), "out", "of another model, text or choice")
    }

    @Test func onlySomeTokens() throws {
        let bench = try bench()
        let command = ["activations", "model.gguf", "--at", "Qcur-0", "--every", "7", "-o", "out"]
        let object = try bench.quipu(command + Self.text + ["--json"]).object()
        #expect(object["n_rows"] as? Int == (160 + 6) / 7)
        let positions = integers(try array(bench, "positions.00000.npy").bytes)
        #expect(positions[..<6] == [0, 7, 14, 21, 28, 3])
    }

    /// The largest values of a neuron are those that the shards have.
    @Test func theTopOfANeuron() throws {
        let bench = try bench()
        let base = ["activations", "model.gguf", "--at", "ffn_swiglu-2"] + Self.text
        #expect(try bench.quipu(base + ["-o", "out"]).status == 0)
        let (shape, bytes) = try array(bench, "ffn_swiglu-2.00000.npy")
        let rows = floats(bytes)
        let column = (0..<shape[0]).map { Double(rows[$0 * shape[1] + 3]) }.sorted(by: >)
        let object = try bench.quipu(base + ["--top", "4", "--unit", "3", "--json"]).object()
        let hits = try #require(object["hits"] as? [Object])
        #expect(hits.compactMap { $0["value"] as? Double } == Array(column[..<4]))
        let page = try bench.quipu(base + ["--top", "4", "--unit", "3"])
        #expect(page.status == 0 && page.lines.count { $0.contains("[") && $0.hasPrefix("   ") } == 4)
        for line in page.lines { #expect(line.count <= 80, "\(line)") }
    }

    @Test func whatIsWrongIsSaid() throws {
        let bench = try bench()
        func expect(_ options: [String], _ parts: String..., status: Int32 = 1) throws {
            let before = try bench.contents
            let outcome = try bench.quipu(["activations", "model.gguf"] + options)
            for part in parts { expectComplaint(outcome, part, status: status) }
            #expect(try bench.contents == before, "\(options)")
        }
        let out = Self.text + ["-o", "out"]
        try expect(["--at", "l_aut-1"] + out, "no operation of this name", "l_out-1")
        try expect(["--at", "kq-0"] + out, "'kq-0'", "not a row for each token")
        try expect(["--at", "l_out-1", "--file", "none.txt", "-o", "out"], "none.txt: found no such file")
        try expect(["--at", "l_out-1", "-o", "text.txt"] + Self.text, "text.txt")
        try expect(["--at", "l_out-1", "--top", "3", "--unit", "64"] + Self.text, "units 0 to 63")
        try expect(["--at", "l_out-*", "--top", "3", "--unit", "1"] + Self.text, "expected one for --top")
        try expect(["--at", "l_out-1", "--top", "3", "--direction", "text.txt"] + Self.text, "text.txt", ".npy")
        try bench.folder.write("mine", to: "full")
        for wrong in [
            ["--at", "l_out-1"], ["--at", "l_out-1", "--top", "1"], ["--at", "l_out-1", "-o", "o", "--unit", "1"],
        ] {
            try expect(wrong + Self.text, "Usage: ", status: 64)
        }
    }
}
