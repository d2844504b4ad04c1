import Foundation
import GGUF
import LlamaModel
import Measuring
import Quantizing
import Tensors
import TestSupport
import Testing

/// Quantised versions of the embedded model, made in memory and measured.
@Suite struct QuantizedVersionsTests {
    private func versions(_ path: String, chunk: Int? = nil, limit: Int) throws -> QuantizedVersions {
        let model = try Llama(file: GGUFFile(path: path))
        let bytes = try Data(contentsOf: URL(filePath: ScoringGolden.text))
        let text = try ScoredText(Array(bytes), name: "text", for: model, chunkSize: chunk, limit: limit)
        return QuantizedVersions(
            of: try BaseLogits(ChunkLogits(model, on: text, threads: 2)), importance: nil, threads: 2)
    }

    @Test func fewerBitsDivergeMore() throws {
        let versions = try versions(Places.microWorld, limit: 4)
        let names = ["Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K"]
        var last = Estimate(0, 0)
        for name in names {
            let plan = try versions.plan(try #require(QuantizationMix.named(name)))
            let found = try versions.measure(plan)
            let kld = found.divergence.meanDivergence
            #expect(found.divergence.tokens.count == 4 * 127 && found.tokensPerSecond > 0)
            // Further apart than both may be off.
            #expect(kld.value - last.value > kld.uncertainty + last.uncertainty, "\(name): \(kld) after \(last)")
            last = kld
        }
    }

    /// In memory and through a file, the same.
    @Test(arguments: ["Q4_K_M", "Q3_K_S"])
    func aVersionInMemoryIsTheWrittenOne(name: String) throws {
        let versions = try versions(Places.microWorld, limit: 1)
        let plan = try versions.plan(try #require(QuantizationMix.named(name)))
        let folder = try TemporaryFolder()
        try ModelQuantizer(
            file: versions.base.model.file, plan: plan, importance: nil, workers: .init(threads: 2)
        ).write(to: folder.path("q.gguf"), overwrite: false)
        let written = try ChunkLogits(
            Llama(file: GGUFFile(path: folder.path("q.gguf"))), on: versions.base.text, threads: 1)
        let (one, other) = (try versions.measure(plan), try versions.base.measure(written))
        #expect(one.divergence.tokens.map(\.otherSurprise) == other.divergence.tokens.map(\.otherSurprise))
        #expect(one.divergence.tokens.map(\.divergence) == other.divergence.tokens.map(\.divergence))
    }

    @Test func theSameTypeChangesNothing() throws {
        let versions = try versions(Places.microWorld, limit: 1)
        let found = try versions.measure(try versions.plan(try #require(QuantizationMix.named("F16"))))
        #expect(found.divergence.divergences.maximum == 0 && found.divergence.sameTop.value == 1)
    }

    @Test func typesThatNeedImportancesAreRefused() throws {
        let versions = try versions(Places.microWorld, limit: 1)
        let mix = try #require(QuantizationMix.named("IQ2_XXS"))
        #expect(throws: QuantizeProblem.self) { try versions.plan(mix) }
    }

    // MARK: sensitivity

    @Test(arguments: Sensitivity.Unit.allCases)
    func everyPartIsMeasuredAlone(unit: Sensitivity.Unit) throws {
        let versions = try versions(Places.microWorld, chunk: 32, limit: 2)
        let plan = try versions.plan(try #require(QuantizationMix.named("Q3_K_S")), isPure: true)
        let mix = try versions.plan(try #require(QuantizationMix.named("Q3_K_M")))
        let parts = SensitivityPlan(plan, against: mix, by: unit)
        let found = Sensitivity(try parts.names.indices.map { try parts.measure($0, versions) })
        let changed = plan.entries.filter { !$0.isCopied }
        let expected = [Sensitivity.Unit.tensor: 30, .layer: 6, .role: 9][unit]!
        #expect(found.parts.count == expected && Set(found.parts.map(\.name)).count == expected)
        #expect(Set(found.parts.map(\.name)) == Set(parts.names))
        #expect(found.parts.reduce(0) { $0 + $1.weights } == changed.reduce(0) { $0 + $1.tensor.shape.count })
        let divergences = found.parts.map(\.divergence.value)
        #expect(divergences == divergences.sorted(by: >) && divergences.last! > 0)
        // One part, by hand.
        let part = found.parts[1]
        if unit == .tensor {
            let alone = try versions.measure(plan) { $0.tensor.name == part.name }
            #expect(alone.divergence.meanDivergence == part.divergence)
            #expect(alone.divergence.sameTop.value == part.sameTop)
            let favoured = Set(zip(plan.entries, mix.entries).filter { $0.type != $1.type }.map { $0.0.tensor.name })
            #expect(Set(found.parts.filter(\.hasMoreBits).map(\.name)) == favoured && !favoured.isEmpty)
        }
    }

    /// Whether the stream is kept after each layer, after some, or not at all: the same bits, and less work.
    @Test func onlyWhatFollowsAChangeIsEvaluated() throws {
        let model = try Llama(file: GGUFFile(path: Places.microWorld))
        let bytes = try Data(contentsOf: URL(filePath: ScoringGolden.text))
        let text = try ScoredText(Array(bytes), name: "text", for: model, chunkSize: 32, limit: 2)
        func versions(_ streamBytes: Int) throws -> QuantizedVersions {
            let base = try BaseLogits(ChunkLogits(model, on: text, threads: 2), streamBytes: streamBytes)
            return QuantizedVersions(of: base, importance: nil, threads: 2)
        }
        let stream = 2 * 32 * 4 * model.configuration.embedding
        let (without, some, all) = (try versions(0), try versions(2 * stream), try versions(1 << 30))
        let mix = try #require(QuantizationMix.named("Q3_K_S"))
        let parts = SensitivityPlan(try all.plan(mix, isPure: true), against: try all.plan(mix), by: .tensor)
        for part in parts.names.indices {
            let expected = try parts.measure(part, without)
            #expect(try parts.measure(part, some) == expected, "\(parts.names[part])")
            #expect(try parts.measure(part, all) == expected, "\(parts.names[part])")
        }
        func work(_ name: String, _ versions: QuantizedVersions) throws -> Double {
            parts.work(try #require(parts.names.firstIndex(of: name)), versions)
        }
        #expect(try work("blk.3.ffn_down.weight", without) == 1)
        #expect(try work("token_embd.weight", all) == 1 && work("blk.0.attn_q.weight", all) == 1)
        #expect(try work("blk.3.ffn_down.weight", all) < 0.35 && work("blk.1.attn_q.weight", all) < 0.85)
        #expect(try work("blk.2.attn_q.weight", some) >= work("blk.2.attn_q.weight", all))
    }

    @Test func ranksCorrelateAsSpearmanSays() {
        #expect(Sensitivity.rankCorrelation([1, 2, 3], [10, 20, 15]) == 0.5)
        #expect(Sensitivity.rankCorrelation([1, 2, 3], [3, 2, 1]) == -1)
        #expect(Sensitivity.rankCorrelation([1, 2, 3], [4, 4, 4]) == nil)
        // Ties: ranks 0.5, 0.5, 2 and 0, 1, 2: 1.5 / √(1.5 · 2).
        #expect(abs(Sensitivity.rankCorrelation([7, 7, 9], [1, 2, 3])! - 0.75.squareRoot()) < 1e-12)
    }
}
