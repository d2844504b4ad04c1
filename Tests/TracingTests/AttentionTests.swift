import Foundation
import GGUF
import LlamaModel
import Recording
import TestSupport
import Testing
import Tracing

@Suite struct AttentionTests {
    @Test(arguments: [TinyModel.gqa, .biases])
    func patternsAreThoseOfTheSoftMax(model: TinyModel) async throws {
        let recorded = try await Recorded(model, generate: 3, Capture(.all))
        let run = try recorded.store.run()
        let c = recorded.model.configuration
        let found = try #require(try AttentionPatterns.recorded(run, in: recorded.store, layers: 0..<c.layers))
        #expect(found.layers == Array(0..<c.layers))
        let replay = try Replay(run, in: recorded.store, model: recorded.model)
        let again = try AttentionPatterns.replayed(replay, layers: 0..<c.layers, threads: 2)
        for layer in 0..<c.layers {
            for head in 0..<c.heads {
                let pattern = found[layer, head]
                #expect(pattern == again[layer, head])
                #expect(pattern.map(\.count) == Array(1...replay.tokens.reduce(0) { $0 + $1.count }))
                // Weights of a row sum to 1, within F32 rounding of each.
                #expect(pattern.allSatisfy { abs($0.reduce(0, +) - 1) < 1e-5 })
            }
        }
        // The first generated token, as its own pass has it: [N, 1, H].
        let node = try #require(recorded.passes[1].nodes.last { $0.node.name == "kq_soft_max-0" })
        let size = recorded.promptTokens + 1
        #expect(found[0, 1][size - 1] == Array(node.values[size..<2 * size]))
    }

    @Test func whatWasNotCapturedIsNotThere() async throws {
        for capture in [Capture(.none), Capture(.stats), Capture(.last), Capture(.all, names: ["kq-*"])] {
            let recorded = try await Recorded(.gqa, generate: 1, capture)
            #expect(try AttentionPatterns.recorded(recorded.store.run(), in: recorded.store, layers: 0..<1) == nil)
        }
    }

    @Test func scoresOfAPattern() throws {
        // Tokens a b a b: positions 2 and 3 have occurred before, and what followed is at 1 and 2.
        let pattern: AttentionPatterns.Pattern = [
            [1], [0.25, 0.75], [0.5, 0.25, 0.25], [0.125, 0.25, 0.5, 0.125],
        ]
        let scores = HeadScores(layer: 1, head: 2, kvHead: 0, pattern, tokens: [5, 6, 5, 6])
        #expect(scores.induction == (0.25 + 0.5) / 2)
        #expect(scores.previousToken == (0.25 + 0.5) / 2)
        #expect(scores.sink == (0.5 + 0.125) / 2)
        let bits = [0.811_278_124_459_133, 1.5, 1.75]
        #expect(abs(try #require(scores.entropyBits) - bits.reduce(0, +) / 3) < 1e-12)
        #expect(scores.labels == [.sink])
        // Said twice in a row is no earlier occurrence with a follower before it; never said twice is none at all.
        #expect(HeadScores(layer: 0, head: 0, kvHead: 0, pattern, tokens: [1, 2, 3, 3]).induction == nil)
        #expect(HeadScores(layer: 0, head: 0, kvHead: 0, [[1]], tokens: [1]).sink == nil)
    }

    private struct Measured: Decodable {
        struct Head: Decodable {
            let layer: Int
            let head: Int
            let previous: Double
            let induction: Double
            let sink: Double
            let `is`: [String]
        }
        let heads: [Head]
    }

    /// The heads that the model's own script found with PyTorch, on other random sequences.
    @Test func findsTheHeadsOfTheEmbeddedModel() throws {
        let model = try Llama(file: GGUFFile(path: Places.microWorld))
        let found = try RepeatedTokens(model).scores(threads: 2)
        let path = Places.package.appending(path: "models/heads.json")
        let expected = try JSONDecoder().decode(Measured.self, from: Data(contentsOf: path)).heads
        try #require(found.count == expected.count)
        for (mine, theirs) in zip(found, expected) {
            let head = "\(theirs.layer).\(theirs.head)"
            #expect(mine.layer == theirs.layer && mine.head == theirs.head)
            #expect(mine.labels.contains(.previousToken) == theirs.is.contains("previous"), "\(head)")
            #expect(mine.labels.contains(.induction) == theirs.is.contains("induction"), "\(head)")
            // Other sequences, 16 instead of 64: their means spread by less than this.
            #expect(abs(try #require(mine.previousToken) - theirs.previous) < 0.03, "\(head)")
            #expect(abs(try #require(mine.sink) - theirs.sink) < 0.05, "\(head)")
            #expect(abs(try #require(mine.induction) - theirs.induction) < 0.06, "\(head)")
        }
        #expect(found.filter { $0.labels.contains(.previousToken) }.map(\.head) == [0, 1, 3, 4, 5, 7])
        #expect(
            found.filter { $0.labels.contains(.sink) }.map { [$0.layer, $0.head] } == [
                [3, 4], [3, 5], [3, 6], [3, 7],
            ])
    }

    @Test func shortContextsHoldShortSequences() throws {
        let model = try TinyModel.stories.load()  // 128 positions
        #expect(RepeatedTokens(model).period == 24)
        #expect(RepeatedTokens(model, period: 500).period == 63)
    }
}
