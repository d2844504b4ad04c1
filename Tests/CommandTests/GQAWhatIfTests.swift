import Foundation
import TestSupport
import Testing

/// `gqa what-if` as a user runs it; the changes themselves are held against other models in MeasuringTests.
@Suite struct GQAWhatIfTests {
    private static let quantized = ScoringTests.quantized

    private func numbers(_ object: Any?) throws -> [String: Double] { try #require(object as? [String: Double]) }

    @Test func poolingTheEmbeddedModel() throws {
        let command = ["gqa", "what-if", ScoringTests.micro, "--pool", "1", "--chunks", "2", "--json"]
        let outcome = try Workbench().quipu(command)
        #expect(outcome.status == 0 && outcome.errors == "")
        let object = try outcome.object()
        #expect(object["change"] as? String == "pool to 1 KV head")
        #expect(try #require(object["kld_mean"] as? Double) > 0.01)
        #expect(try #require(object["kld_max"] as? Double) >= object["kld_mean"] as? Double ?? .infinity)
        let scored = try #require(object["n_tokens"] as? Int)
        let flips = try #require(object["top_flips"] as? Int)
        #expect(scored == 254 && abs(1 - Double(flips) / 254 - (object["same_top"] as? Double ?? 9)) < 1e-12)
        let perplexity = try numbers(object["perplexity"])
        #expect(abs(perplexity["after"]! / perplexity["before"]! - perplexity["ratio"]!) < 1e-9)
        let plain = try Workbench().quipu("perplexity", ScoringTests.micro, "--chunks", "2", "--json").object()
        #expect(perplexity["before"] == plain["perplexity"] as? Double)
        // 4 layers, 2 KV heads of 16 values in two bytes each, keys and values, 256 positions.
        let map = try Workbench().quipu("gqa", ScoringTests.micro, "--json").object()
        let bytes = try #require(map["cache_bytes"] as? [String: Int])
        #expect(object["cache_bytes"] as? [String: Int] == ["before": bytes["gqa"]!, "after": bytes["mqa"]!])
        let layers = try #require(object["layers"] as? [[String: Any]])
        #expect(layers.count == 4 && layers[3]["reads"] as? [[Int]] == Array(repeating: [0, 1], count: 8))
        #expect(object["format"] is NSNull)
    }

    @Test func copiesDivergeByNothing() throws {
        for options in [["--expand", "8"], ["--swap", "0:1", "--swap", "0:1"], ["--remap", "0:0"]] {
            let object = try Workbench().quipu(
                ["gqa", "what-if", ScoringTests.micro, "--chunks", "1", "--json"] + options
            ).object()
            #expect(object["kld_max"] as? Double == 0 && object["top_flips"] as? Int == 0, "\(options)")
        }
    }

    @Test func quantisedMeansSayWhatTheFormatDoes() throws {
        let bench = try Workbench()
        let command = ["gqa", "what-if", Self.quantized, "--pool", "1", "--layers", "1,2", "--chunks", "1"]
        let object = try bench.quipu(command + ["--json"]).object()
        let format = try #require(object["format"] as? [String: Any])
        let tensors = [1, 2].flatMap { ["blk.\($0).attn_k.weight", "blk.\($0).attn_v.weight"] }
        #expect(format["tensors"] as? [String] == tensors)
        #expect(try #require(format["kld_mean"] as? Double) > 0)
        let page = try bench.quipu(command)
        #expect(page.output.contains("4 tensors") && page.output.contains("decoded to F32"))
        #expect(page.output.contains("mean of 0, 1  <----  [0] [1]") && page.output.contains("layers 1, 2"))
        for line in page.lines where !line.contains("gguf") { #expect(line.count <= 80, "\(line)") }
        // Heads that are only moved stay in their format.
        let moved = try bench.quipu("gqa", "what-if", Self.quantized, "--swap", "0:1", "--chunks", "1", "--json")
        #expect(try moved.object()["format"] is NSNull)
    }

    @Test func droppedHeadsNeedNoCache() throws {
        let bench = try Workbench()
        let prompt = "Tom has a red ball. Tom gives the ball to Ann. Now Ann has the red ball."
        let object = try bench.quipu(
            "gqa", "what-if", "--drop", "0:all", "--drop", "1:3", "--drop", "2:kv1", "--context", "10", "-p", prompt,
            "--json"
        ).object()
        #expect((object["text"] as? [String: Any])?["name"] as? String == "the prompt")
        let bytes = try #require(object["cache_bytes"] as? [String: Int])
        // Of eight KV heads, layer 0's two and one of layer 2 go.
        #expect(bytes["after"]! * 8 == bytes["before"]! * 5)
        let page = try bench.quipu("gqa", "what-if", "--drop", "0:kv1", "-p", prompt).output
        #expect(page.contains("What if: drop KV head 1 of layer 0\n"))
        #expect(page.contains("nothing  <----  [4] [5] [6] [7]"))
    }

    @Test func whatCannotBeAsked() throws {
        let bench = try Workbench()
        try bench.addText()
        let whatIf = ["gqa", "what-if", "model.gguf", "--file", "text.txt", "--chunk", "32", "--chunks", "1"]
        func expect(_ options: [String], _ parts: String..., status: Int32 = 1) throws {
            let outcome = try bench.quipu(whatIf + options)
            for part in parts { expectComplaint(outcome, part, status: status) }
        }
        try expect(["--pool", "3"], "model.gguf", "can become 1, 2")
        try expect(["--expand", "5"], "can become 8")
        try expect(["--swap", "0:7"], "there is no KV head 7")
        try expect(["--remap", "9:0"], "there is no query head 9")
        try expect(["--drop", "9:0"], "there is no layer 9")
        try expect(["--pool", "1", "--layers", "9"], "--layers 9: the model has layers 0 to 4")
        try expect([], "give one kind of change", status: 64)
        try expect(["--pool", "1", "--drop", "0:1"], "give one kind of change", status: 64)
        try expect(["--swap", "1"], "--swap", status: 64)
        try expect(["--drop", "1:x"], "--drop", status: 64)
        try expect(["--drop", "1:1", "--layers", "1"], "leave --layers out", status: 64)
        try expect(["--pool", "1", "-p", "x"], "--prompt, --chat and --ids are read in one piece", status: 64)
        try expect(["--pool", "1", "--context", "0"], "--context takes", status: 64)
        expectComplaint(try bench.quipu("gqa", "what-if", "none.gguf", "--pool", "1"), "none.gguf")
        expectComplaint(try bench.quipu("gqa", "what-if", "model.gguf", "--pool", "1"), "no text comes with this model")
        expectComplaint(
            try bench.quipu("gqa", "what-if", "model.gguf", "--pool", "1", "-p", "Hi"), "the prompt: found ")
    }
}
