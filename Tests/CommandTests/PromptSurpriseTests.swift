import Foundation
import TestSupport
import Testing

/// `trace --logits all` against `perplexity`, which scores the same tokens.
@Suite struct PromptSurpriseTests {
    typealias Object = [String: Any]

    @Test func surprisesAreThoseOfPerplexity() throws {
        let bench = try Workbench()
        try bench.addText()
        let tokens = try bench.quipu("tokenize", "model.gguf", "--file", "text.txt", "--json").object()
        let ids = try #require(tokens["ids"] as? [Int])[..<64].map(String.init).joined(separator: ",")
        let object = try bench.quipu("trace", "model.gguf", "--ids", ids, "--logits", "all", "--json").object()
        let logprobs = try #require(object["prompt_logprobs"] as? [Any])
        let ranks = try #require(object["prompt_ranks"] as? [Any])
        #expect(logprobs.count == 64 && logprobs[0] is NSNull && ranks[0] is NSNull)
        // Scored are the tokens after the middle of the chunk.
        let values = logprobs[33...].compactMap { $0 as? Double }
        let perplexity = try bench.quipu(
            "perplexity", "model.gguf", "--file", "text.txt", "--chunk", "64", "--chunks", "1", "--json"
        ).object()
        let mean = values.reduce(0, +) / Double(values.count)
        #expect(abs(exp(-mean) / (perplexity["perplexity"] as! Double) - 1) < 1e-9)
        let row = try bench.row(
            "SELECT count(logprob) AS n, sum(rank) AS ranks, min(rank) AS least FROM token WHERE source = 'prompt'",
            of: "trace.db")
        #expect(row["n"] as? Int == 63 && row["least"] as? Int == 0)
        #expect(row["ranks"] as? Int == ranks.compactMap { $0 as? Int }.reduce(0, +))
        // Nothing else of the trace is another one.
        #expect(try bench.quipu("verify", "trace.db").status == 0)
    }

    @Test func aPageSaysThem() throws {
        let bench = try Workbench()
        let page = try bench.quipu("trace", "model.gguf", "-p", "Once upon a time", "--logits", "all")
        #expect(page.status == 0 && page.output.contains("bits; "))
        for line in page.lines where line.contains("‹") { #expect(line.count <= 80, "\(line)") }
        expectComplaint(
            try bench.quipu("trace", "model.gguf", "-p", "a", "--logits", "all", "--set", "l_out-0=0"), "Usage: ",
            status: 64)
        expectComplaint(try bench.quipu("trace", "model.gguf", "-p", "a", "--logits", "some"), "Usage: ", status: 64)
    }
}
