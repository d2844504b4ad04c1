import GGUF
import LlamaModel
import TestSupport
import Testing

/// SmolLM2, loaded once.
enum SmolLM2 {
    static let shared = Result { try Llama(file: GGUFFile(path: Places.smolLM2)) }
}

/// Whole passes against the real llama.cpp: token ids, logits, and 24 greedy tokens of each prompt.
///
/// The golden values come from llama.cpp's AVX-512 build, whose order of sums is followed to the bit, so all greedy tokens
/// agree however small the margin was. The logits were written with four decimals: that is all the tolerance there is.
@Suite struct GoldenPromptTests {
    private static let stories = Result { try GoldenPrompt.all("stories260k.jsonl") }
    private static let smolLM2 = Result { try GoldenPrompt.all("smollm2-q4_1.jsonl") }

    @Test(arguments: 0..<4)
    func stories260K(number: Int) throws {
        let golden = try Self.stories.get()
        #expect(golden.count == 4)
        try check(golden[number], try TinyModel.stories.load())
    }

    @Test(.enabled(if: Places.runsSmolLM2, Comment(rawValue: Places.smolLM2Hint)), arguments: 0..<10)
    func smolLM2(number: Int) throws {
        let golden = try Self.smolLM2.get()
        #expect(golden.count == 10)
        try check(golden[number], try SmolLM2.shared.get())
    }

    private func check(_ golden: GoldenPrompt, _ model: Llama) throws {
        let ids = try model.tokenizer.encode(golden.prompt)
        #expect(ids == golden.tokens)
        var session = try Session(model, positions: ids.count + 24, threads: 2)
        let first = Prediction(logits: try session.logits(after: ids))
        let top = first.top(10, model.vocabulary)
        #expect(top.map(\.token) == golden.top10.map { Int($0[0]) })
        for (candidate, expected) in zip(top, golden.top10) {
            #expect(abs(candidate.logit - expected[1]) <= 0.5001e-4, "token \(candidate.token)")
        }
        #expect(abs(first.logSumExp - golden.logsumexp) <= 1e-4)

        var sampler = Sampler()
        var prediction = first
        var greedy: [Int] = []
        for (step, margin) in golden.margin24.enumerated() {
            let best = prediction.top(2, model.vocabulary)
            #expect(abs(best[0].logit - best[1].logit - margin) <= 1.001e-4, "margin of step \(step)")
            greedy.append(sampler.sample(prediction.logits))
            if greedy.count == 24 { break }
            prediction = Prediction(logits: try session.logits(after: [greedy.last!]))
        }
        #expect(greedy == golden.greedy24)
    }

    @Test(arguments: TinyModel.withGoldenNodes)
    func tinyModels(model: TinyModel) throws {
        let golden = try GoldenNodes(model.rawValue + ".tsv")
        let llama = try model.load()
        let tokens: [Int] = try golden.header("tokens")
        #expect(try llama.tokenizer.encode(try golden.header("prompt")) == tokens)
        var session = try Session(llama, positions: 32, threads: 1)
        var logits = try session.logits(after: tokens)
        let prediction = Prediction(logits: logits)
        let top10: [[Double]] = try golden.header("top10")
        let top = prediction.top(10, llama.vocabulary)
        #expect(top.map(\.token) == top10.map { Int($0[0]) })
        // Six digits.
        for (candidate, expected) in zip(top, top10) { #expect(abs(candidate.logit - expected[1]) <= 0.51e-5) }
        #expect(abs(prediction.logSumExp - (try golden.header("logsumexp"))) <= 1e-5)
        var greedy: [Int] = []
        while true {
            greedy.append(Sampler.argmax(logits))
            if greedy.count == 8 { break }
            logits = try session.logits(after: [greedy.last!])
        }
        #expect(greedy == (try golden.header("greedy8")))
    }
}
