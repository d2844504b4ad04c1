import Foundation
import TestSupport
import Testing

@Suite struct ExplainElementTests {
    /// A bench with a trace of a quantised model.
    private func bench(_ model: TinyModel = .gqa, _ options: String...) throws -> Workbench {
        let bench = try Workbench(model.path)
        let outcome = try bench.quipu(["trace", "model.gguf", "-p", "Once upon a time", "--generate", "3"] + options)
        try #require(outcome.status == 0, "\(outcome.errors)")
        return bench
    }

    @Test func aProductIsItsBlocks() throws {
        let bench = try bench()
        let object = try bench.quipu("explain", "element", "trace.db", "ffn_out-0[5,2]", "--json").object()
        #expect(object["op"] as? String == "ffn_out-0" && object["index"] as? [Int] == [5, 2])
        #expect(
            object["kind"] as? String == "MUL_MAT" && object["layer"] as? Int == 0 && object["position"] as? Int == 2)
        #expect(object["captured"] as? Bool == true && object["reproduced"] as? Bool == true)
        let values = try #require(
            try bench.quipu("show", "trace.db", "ffn_out-0[5,2]", "--json").object()["values"] as? [Double])
        #expect(object["recorded"] as? Double == values[0])
        let terms = try #require(object["terms"] as? [[String: Any]])
        let sum = terms.reduce(0.0) { $0 + ($1["value"] as! Double) }
        #expect(object["recomputed"] as? Double == object["recorded"] as? Double)
        #expect(abs(sum - (object["recorded"] as! Double)) <= 1e-6 * (object["magnitude"] as! Double))
        #expect(abs(sum - (object["sum"] as! Double)) <= 1e-6 * (object["magnitude"] as! Double))
        #expect(terms[1]["source"] as? String == "ffn_swiglu-0[32:64,2]")
        let block = try #require(terms[1]["block"] as? [String: Any])
        let pieces = try #require(block["sub_blocks"] as? [[String: Any]])
        #expect(pieces.count == 1 && pieces[0]["integer_sum"] is Double && pieces[0]["stored_sum"] is Double)
        // The same block by its own command.
        let same = try bench.quipu(
            "quant", "blocks", "model.gguf", "blk.0.ffn_down.weight", "--row", "5", "--block", "1", "--json"
        ).object()
        #expect(block["file_offset"] as? Int == same["file_offset"] as? Int)
        #expect(
            block["scale"] as? Double == same["scale"] as? Double && block["min"] as? Double == same["min"] as? Double)
        let residual = try #require(object["residual"] as? [String: Any])
        #expect(residual["weights"] is NSNull && residual["block_sums"] is Double && residual["order"] is Double)
        #expect(object["dequantised"] is Double && object["tree"] is NSNull)
    }

    /// What a run was changed by is said, not taken for a fault; its neighbours and readers are as ever.
    @Test func aChangedElementSaysWhatChangedIt() throws {
        let bench = try bench(.gqa, "--set", "ffn_out-0[5,2]=3.5", "--scale", "Vcur-0[:,1,0]=2")
        let object = try bench.quipu("explain", "element", "trace.db", "ffn_out-0[5,2]", "--json").object()
        #expect(object["recorded"] as? Double == 3.5 && object["evaluated"] as? Double == 3.5)
        #expect(object["changed_by"] as? [String] == ["--set ffn_out-0[5,2]=3.5"])
        #expect(object["reproduced"] as? Bool == true && object["recomputed"] as? Double != 3.5)
        let page = try bench.quipu("explain", "element", "trace.db", "ffn_out-0[5,2]")
        #expect(page.status == 0 && page.output.contains("then changed by --set ffn_out-0[5,2]=3.5"))
        for (address, option) in [
            ("ffn_out-0[6,2]", nil), ("ffn_out-0[5,1]", nil), ("l_out-0[5,2]", nil), ("Vcur-0[3,0,0]", nil),
            // Changed as seen through a reshape, computed in the product.
            ("Vcur-0[3,1,0]", "--scale Vcur-0[:,1,0]=2"), ("Vcur-0#0[19,0]", "--scale Vcur-0[:,1,0]=2"),
        ] {
            let object = try bench.quipu("explain", "element", "trace.db", address, "--json").object()
            #expect(object["changed_by"] as? [String] == option.map { [$0] } ?? [], "\(address)")
            #expect(object["reproduced"] as? Bool == true, "\(address)")
        }
    }

    @Test func theLargestComeFirst() throws {
        let bench = try bench()
        let object = try bench.quipu(
            "explain", "element", "trace.db", "ffn_out-0[5,2]", "--largest", "2", "--json"
        ).object()
        let terms = try #require(object["terms"] as? [[String: Any]])
        let values = terms.map { abs($0["value"] as! Double) }
        #expect(values.count == 2 && values[0] >= values[1])
    }

    @Test func aTreeEndsInTheFile() throws {
        let bench = try bench()
        let object = try bench.quipu(
            "explain", "element", "trace.db", "ffn_out-0[5,2]", "--depth", "3", "--breadth", "2", "--json"
        ).object()
        let tree = try #require(object["tree"] as? [String: Any])
        let children = try #require(tree["children"] as? [[String: Any]])
        #expect(children.count == 2 && tree["rest_count"] as? Int ?? 0 > 0)
        let factor = try #require(children[0]["factor"] as? [String: Any])
        let weight = try bench.quipu(
            "explain", "weight", "model.gguf", "blk.0.ffn_down.weight", "5", "\(factor["column"]!)", "--json"
        ).object()
        for key in ["byte_offset", "block_offset", "code", "value"] {
            #expect(factor[key] as? Double == weight[key] as? Double, "\(key)")
        }
    }

    @Test func aValueThatWasNotCapturedIsComputed() throws {
        let bench = try bench(.gqa, "--capture", "stats")
        let object = try bench.quipu("explain", "element", "ffn_out-0[5,2]", "--json").object()
        #expect(object["captured"] as? Bool == false && object["reproduced"] as? Bool == true)
        #expect(try bench.quipu("explain", "element", "ffn_out-0[5,2]").output.contains("computed again"))
    }

    @Test func aChangedValueIsStatus2() throws {
        let bench = try bench()
        try changeTrace(
            bench.folder.path("trace.db"),
            "UPDATE tensor SET data = zeroblob(length(data)) WHERE op_id = (SELECT id FROM op WHERE name = 'ffn_out-0')"
        )
        let outcome = try bench.quipu("explain", "element", "trace.db", "ffn_out-0[5,2]")
        #expect(outcome.status == 2 && outcome.output.contains("see quipu verify"))
    }

    @Test(arguments: TinyModel.withGoldenNodes)
    func pagesStayWithinThePage(model: TinyModel) throws {
        let bench = try bench(model)
        let activation = model == .mixtral ? "ffn_moe_swiglu-0[5,1]" : "ffn_swiglu-0[5]"
        for (element, options) in [
            ("l_out-0[5]", []), ("l_out-0[5]", ["--depth", "7"]), ("kq-0[1,0,3]", []),
            ("kq_soft_max-0[1,0,3]", ["--depth", "3"]), ("kqv-0[1,0,3]", ["--largest", "2"]), ("Qcur-0[1,2]", []),
            (activation, []), ("norm-0[5]", []), ("attn_norm-0[5]", []), ("embd[5]", []),
            ("cache_k_l0 (view)#0[5,2]", []), ("kqv_out-0[5]", []), ("result_output[5]", ["--depth", "7"]),
        ] {
            let outcome = try bench.quipu(["explain", "element", "trace.db", element, "--step", "1"] + options)
            #expect(outcome.status == 0, "\(element): \(outcome.errors)")
            for line in outcome.lines { #expect(line.count <= 80, "\(line)") }
        }
    }

    @Test func whatIsWrongIsSaid() throws {
        let bench = try bench()
        func complain(_ arguments: String..., parts: String...) throws {
            let outcome = try bench.quipu(["explain", "element"] + arguments)
            expectComplaint(outcome, parts[0])
            for part in parts { #expect(outcome.errors.contains(part), "\(outcome.errors)") }
        }
        try complain("trace.db", "fnn_out-0[5,2]", parts: "Did you mean", "ffn_out-0")
        try complain("trace.db", "ffn_out-0[5]", parts: "more than one element", "[0,0]")
        try complain("trace.db", "ffn_out-0[5000,2]", parts: "lies outside")
        try complain("trace.db", "ffn_out-0[5,2", parts: "the closing ] is missing")
        try complain("trace.db", "ffn_out-0#9[5,2]", parts: "occurs")
        try complain("trace.db", "ffn_out-0[5,2]", "--step", "9", parts: "no step 9")
        try complain("trace.db", "ffn_out-0[5,2]", "--run", "9", parts: "no run 9")
        try complain("none.db", "ffn_out-0[5,2]", parts: "no such trace")
        try complain("model.gguf", "ffn_out-0[5,2]", parts: "a GGUF model")
        try complain("trace.db", "ffn_out-0[5,2]", "--model", "none.gguf", parts: "none.gguf")
        try complain("trace.db", "ffn_out-0[5,2]", "--model", TinyModel.stories.path, parts: "its bytes are not those")
        try complain("trace.db", "ffn_out-0[5,2]", "--base", "none.gguf", parts: "none.gguf")
        try complain("trace.db", "ffn_out-0[5,2]", "--base", TinyModel.stories.path, parts: "same model")
        try FileManager.default.removeItem(atPath: bench.folder.path("model.gguf"))
        try complain("trace.db", "ffn_out-0[5,2]", parts: "no longer there", "--model")
    }
}
