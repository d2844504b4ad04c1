import Foundation
import TestSupport
import Testing

/// `row` prints numbers with the digits that a Float has.
private let printed = 1e-7

/// `gqa`: the group map, cache sizes, and heads compared.
@Suite struct GQATests {
    @Test func theMapIsTheModels() throws {
        let bench = try Workbench()
        let object = try bench.quipu("gqa", "model.gguf", "--context", "1000", "--json").object()
        // stories260K: 5 layers, 8 query heads on 4 KV heads of 8 values.
        let (layers, heads, kvHeads, size) = (5, 8, 4, 8)
        #expect(object["n_head"] as? Int == heads && object["n_head_kv"] as? Int == kvHeads)
        let map = try #require(object["map"] as? [[String: Int]])
        #expect(map.count == layers * heads)
        #expect(map.allSatisfy { $0["kv_head"] == $0["head"]! / 2 })
        // Keys and values, two bytes each.
        func bytes(_ heads: Int) -> Int { 2 * layers * heads * size * 2 * 1000 }
        #expect(
            object["cache_bytes"] as? [String: Int] == ["gqa": bytes(kvHeads), "mha": bytes(heads), "mqa": bytes(1)])
        let page = try bench.quipu("gqa", "model.gguf")
        #expect(page.output.contains("8 query heads share 4 KV heads, 2 each"))
        #expect(page.output.contains("   1  <----  [2] [3]"))
    }

    /// Published sizes, two bytes per value.
    @Test func theKindsOfAttentionSideBySide() throws {
        let object = try Workbench().quipu("gqa", "model.gguf", "--json").object()
        let rows = try #require(object["sharing"] as? [[String: Any]])
        // stories260K: 5 layers, keys and values of 8 values for 8 heads, 4 KV heads, or one.
        let expected: [(name: String, kind: String, mha: Int, own: Int, mqa: Int)] = [
            ("this model", "gqa", 1280, 640, 160),
            ("Llama-3.1-8B", "gqa", 524_288, 131_072, 16_384), ("Qwen3-30B-A3B", "gqa", 786_432, 98_304, 24_576),
            ("DeepSeek-V2-Lite", "mla", 276_480, 31_104, 17_280), ("DeepSeek-V3", "mla", 4_997_120, 70_272, 39_040),
        ]
        #expect(rows.count == expected.count)
        for (row, expected) in zip(rows, expected) {
            #expect(row["name"] as? String == expected.name && row["kind"] as? String == expected.kind)
            let found = ["mha", "own", "mqa"].map { row[$0] as? Int }
            #expect(found == [expected.mha, expected.own, expected.mqa], "\(expected.name)")
        }
        let price = ["products_per_score", "unpacked_per_score", "products_per_value", "unpacked_per_value"]
        #expect(price.map { rows[4][$0] as? Int } == [576, 192, 512, 128])
        #expect(price.map { rows[1][$0] as? Int } == [128, 128, 128, 128])
    }

    /// 3 layers, 16 + 8 values per position, 4 heads of 20 and 10 unpacked.
    @Test func latentVectors() throws {
        let bench = try Workbench(Places.fixture("tiny-deepseek2.gguf"))
        let traced = try bench.quipu("trace", "model.gguf", "-p", "Once upon a time", "-o", "trace.db")
        #expect(traced.status == 0, "\(traced.errors)")
        let object = try bench.quipu("gqa", "map", "--trace", "trace.db", "--context", "10", "--json").object()
        let bytes = try #require(object["cache_bytes"] as? [String: Int])
        #expect(bytes == ["gqa": 1440, "mha": 7200, "mqa": 1800])
        let row = try bench.row(
            "SELECT kind, k_width, v_width, bytes, n_positions FROM kv_cache LIMIT 1", of: "trace.db")
        #expect(row["kind"] as? String == "mla")
        #expect(row["k_width"] as? Int == 24 && row["v_width"] as? Int == 0)
        let positions = try #require(row["n_positions"] as? Int)
        #expect(row["bytes"] as? Int == 48 * positions)
        let page = try bench.quipu("gqa", "model.gguf")
        #expect(page.output.contains("latent vector of 16 values") && page.output.contains("24/20"))
        for line in page.lines where !line.contains("gguf") { #expect(line.count <= 80, "\(line)") }
    }

    /// The cosines, computed from the trace's blobs by themselves.
    @Test(arguments: [false, true])
    func headsAreComparedByWhatWasRecorded(withoutFirst: Bool) throws {
        let bench = try Workbench()
        try bench.addTrace()
        let options = ["gqa", "map", "--trace", "trace.db", "--json"] + (withoutFirst ? ["--without-first"] : [])
        let layers = try #require(try bench.quipu(options).object()["similarity"] as? [[String: Any]])
        #expect(layers.count == 5)
        func rows(_ name: String) throws -> (shape: [Int], values: [Double]) {
            let row = try bench.row(
                """
                SELECT ne0, ne1, ne2, row(data, 0, n_elements) AS v FROM op JOIN tensor ON op_id = op.id
                JOIN pass ON pass.id = pass_id WHERE op.name = '\(name)' AND step = 0 ORDER BY seq DESC LIMIT 1
                """, of: "trace.db")
            let text = try #require(row["v"] as? String)
            let values = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [Double])
            return (["ne0", "ne1", "ne2"].map { row[$0] as! Int }, values)
        }
        func cosine(_ a: [Double], _ b: [Double]) -> Double {
            func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
            return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
        }
        let (shape, attention) = try rows("kq_soft_max-2")
        let heads = (0..<shape[2]).map { head in
            (0..<shape[0] * shape[1]).filter { !withoutFirst || $0 % shape[0] > 0 }
                .map { attention[head * shape[0] * shape[1] + $0] }
        }
        let patterns = try #require(layers[2]["patterns"] as? [[Double]])
        for i in heads.indices {
            for j in heads.indices { #expect(abs(patterns[i][j] - cosine(heads[i], heads[j])) < printed) }
        }
        // Groups of two: their mean is that of the pairs.
        let groups = try #require(layers[2]["within_group"] as? [Double])
        #expect(groups.indices.allSatisfy { abs(groups[$0] - patterns[2 * $0][2 * $0 + 1]) < 1e-12 })

        let keys = try rows("Kcur-2")
        let (d, kv, tokens) = (keys.shape[0], keys.shape[1], keys.shape[2])
        var (sum, count) = (0.0, 0)
        for i in 0..<kv {
            for j in 0..<i {
                for t in 0..<tokens {
                    func head(_ k: Int) -> [Double] { Array(keys.values[(t * kv + k) * d..<(t * kv + k + 1) * d]) }
                    (sum, count) = (sum + cosine(head(i), head(j)), count + 1)
                }
            }
        }
        #expect(abs((layers[2]["keys"] as? Double ?? 9) - sum / Double(count)) < printed)
    }

    @Test func thePageFits() throws {
        let bench = try Workbench()
        try bench.addTrace()
        let page = try bench.quipu("gqa", "map", "model.gguf", "--trace", "trace.db", "--layer", "1")
        #expect(page.status == 0 && page.output.contains("Layer 1: cosine of what query heads look at"))
        for line in page.lines where !line.contains("gguf") { #expect(line.count <= 80, "\(line)") }
        // The path of the embedded model is wider than the page.
        let alone = try bench.quipu("gqa")
        #expect(alone.output.contains("--trace TRACE") && alone.lines.allSatisfy { $0.count <= 80 })
    }

    @Test func whatCannotBeShown() throws {
        let bench = try Workbench()
        try bench.addTrace()
        expectComplaint(try bench.quipu("gqa", "none.gguf"), "none.gguf")
        expectComplaint(try bench.quipu("gqa", "map", "--trace", "none.db"), "there is no such trace")
        expectComplaint(try bench.quipu("gqa", "map", "--trace", "trace.db", "--layer", "9"), "layers 0 to 4")
        expectComplaint(try bench.quipu("gqa", "map", "--trace", "trace.db", "--step", "9"), "there is no step 9")
        expectComplaint(try bench.quipu("gqa", "model.gguf", "--layer", "1"), "give --trace", status: 64)
        expectComplaint(try bench.quipu("gqa", "model.gguf", "--without-first"), "--trace", status: 64)
        expectComplaint(try bench.quipu("gqa", "model.gguf", "--context", "0"), "1 to", status: 64)
        try bench.quipu("trace", "model.gguf", "-p", "Once upon", "--capture", "stats", "-o", "s.db")
        expectComplaint(try bench.quipu("gqa", "map", "--trace", "s.db"), "were not captured")
        try bench.quipu("trace", "model.gguf", "-p", "Once upon", "--capture", "last", "-o", "l.db")
        expectComplaint(try bench.quipu("gqa", "map", "--trace", "l.db"), "were not captured")
    }
}
