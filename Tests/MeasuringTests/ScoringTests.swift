import Foundation
import GGUF
import LlamaModel
import Measuring
import Quantizing
import Tensors
import TestSupport
import Testing

/// Perplexity and divergence against figures computed from llama.cpp's logits.
///
/// The logits agree to the bit, so what is left is Double's rounding: some 1e-13 of each figure. KL divergences are small
/// differences of larger sums and get 1e-9. Products of K-quants are summed in another order than llama.cpp's. Where that
/// carries a value over a rounding, to F16 in attention or to eight bits before a product, the figure moves: perturbing
/// each product of the K-quant model by a relative 6e-8, as another order does, moves it by 2e-4 (standard deviation of
/// twelve tries in numpy). The two differ by 4e-4; they get 2e-3.
@Suite struct ScoringTests {
    private static let golden = Result { try ScoringGolden.load() }
    private static let micro = ScoringGolden.path("models/micro-world-f16.gguf")

    private func load(_ path: String) throws -> Llama { try Llama(file: GGUFFile(path: path)) }

    private func text(
        _ model: Llama, and other: Llama? = nil, chunk: Int? = nil, limit: Int? = nil
    ) throws -> ScoredText {
        let bytes = try Data(contentsOf: URL(filePath: ScoringGolden.text))
        return try ScoredText(Array(bytes), name: "text", for: model, and: other, chunkSize: chunk, limit: limit)
    }

    private func isClose(_ a: Double, _ b: Double?, _ tolerance: Double = 1e-10) -> Bool {
        b.map { abs(a - $0) <= tolerance * max(1, abs($0)) } ?? false
    }

    @Test(arguments: 0..<5)
    func perplexityIsLlamaCpps(number: Int) throws {
        let golden = try Self.golden.get().scored
        try #require(golden.count == 5)
        let expected = golden[number]
        guard expected.model != "SmolLM2" || Places.runsSmolLM2 else { return }
        let model = try load(expected.path)
        let text = try text(model, chunk: expected.chunk, limit: expected.chunks)
        #expect(text.tokenCount == expected.textTokens && text.chunks.count == expected.chunks)
        let found = try Perplexity(ChunkLogits(model, on: text, threads: 2))
        let tolerance = expected.model.contains("kquants") ? 2e-3 : 1e-10
        #expect(found.surprises.count == expected.nTokens)
        #expect(isClose(found.estimate.value, expected.perplexity, tolerance), "\(found.estimate.value)")
        #expect(isClose(found.estimate.uncertainty, expected.uncertainty, tolerance), "\(found.estimate.uncertainty)")
        #expect(found.chunks.count == expected.each.count)
        for (chunk, value) in zip(found.chunks, expected.each) { #expect(isClose(chunk.value, value, tolerance)) }
        #expect(isClose(found.running.last!, found.estimate.value) && isClose(found.running[0], found.chunks[0].value))
    }

    /// The figure llama.cpp's `llama-perplexity` prints for this text in 512-token chunks, flash attention off.
    @Test(.enabled(if: Places.runsSmolLM2 && FileManager.default.fileExists(atPath: generalPublicLicense)))
    func smolLM2OnALicence() throws {
        let model = try load(Places.smolLM2)
        let bytes = try Data(contentsOf: URL(filePath: Self.generalPublicLicense))
        let text = try ScoredText(Array(bytes), name: "GPL-3", for: model)
        #expect(text.chunkSize == 512 && text.chunks.count == 14)
        let found = try Perplexity(ChunkLogits(model, on: text, threads: 2)).estimate
        #expect(abs(found.value - 18.3541) <= 0.5001e-4, "\(found)")
    }

    /// As Debian's base-files package installs it.
    private static let generalPublicLicense = "/usr/share/common-licenses/GPL-3"

    @Test(arguments: 0..<3)
    func divergenceIsThatOfLlamaCppsLogits(number: Int) throws {
        let golden = try Self.golden.get().compared
        try #require(golden.count == 3)
        let expected = golden[number]
        let (base, other) = (
            try load(ScoringGolden.path(expected.base)), try load(ScoringGolden.path(expected.other))
        )
        let text = try text(base, and: other, chunk: expected.chunk, limit: expected.chunks)
        let found = try Divergence(
            of: ChunkLogits(other, on: text, threads: 2), from: ChunkLogits(base, on: text, threads: 1))
        #expect(found.tokens.count == expected.nTokens)
        func check(_ estimate: Estimate, _ figures: [String: Double], _ value: String, _ uncertainty: String) {
            #expect(isClose(estimate.value, figures[value]), "\(value) \(estimate)")
            #expect(isClose(estimate.uncertainty, figures[uncertainty]), "\(uncertainty) \(estimate)")
        }
        check(found.meanDivergence, expected.kld, "mean", "uncertainty")
        let divergences = found.divergences
        for (share, name) in [(0.0, "min"), (0.5, "median"), (0.9, "p90"), (0.99, "p99"), (0.999, "p999"), (1, "max")] {
            #expect(isClose(divergences[share], expected.kld[name], 1e-9), "\(name)")
        }
        check(found.meanProbabilityChange, expected.deltaP, "mean", "mean_uncertainty")
        check(found.rmsProbabilityChange, expected.deltaP, "rms", "rms_uncertainty")
        #expect(isClose(found.probabilityChanges.maximum, expected.deltaP["max"]))
        #expect(isClose(found.probabilityChanges.minimum, expected.deltaP["min"]))
        check(found.basePerplexity.estimate, expected.perplexity, "base", "base_uncertainty")
        check(found.otherPerplexity.estimate, expected.perplexity, "other", "other_uncertainty")
        check(found.logRatio.exponential, expected.perplexity, "ratio", "ratio_uncertainty")
        check(found.difference, expected.perplexity, "difference", "difference_uncertainty")
        #expect(isClose(found.correlation, expected.perplexity["correlation"]))
        #expect(isClose(found.sameTop.value, expected.sameTop))
        #expect(isClose(found.sameTop.uncertainty, expected.sameTopUncertainty))
    }

    @Test(arguments: TinyModel.allCases)
    func aModelDoesNotDivergeFromItself(model: TinyModel) throws {
        let llama = try model.load()
        let text = try text(llama, chunk: 32, limit: 3)
        let (one, two) = (try ChunkLogits(llama, on: text, threads: 1), try ChunkLogits(llama, on: text, threads: 2))
        let found = try Divergence(of: two, from: one)
        #expect(found.tokens.count == 3 * 15)
        #expect(found.divergences.maximum == 0 && found.divergences.minimum == 0)
        #expect(found.sameTop == Estimate(1, 0) && found.rmsProbabilityChange == Estimate(0, 0))
        #expect(found.logRatio == Estimate(0, 0) && found.difference.value == 0)
        #expect(try Perplexity(one).surprises == found.tokens.map(\.baseSurprise))
    }

    @Test func textIsCutAsLlamaPerplexityCutsIt() throws {
        let model = try load(Self.micro)
        let text = try text(model)
        // The BOS token that the tokenizer adds is part of the text, and stands at the start of every chunk.
        let bytes = Array(try Data(contentsOf: URL(filePath: ScoringGolden.text)))
        let tokens = try model.tokenizer.encode(bytes: bytes)
        #expect(text.chunkSize == 256 && text.chunks.count == tokens.count / 256)
        #expect(text.scored == 128..<255)
        #expect(text.chunks.allSatisfy { $0[0] == model.vocabulary.bos })
        #expect(Array(text.chunks[3][1...]) == Array(tokens[769..<1024]))
        #expect(text.targets(of: 3) == Array(tokens[897..<1024]))
        #expect(try self.text(model, chunk: 9).scored == 4..<8)
        // A control token's text is text.
        let control = try ScoredText(
            Array("<|story|><|story|><|story|>".utf8), name: "", for: model, chunkSize: 8)
        #expect(control.tokenCount > 8)
    }

    @Test func progressCountsTokens() throws {
        let model = try TinyModel.gqa.load()
        let text = try text(model, chunk: 16, limit: 3)
        let logits = try ChunkLogits(model, on: text, threads: 1)
        var seen: [Double] = []
        _ = try Divergence(of: logits, from: logits) { done, total in
            #expect(total == 96)
            seen.append(done)
        }
        #expect(seen.last == 96 && seen == seen.sorted() && seen.count > 100)
        #expect(throws: CancellationError.self) { _ = try Perplexity(logits) { _, _ in throw CancellationError() } }
    }

    // MARK: faults

    @Test func whatDoesNotFitIsSaid() throws {
        let (model, other) = (try load(Self.micro), try TinyModel.gqa.load())
        #expect(throws: ScoringProblem.chunkTooLong(file: Self.micro, chunk: 257, trained: 256)) {
            try text(model, chunk: 257)
        }
        #expect(throws: ScoringProblem.tooShort(text: "x", tokens: 2, chunk: 8)) {
            try ScoredText(Array("a".utf8), name: "x", for: model, chunkSize: 8)
        }
        let difference = VocabularyDifference.count(base: 1024, other: other.configuration.vocabulary)
        let problem = ScoringProblem.otherVocabulary(
            base: Self.micro, other: TinyModel.gqa.path, difference: difference)
        #expect(throws: problem) { try text(model, and: other) }
        #expect(problem.description.contains(Self.micro) && problem.description.contains(TinyModel.gqa.path))
        #expect(problem.description.contains("1024 tokens and 302"))
    }

    @Test func logitsThatAreNoNumbersAreRefused() throws {
        let model = try TinyModel.gqa.load()
        let text = try text(model, chunk: 8, limit: 1)
        let logits = try ChunkLogits(model, on: text, threads: 2)
        let rows = try logits(0)
        for broken in [Float.nan, .infinity] {
            var values = rows.floats()
            values[values.count - 5] = broken
            let problem = ScoringProblem.notFinite(file: TinyModel.gqa.path, text: "text", chunk: 0)
            #expect(throws: problem) {
                var divergence = Divergence(on: text)
                try divergence.add(0, of: logits, .floats(values, rows.shape), from: rows)
            }
            #expect(problem.description.contains("chunk 1 of text"))
        }
    }
}

/// The formulas, on samples small enough for paper.
@Suite struct EstimateTests {
    @Test func meansHaveStandardErrors() {
        // Deviations -2, -1, 0, 3: a variance of 14 / 4, of which a third part is the mean's.
        let estimate = Estimate(meanOf: [1, 2, 3, 6])
        #expect(estimate.value == 3 && abs(estimate.uncertainty - (14.0 / 12).squareRoot()) < 1e-15)
        #expect(Estimate(0, 0.5).exponential == Estimate(1, 0.5))
        #expect(Estimate(4, 0.8).squareRoot == Estimate(2, 0.2))
        #expect(Estimate(0, 0).squareRoot == Estimate(0, 0))
    }

    @Test func quantilesLieBetweenNeighbours() {
        let quantiles = Quantiles([5, 1, 4, 2, 3])
        #expect(quantiles.minimum == 1 && quantiles.maximum == 5 && quantiles.median == 3)
        #expect(quantiles[0.25] == 2 && abs(quantiles[0.9] - 4.6) < 1e-12)
        // The middle of 101 is number 50; √(101 / 4) is 5.02 numbers to either side, rounded outwards.
        #expect(Quantiles((0..<101).map(Double.init)).interval(0.5) == 44...56)
        #expect(quantiles.interval(1) == 5...5 && quantiles.interval(0) == 1...1)
    }
}
