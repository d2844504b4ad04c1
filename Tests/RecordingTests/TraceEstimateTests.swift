import GGUF
import LlamaModel
import Recording
import TestSupport
import Testing

/// The size said beforehand against the size of the file.
@Suite struct TraceEstimateTests {
    struct Example: Sendable, CustomTestStringConvertible {
        let model: TinyModel
        let policy: Capture.Policy
        var names: [String] = []
        var prompt = "Once upon a time"
        let generate: Int
        var testDescription: String { "\(model) \(policy) \(names) \(prompt.count) characters + \(generate)" }
    }

    private static let long = String(repeating: "Once upon a time the dog ", count: 4)

    @Test(arguments: [
        Example(model: .gqa, policy: .none, generate: 1), Example(model: .stories, policy: .none, generate: 40),
        Example(model: .gqa, policy: .stats, generate: 20), Example(model: .stories, policy: .stats, generate: 10),
        Example(model: .gqa, policy: .all, generate: 1), Example(model: .gqa, policy: .all, generate: 30),
        Example(model: .stories, policy: .all, generate: 15), Example(model: .stories, policy: .last, generate: 5),
        Example(model: .kQuants, policy: .all, generate: 2), Example(model: .biases, policy: .last, generate: 8),
        Example(model: .stories, policy: .all, prompt: long, generate: 1),
        Example(model: .biases, policy: .all, prompt: long, generate: 3),
        Example(model: .stories, policy: .all, names: ["kq*"], prompt: long, generate: 2),
    ])
    func estimatesAreWithinATenth(example: Example) async throws {
        let capture = Capture(example.policy, names: example.names)
        let recorded = try await Recorded(example.model, prompt: example.prompt, generate: example.generate, capture)
        try check(recorded, capture)
    }

    @Test(.enabled(if: Places.runsSmolLM2, Comment(rawValue: Places.smolLM2Hint)), arguments: Capture.Policy.allCases)
    func estimatesOfSmolLM2(policy: Capture.Policy) async throws {
        let model = try Llama(file: GGUFFile(path: Places.smolLM2))
        let recorded = try await Recorded(
            model, prompt: "The capital of France is", generate: 2, Capture(policy), in: TemporaryFolder())
        try check(recorded, Capture(policy))
    }

    private func check(_ recorded: Recorded, _ capture: Capture) throws {
        let estimate = try TraceEstimate(
            model: recorded.model, capture: capture, promptTokens: recorded.promptTokens,
            decodes: recorded.passes.count - 1)
        let size = try recorded.byteCount
        let ratio = Double(estimate.total) / Double(size)
        #expect((0.9...1.1).contains(ratio), "estimated \(estimate.total), written \(size): \(ratio)")
        let values = try recorded.store.integers("SELECT coalesce(sum(length(data)), 0) FROM tensor")[0]
        #expect(estimate.values == values, "captured values are known to the byte")
    }

    @Test func moreThanTheLimitIsRefused() throws {
        let estimate = try TraceEstimate(
            model: TinyModel.gqa.load(), capture: Capture(.all), promptTokens: 9, decodes: 20)
        #expect(throws: Never.self) { try estimate.check(limit: estimate.total) }
        let error = TraceError.tooLarge(estimate: estimate.total, limit: estimate.total - 1)
        #expect(throws: error) { try estimate.check(limit: estimate.total - 1) }
        #expect(
            error.description.contains("--max-size") && error.description.contains(ByteSize(estimate.total).description)
        )
    }

    @Test(arguments: [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_100_000, "1.0 MiB"), (5 << 30, "5.0 GiB")])
    func sizesInWords(bytes: Int, words: String) {
        #expect(ByteSize(bytes).description == words)
    }
}
