import LlamaModel
import Tensors
import TestSupport
import Testing

/// Passes that give logits of several tokens.
@Suite struct OutputTests {
    private static let prompt = [1, 5, 9, 100, 33, 7, 64, 2, 18]

    private func rows(_ model: Llama, _ outputs: Range<Int>?, of tokens: [Int] = prompt) throws -> Tensor {
        let session = try Session(model, positions: 16, threads: 2)
        var pass = try session.pass(over: tokens, outputs: outputs)
        #expect(pass.logitRows == nil && pass.logits == nil)
        try pass.interpreter.run()
        return try #require(pass.logitRows)
    }

    @Test(arguments: TinyModel.allCases)
    func withoutARangeItIsTheLastToken(model: TinyModel) throws {
        let llama = try model.load()
        let last = try rows(llama, nil)
        #expect(last.shape == Shape(llama.configuration.vocabulary, 1))
        #expect(try rows(llama, 8..<9).bits == last.bits)
    }

    /// A range gives the rows that all tokens together give, in their order.
    @Test(arguments: TinyModel.allCases, [0..<2, 3..<8, 4..<9])
    func aRangeIsCutOutOfAll(model: TinyModel, range: Range<Int>) throws {
        let llama = try model.load()
        let all = try rows(llama, 0..<Self.prompt.count)
        let part = try rows(llama, range)
        let width = llama.configuration.vocabulary
        #expect(all.shape == Shape(width, Self.prompt.count) && part.shape == Shape(width, range.count))
        #expect(part.bits == Array(all.bits[range.lowerBound * width..<range.upperBound * width]))
    }

    /// What a pass says after a token is what a pass that ends there says, up to the order of sums: llama.cpp sums a
    /// single row in another order than several. 1e-9 is some hundred times what Float's rounding makes of that here; in the
    /// deeper model with experts, a value on its way to the F16 output matrix may round the other way, which is 2e-8.
    @Test(arguments: TinyModel.allCases)
    func eachRowIsThePredictionAfterItsToken(model: TinyModel) throws {
        let llama = try model.load()
        let all = try rows(llama, 0..<Self.prompt.count).floats()
        let width = llama.configuration.vocabulary
        for end in 2...Self.prompt.count {
            let expected = try rows(llama, nil, of: Array(Self.prompt[..<end])).floats()
            let found = all[(end - 1) * width..<end * width]
            let error = zip(found, expected).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
            let power = expected.reduce(0.0) { $0 + Double($1 * $1) }
            let limit = model == .unpackedLatent ? 1e-7 : 1e-9
            #expect(error <= limit * power, "NMSE \(error / power) after \(end)")
        }
    }
}
