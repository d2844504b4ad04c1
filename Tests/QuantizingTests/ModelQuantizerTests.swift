import ComputeGraph
import Foundation
import GGUF
import Quantization
import Quantizing
import Tensors
import TestSupport
import Testing

/// The file that is written, and what is left when it cannot be.
@Suite struct ModelQuantizerTests {
    private let folder: TemporaryFolder
    private var output: String { folder.path("out.gguf") }

    init() throws { folder = try TemporaryFolder() }

    private func quantizer(
        _ type: String, _ model: PaperModel, stored: TensorType = .f32, importance: ImportanceMatrix? = nil,
        threads: Int = 2,
        progress: @escaping @Sendable (Int, Int) throws -> Void = { _, _ in }
    ) throws -> ModelQuantizer {
        let file = try model.write(to: folder.path("in.gguf"), type: stored)
        let mix = try #require(QuantizationMix.named(type))
        return ModelQuantizer(
            file: file, plan: try QuantizationPlan(file, as: mix, hasImportance: importance != nil),
            importance: importance,
            workers: Workers(threads: threads), progress: progress)
    }

    private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(filePath: path)) }

    /// The file beside the model, and nothing else.
    private var leftovers: [String] {
        get throws {
            try FileManager.default.contentsOfDirectory(atPath: folder.url.path).filter { $0.hasPrefix("out") }
        }
    }

    @Test(arguments: [1, 3])
    func everyRowIsEncoded(threads: Int) throws {
        try quantizer("Q4_K_M", PaperModel(layers: 2), threads: threads).write(to: output, overwrite: false)
        let written = try GGUFFile(path: output)
        let source = try GGUFFile(path: folder.path("in.gguf"))
        for info in written.tensors {
            let original = source.values(of: try #require(source.tensor(named: info.name)))
            guard info.shape.ne1 > 1 else {
                #expect(written.values(of: info).bits == original.bits)
                continue
            }
            let format = try #require(BlockFormats.encodableFormat(for: info.type))
            var expected: [UInt8] = []
            for row in 0..<info.shape.rows {
                var block = [UInt8](repeating: 0, count: info.type.rowBytes(256)!)
                var elements = block.mutableSpan
                var span = elements.mutableBytes
                original.withRow(of: Float.self, row) { format.encode($0, importance: nil, into: &span) }
                expected += block
            }
            let found = written.values(of: info).withBytes { bytes in
                (0..<bytes.byteCount).map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
            }
            #expect(found == expected, "\(info.name)")
        }
        #expect(try leftovers == ["out.gguf"])
    }

    @Test func metadataIsKept() throws {
        let extra = [
            Metadata.Entry(key: "general.alignment", value: .uint32(64)),
            .init(key: "general.name", value: .string("M")),
            .init(key: "split.count", value: .uint16(1)),
        ]
        try quantizer("Q5_K_S", PaperModel(layers: 1, entries: extra)).write(to: output, overwrite: false)
        let file = try GGUFFile(path: output)
        #expect(file.metadata["general.name"]?.string == "M")
        #expect(file.metadata["llama.block_count"]?.integer == 1)
        #expect(file.metadata["general.alignment"] == nil && file.alignment == 32)
        #expect(file.metadata["split.count"] == nil)
        #expect(file.metadata["general.quantization_version"] == .uint32(2))
        #expect(file.metadata["general.file_type"] == .uint32(16))
    }

    @Test func copying() throws {
        let file = try PaperModel(layers: 1).write(to: folder.path("in.gguf"), type: .f16)
        try ModelQuantizer(
            file: file, plan: QuantizationPlan(copying: file), importance: nil, workers: Workers(threads: 1)
        ).write(to: output, overwrite: false)
        let copy = try GGUFFile(path: output)
        for info in file.tensors {
            let other = try #require(copy.tensor(named: info.name))
            #expect(other.type == info.type && copy.values(of: other).bits == file.values(of: info).bits)
        }
        #expect(copy.metadata["general.file_type"] == .uint32(1))
    }

    @Test func importancesAreUsed() throws {
        let model = PaperModel(layers: 1)
        let path = folder.path("imatrix.gguf")
        var name = "blk.0.attn_q.weight"
        try Self.writeImportance(to: path, name, sums: (0..<256).map { Float($0 * $0) }, counts: [4])
        let matrix = try ImportanceMatrix(path: path)
        #expect(matrix.values[name]?[3] == 9.0 / 4)
        try quantizer("Q4_K_S", model).write(to: output, overwrite: false)
        try quantizer("Q4_K_S", model, importance: matrix).write(to: folder.path("out2.gguf"), overwrite: false)
        let (plain, weighed) = (try GGUFFile(path: output), try GGUFFile(path: folder.path("out2.gguf")))
        func differs(_ name: String) throws -> Bool {
            let files = [plain, weighed]
            let found = files.map { file in
                file.values(of: file.tensor(named: name)!).withBytes { bytes in
                    (0..<bytes.byteCount).map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
                }
            }
            return found[0] != found[1]
        }
        #expect(try differs(name))
        name = "blk.0.attn_k.weight"
        #expect(try !differs(name))
        #expect(weighed.metadata["quantize.imatrix.entries_count"] == .uint32(1))
    }

    @Test func importancesOfAnotherModel() throws {
        let path = folder.path("imatrix.gguf")
        let name = "blk.0.attn_q.weight"
        try Self.writeImportance(to: path, name, sums: [1, 2], counts: [1])
        let matrix = try ImportanceMatrix(path: path)
        #expect(throws: QuantizeProblem.importanceSize(file: path, tensor: name, found: 2, expected: 256)) {
            try quantizer("Q4_K_S", PaperModel(layers: 1), importance: matrix).check(allowsRequantizing: false)
        }
        try Self.writeImportance(to: path, name, sums: [1, .infinity], counts: [1])
        #expect(throws: QuantizeProblem.importanceValue(file: path, tensor: name, index: 1, value: .infinity)) {
            try ImportanceMatrix(path: path)
        }
        try Self.writeImportance(to: path, name, sums: [5, 6], counts: [0])
        #expect(try ImportanceMatrix(path: path).values[name] == [1, 1])
        #expect(throws: QuantizeProblem.self) { try ImportanceMatrix(path: TinyModel.gqa.path) }
    }

    static func writeImportance(to path: String, _ name: String, sums: [Float], counts: [Float]) throws {
        let metadata = Metadata([
            .init(key: "imatrix.datasets", value: .array(GGUFArray(.string, [.string("text")]))),
            .init(key: "imatrix.chunk_count", value: .uint32(1)), .init(key: "imatrix.chunk_size", value: .uint32(512)),
        ])
        try GGUFWriter(
            metadata: metadata,
            tensors: [
                .init(name: name + ".in_sum2", .floats(sums, Shape(sums.count))),
                .init(name: name + ".counts", .floats(counts, Shape(1, counts.count))),
            ]
        ).write(to: path, overwrite: true)
    }

    @Test func missingImportances() throws {
        let problem = QuantizeProblem.needsImportance(tensor: "blk.0.attn_k.weight", type: .q2_K, hasMatrix: false)
        let quantizer = try quantizer("Q2_K_S", PaperModel(layers: 1))
        #expect(throws: problem) { try quantizer.check(allowsRequantizing: false) }
        // The plan can still be measured, where no importances are needed.
        let errors = try quantizer.errors()
        let names = quantizer.plan.entries.map(\.tensor.name)
        #expect(errors[names.firstIndex(of: "blk.0.attn_k.weight")!] == nil)
        #expect(errors[names.firstIndex(of: "output.weight")!] != nil)
    }

    @Test func quantisedAlready() throws {
        let file = try TinyModel.gqa.file()
        let mix = try #require(QuantizationMix.named("Q8_0"))
        let quantizer = ModelQuantizer(
            file: file, plan: try QuantizationPlan(file, as: mix, hasImportance: false), importance: nil,
            workers: Workers(threads: 1))
        #expect(throws: QuantizeProblem.self) { try quantizer.check(allowsRequantizing: false) }
        try quantizer.check(allowsRequantizing: true)
        try quantizer.write(to: output, overwrite: false)
        #expect(try GGUFFile(path: output).tensors.contains { $0.type == .q8_0 })
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity], ["blk.0.ffn_up.weight", "blk.0.ffn_norm.weight"])
    func notFinite(value: Float, tensor: String) throws {
        let model = PaperModel(layers: 1, value: { $0 == tensor && $1 == 77 ? value : Float($1 % 13) })
        let error = #expect(throws: QuantizeProblem.self) {
            try quantizer("Q4_0", model).write(to: output, overwrite: false)
        }
        guard case .notFinite(_, tensor, 77, _)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try leftovers.isEmpty)
    }

    @Test func tooLargeForHalves() throws {
        let model = PaperModel(layers: 1, value: { $0.contains("attn_q") && $1 == 300 ? 1e30 : 0.5 })
        for type in ["F16", "Q4_0", "Q6_K"] {
            let error = #expect(throws: QuantizeProblem.self) {
                try quantizer(type, model).write(to: output, overwrite: false)
            }
            guard case .overflow(_, "blk.0.attn_q.weight", 300, 1e30, _)? = error else {
                Issue.record("\(type): \(String(describing: error))")
                return
            }
        }
        try quantizer("BF16", model).write(to: output, overwrite: false)
    }

    @Test func takenNames() throws {
        try folder.write("mine", to: "out.gguf")
        let quantizer = try quantizer("Q4_0", PaperModel(layers: 1))
        #expect(throws: GGUFError.self) { try quantizer.write(to: output, overwrite: false) }
        #expect(try bytes(output) == Data("mine".utf8))
        try quantizer.write(to: output, overwrite: true)
        #expect(try GGUFFile(path: output).tensors.count == quantizer.plan.entries.count)
    }

    @Test func stopping() throws {
        struct Stop: Error {}
        try folder.write("mine", to: "out.gguf")
        let quantizer = try quantizer("Q4_0", PaperModel(layers: 3)) { done, total in
            if done > total / 2 { throw Stop() }
        }
        #expect(throws: Stop.self) { try quantizer.write(to: output, overwrite: true) }
        #expect(try bytes(output) == Data("mine".utf8))
        #expect(try leftovers == ["out.gguf"])
    }

    /// The predicted error is the one of the file that is then written.
    @Test func predictedErrors() throws {
        let quantizer = try quantizer("Q3_K_M", PaperModel(layers: 2))
        try quantizer.write(to: output, overwrite: false)
        let found = try QuantErrors(workers: Workers(threads: 1)).errors(
            of: try GGUFFile(path: output), against: quantizer.file)
        let measured = Dictionary(uniqueKeysWithValues: found.map { ($0.name, $0.statistics.rmse) })
        for case let error? in try quantizer.errors() { #expect(measured[error.name] == error.statistics.rmse) }
    }
}
