import ComputeGraph
import GGUF
import Quantization
import Quantizing
import Tensors
import TestSupport
import Testing

@Suite struct BlockAuditTests {
    /// Against every block taken apart on its own.
    @Test(arguments: [TinyModel.gqa, .kQuants], [1, 3])
    func talliesAreThoseOfTheBlocks(model: TinyModel, threads: Int) throws {
        let file = try model.file()
        let audit = try BlockAudit(of: file, against: nil, workers: Workers(threads: threads))
        #expect(audit.tensors.count + audit.skipped.count == file.tensors.count)
        #expect(audit.skipped.allSatisfy { $0.type == .f32 })
        for tensor in audit.tensors {
            let blocks = try Self.blocks(of: tensor.tensor, in: file)
            #expect(tensor.tally.blocks == blocks.count)
            #expect(tensor.tally.zeroNotExact == blocks.count { $0.description.zeroExact.contains(false) })
            #expect(tensor.tally.dead == blocks.count { $0.description.elements.allSatisfy { $0.value == 0 } })
            let scales = blocks.flatMap(\.description.scales.subScales)
            #expect(tensor.tally.scales.count == scales.count)
            #expect(tensor.tally.scales.minimum == scales.min() && tensor.tally.scales.maximum == scales.max())
            let minima = blocks.flatMap(\.description.scales.subMinima)
            #expect(tensor.tally.minima?.maximum == minima.max())
        }
        #expect(audit.types.reduce(0) { $0 + $1.tally.blocks } == audit.tensors.reduce(0) { $0 + $1.tally.blocks })
        #expect(audit.worst.count == BlockAudit.worstCount)
        #expect(zip(audit.worst, audit.worst.dropFirst()).allSatisfy { $0.measure >= $1.measure })
    }

    @Test func theWorstAreTheSameWithAnyNumberOfThreads() throws {
        let file = try TinyModel.kQuants.file()
        func worst(_ threads: Int) throws -> [Int] {
            try BlockAudit(of: file, against: nil, workers: Workers(threads: threads)).worst.map(\.fileOffset)
        }
        #expect(try worst(1) == worst(4))
    }

    /// Rows of three blocks in which one weight each is known to be worst, dead or without zero.
    @Test func oddBlocksAreFound() throws {
        let folder = try TemporaryFolder()
        var weights = (0..<192).map { Float($0 % 32) / 10 + 1 }  // 1 to 4.1: a minimum above zero
        for j in 32..<64 { weights[j] = 0 }
        for j in 96..<128 { weights[j] *= 10 }
        let (q4, f32) = (folder.path("q4.gguf"), folder.path("f32.gguf"))
        let encoded = Tensor.zeros(.q4_1, Shape(96, 2))
        encoded.buffer.withMutableBytes(in: 0..<120) { FormatQ4_1().encode(weights.span, importance: nil, into: &$0) }
        try Self.write(encoded, to: q4)
        var before = weights
        before[133] += 50  // block 1 of row 1
        try Self.write(.floats(before, Shape(96, 2)), to: f32)
        let file = try GGUFFile(path: q4)

        let alone = try BlockAudit(of: file, against: nil, workers: Workers(threads: 2))
        let tally = alone.tensors[0].tally
        #expect((tally.blocks, tally.dead, tally.zeroNotExact, tally.broken) == (6, 1, 5, 0))
        #expect((alone.worst[0].row, alone.worst[0].block) == (1, 0))
        #expect(alone.worst[0].fileOffset == file.tensors[0].fileOffset + 3 * 20)
        #expect(abs(alone.worst[0].relativeScale - 10) < 0.2)

        let compared = try BlockAudit(of: file, against: try GGUFFile(path: f32), workers: Workers(threads: 2))
        #expect((compared.worst[0].row, compared.worst[0].block) == (1, 1))
        #expect(abs(try #require(compared.worst[0].maximumError) - 50) < 0.2)
    }

    @Test func plainNumbersHaveNoBlocks() throws {
        let file = try TinyModel.stories.file()
        #expect(throws: BlockProblem.nothingToAudit(file: file.path, types: [.f32])) {
            try BlockAudit(of: file, against: nil, workers: Workers(threads: 1))
        }
    }

    private static func blocks(of tensor: TensorInfo, in file: GGUFFile) throws -> [WeightBlock] {
        try (0..<tensor.shape.rows).flatMap { row in
            try (0..<tensor.shape.ne0 / tensor.type.blockElements).map {
                try WeightBlock(row: row, block: $0, of: tensor, in: file)
            }
        }
    }

    private static func write(_ tensor: Tensor, to path: String) throws {
        let entry = GGUFWriter.TensorEntry(name: "w", type: tensor.type, shape: tensor.shape) { tensor }
        try GGUFWriter(metadata: Metadata([]), tensors: [entry]).write(to: path)
    }
}

@Suite struct DistributionTests {
    @Test func quantilesAreThoseOfTheSortedNumbers() throws {
        var generator = SeededGenerator(seed: 3)
        let values = generator.floats(5000, in: -1...3)
        var (halves, whole) = ([Distribution(), Distribution()], Distribution())
        for (index, value) in values.enumerated() { halves[index % 2].add(value) }
        whole.merge(halves[0])
        whole.merge(halves[1])
        let (sorted, magnitudes) = (values.sorted(), values.map(\.magnitude).sorted())
        for share in [0.0, 0.05, 0.5, 0.95, 1] {
            let exact = sorted[max(0, Int((share * 5000).rounded(.up)) - 1)]
            #expect(abs(try #require(whole.quantile(share)) - exact) <= 0.008 * abs(exact))
        }
        #expect(abs(try #require(whole.medianMagnitude) - magnitudes[2499]) <= 0.008 * magnitudes[2499])
        #expect(whole.count == 5000 && whole.minimum == sorted[0] && whole.maximum == sorted[4999])
    }

    @Test func whatIsNoNumberIsCountedApart() {
        var distribution = Distribution()
        for value in [Float.nan, .infinity, -.infinity, 0, -0.0] { distribution.add(value) }
        #expect(distribution.notFinite == 3 && distribution.count == 2)
        #expect(distribution.quantile(0.5) == 0 && distribution.medianMagnitude == 0)
        #expect(Distribution().quantile(0.5) == nil && Distribution().medianMagnitude == nil)
    }
}
