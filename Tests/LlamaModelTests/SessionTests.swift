import ComputeGraph
import LlamaModel
import Tensors
import TestSupport
import Testing

@Suite struct SessionTests {
    private static let prompt = [1, 5, 9, 100, 33, 7, 64, 2, 18]

    /// Bits of every node of the prompt's pass and of three decodes.
    private func bits(_ model: Llama, threads: Int, stepwise: Bool) throws -> [[UInt32]] {
        final class Collector: ExecutionObserver {
            var bits: [[UInt32]] = []
            func didEvaluate(_ evaluation: Evaluation) { bits.append(evaluation.output.bits) }
        }
        let collector = Collector()
        var session = try Session(model, positions: 16, threads: threads)
        for tokens in [Self.prompt, [3], [4], [5]] {
            var pass = try session.pass(over: tokens, observers: [collector])
            #expect(pass.kind == (tokens.count > 1 ? .prefill : .decode))
            #expect(pass.logits == nil)
            if stepwise {
                while try pass.interpreter.step() != nil {}
            } else {
                try pass.interpreter.run()
            }
            session.advance(past: pass)
        }
        return collector.bits
    }

    @Test(arguments: TinyModel.allCases)
    func threadsAndSteppingChangeNoBit(model: TinyModel) throws {
        let llama = try model.load()
        let reference = try bits(llama, threads: 1, stepwise: false)
        #expect(reference.count > 100)
        #expect(try bits(llama, threads: 2, stepwise: false) == reference)
        #expect(try bits(llama, threads: 2, stepwise: true) == reference)
        #expect(try bits(llama, threads: 1, stepwise: true) == reference)
    }

    @Test(.enabled(if: Places.runsSmolLM2, Comment(rawValue: Places.smolLM2Hint)))
    func threadsAndSteppingChangeNoBitOfSmolLM2() throws {
        let llama = try SmolLM2.shared.get()
        #expect(try bits(llama, threads: 2, stepwise: true) == bits(llama, threads: 1, stepwise: false))
    }

    /// A prompt in one pass, and token by token: the same up to the order of sums, and within what rounding activations
    /// to eight bits makes of that.
    @Test(arguments: TinyModel.allCases)
    func prefillAndDecodeAgree(model: TinyModel) throws {
        let llama = try model.load()
        var whole = try Session(llama, positions: 16, threads: 1)
        let expected = try whole.logits(after: Self.prompt)
        var stepped = try Session(llama, positions: 16, threads: 1)
        var logits: [Float] = []
        for token in Self.prompt { logits = try stepped.logits(after: [token]) }
        #expect(stepped.cache.count == whole.cache.count)
        let error = zip(logits, expected).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
        let power = expected.reduce(0.0) { $0 + Double($1 * $1) }
        #expect(error <= 1e-3 * power, "NMSE \(error / power)")
        #expect(Sampler.argmax(logits) == Sampler.argmax(expected))
    }

    /// What comes later does not change what came before: the mask at work.
    @Test func laterTokensDoNotMatterToEarlierPositions() throws {
        let llama = try TinyModel.stories.load()
        func keys(_ tokens: [Int]) throws -> [UInt32] {
            var session = try Session(llama, positions: 16, threads: 1)
            _ = try session.logits(after: tokens)
            let cache = session.cache.keys.last!
            return (0..<4).flatMap { row in
                cache.withRow(of: UInt16.self, row) { r in (0..<r.count).map { UInt32(r[$0]) } }
            }
        }
        #expect(try keys([1, 2, 3, 4, 5, 6]) == keys([1, 2, 3, 4, 400, 300]))
        #expect(try keys([1, 2, 3, 4, 5, 6]) != keys([1, 2, 9, 4, 5, 6]))
    }

    @Test func aRunLongerThanTheModelsContextIsRefused() throws {
        let llama = try TinyModel.gqa.load()
        #expect(llama.configuration.trainedContext == 512)
        #expect(throws: LlamaError.contextExceeded(needed: 513, limit: 512)) {
            try Session(llama, positions: 513, threads: 1)
        }
        var session = try Session(llama, positions: 512, threads: 2)
        #expect(session.cache.capacity == 512)
        _ = try session.logits(after: Array(repeating: 1, count: 511))
        #expect(throws: LlamaError.contextExceeded(needed: 513, limit: 512)) { try session.pass(over: [1, 2]) }
        #expect(try session.logits(after: [1]).count == llama.configuration.vocabulary)
        #expect(throws: LlamaError.contextExceeded(needed: 513, limit: 512)) { try session.pass(over: [1]) }
        let words = LlamaError.contextExceeded(needed: 513, limit: 512).description
        #expect(words.contains("513") && words.contains("512"))
    }

    @Test func nothingToEvaluateIsRefused() throws {
        let session = try Session(try TinyModel.gqa.load(), positions: 4, threads: 1)
        #expect(throws: LlamaError.emptyPrompt) { try session.pass(over: []) }
        #expect(LlamaError.emptyPrompt.description.contains("no tokens"))
    }

    @Test(arguments: [-1, 302, 1 << 40])
    func idsOutsideTheVocabularyAreRefused(id: Int) throws {
        let session = try Session(try TinyModel.gqa.load(), positions: 4, threads: 1)
        let error = LlamaError.tokenOutOfRange(token: id, vocabulary: 302)
        #expect(throws: error) { try session.pass(over: [1, id, 2]) }
        #expect(error.description.contains("\(id)") && error.description.contains("302"))
    }

    @Test func cacheBytesCountHeadsOnce() throws {
        let c = try TinyModel.gqa.load().configuration
        #expect((c.heads, c.kvHeads, c.groupSize, c.headSize, c.perLayer[0].keyWidth) == (4, 2, 2, 16, 32))
        #expect((0..<4).map(c.kvHead(ofQueryHead:)) == [0, 0, 1, 1])
        // Keys and values, 2 layers, 2 heads of 16 F16 values, 10 positions.
        #expect(KVCache.bytes(c, heads: c.kvHeads, positions: 10) == 2 * 2 * 2 * 16 * 10 * 2)
        #expect(KVCache(c, capacity: 64).keys.map(\.shape) == [Shape(32, 64), Shape(32, 64)])
    }
}
