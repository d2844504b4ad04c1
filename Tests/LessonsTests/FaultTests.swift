import Foundation
import GGUF
import Lessons
import Quantization
import Tensors
import TestSupport
import Testing

/// A copy of a model in which one thing was changed.
@Suite struct FaultTests {
    private static let models: [TinyModel] = [.gqa, .biases, .kQuants, .stories, .mixtral]

    /// The two files, of which the second has the fault.
    private func planted(_ kind: PlantedFault.Kind, in model: TinyModel, seed: Int) throws -> (
        GGUFFile, GGUFFile, String
    ) {
        let folder = try TemporaryFolder()
        let file = try model.file()
        let fault = try PlantedFault(kind, in: file, seed: seed)
        try fault.write(file, to: folder.path("fault.gguf"), overwrite: false)
        return (file, try GGUFFile(path: folder.path("fault.gguf")), fault.target)
    }

    /// The bytes of each row.
    private func rows(_ name: String, of file: GGUFFile) throws -> [[UInt8]] {
        let info = try #require(file.tensor(named: name))
        let count = info.byteCount / info.shape.rows
        return (0..<info.shape.rows).map { row in
            let start = info.fileOffset + row * count
            return file.parts[info.part].withBytes(in: start..<start + count) { $0.withUnsafeBytes { Array($0) } }
        }
    }

    /// Names of what differs, byte by byte.
    private func differences(_ a: GGUFFile, _ b: GGUFFile) throws -> [String] {
        #expect(a.tensors.map(\.name) == b.tensors.map(\.name))
        let tensors = try a.tensors.map(\.name).filter { try rows($0, of: a) != rows($0, of: b) }
        return tensors + a.metadata.entries.filter { b.metadata[$0.key] != $0.value }.map(\.key)
    }

    @Test(arguments: models, PlantedFault.Kind.allCases)
    func oneThingIsChangedAndFound(model: TinyModel, kind: PlantedFault.Kind) throws {
        let hasBase = try model.file().metadata["llama.rope.freq_base"] != nil
        for seed in 0..<4 where kind != .rope || hasBase {
            let (file, faulty, target) = try planted(kind, in: model, seed: seed)
            #expect(try differences(file, faulty) == [target])
            let search = try FaultSearch(faulty, of: file)
            #expect(search.changed == [target])
            guard case .right = search.verdict(target) else { Issue.record("\(search.verdict(target))"); return }
            #expect(search.verdict("`blk.0.attn_norm`") == .unchanged("blk.0.attn_norm.weight"))
            guard case .unknown(let near) = search.verdict("blk.0.atn_q.weight") else { Issue.record("known"); return }
            #expect(near.contains("blk.0.attn_q.weight"))
        }
    }

    @Test(arguments: models) func headsAreWholeAndExchanged(model: TinyModel) throws {
        let (file, faulty, target) = try planted(.heads, in: model, seed: 1)
        let heads = try #require(file.metadata["llama.attention.head_count"]?.integer)
        let (before, after) = (try rows(target, of: file), try rows(target, of: faulty))
        let changed = before.indices.filter { before[$0] != after[$0] }
        let size = before.count / heads
        let pair = Set(changed.map { $0 / size }).sorted()
        #expect(pair.count == 2 && target.hasSuffix(".attn_q.weight"))
        for row in 0..<size {
            #expect(after[pair[0] * size + row] == before[pair[1] * size + row])
            #expect(after[pair[1] * size + row] == before[pair[0] * size + row])
        }
    }

    @Test(arguments: models) func aRowIsEightTimesAsLarge(model: TinyModel) throws {
        let (file, faulty, target) = try planted(.scale, in: model, seed: 2)
        let (before, after) = (try rows(target, of: file), try rows(target, of: faulty))
        let changed = before.indices.filter { before[$0] != after[$0] }
        #expect(changed.count == 1)
        let info = try #require(file.tensor(named: target))
        let format = try #require(BlockFormats.format(for: info.type))
        func values(_ row: [UInt8]) -> [Float] { row.withUnsafeBytes { format.values(of: $0.bytes) } }
        let (small, large) = (values(before[changed[0]]), values(after[changed[0]]))
        for (x, y) in zip(small, large) {
            // A minimum stays as it is: then codes count 8 times as much from it on.
            if format.type.name.hasSuffix("_0") || info.type.blockElements == 1 { #expect(y == 8 * x) }
        }
        #expect(zip(small, large).contains { $0 != $1 })
    }

    @Test func whatCannotBePlantedIsSaid() throws {
        let latent = try GGUFFile(path: ArchitectureFixture.all.first { $0.name == "deepseek2" }!.path)
        #expect(throws: FaultProblem.cannotPlant(.heads, latent.path)) { try PlantedFault(.heads, in: latent, seed: 0) }
        #expect(throws: FaultProblem.self) { try FaultSearch(TinyModel.gqa.file(), of: TinyModel.stories.file()) }
    }
}
