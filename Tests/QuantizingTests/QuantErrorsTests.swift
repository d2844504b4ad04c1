import ComputeGraph
import Foundation
import GGUF
import Quantization
import Quantizing
import Tensors
import TestSupport
import Testing

@Suite struct QuantErrorsTests {
    private let folder: TemporaryFolder
    private let file: GGUFFile

    init() throws {
        folder = try TemporaryFolder()
        file = try PaperModel(layers: 1).write(to: folder.path("model.gguf"))
    }

    private func quant(_ threads: Int = 2) -> QuantErrors { QuantErrors(workers: Workers(threads: threads)) }

    /// The statistics of a tensor against what the scheme itself makes of it.
    @Test(arguments: TeachingSchemes.all.map(\.id)) func schemesAreTriedOnWholeTensors(id: String) throws {
        let scheme = try #require(TeachingSchemes.named(id))
        let tensor = try #require(file.tensor(named: "blk.0.attn_q.weight"))
        let error = try quant().errors(of: tensor, in: file, as: scheme)
        let values = file.values(of: tensor).floats()
        let result = scheme.roundTrip(values, rows: tensor.shape.rows, columns: tensor.shape.ne0)
        var expected = ErrorStatistics()
        expected.add(reference: values.span, other: result.values.span)
        #expect(error.statistics.maximum == expected.maximum && error.statistics.count == 512)
        #expect(abs(error.statistics.rmse - expected.rmse) <= 1e-12 * expected.rmse)
        #expect(error.bitsPerWeight == result.bitsPerWeight)
        #expect(error.type == WeightForm(scheme) && error.type.isTextbook && error.type.name == id)
    }

    @Test func schemesStandBesideFormats() throws {
        let scheme = try #require(TeachingSchemes.named("int8-absmax-row"))
        let errors = try quant().errors(of: file, as: [FormatQ8_0()], schemes: [scheme])
        let matrices = file.tensors.filter { $0.shape.rows > 1 }
        #expect(errors.map(\.name) == matrices.flatMap { [$0.name, $0.name] })
        #expect(errors.map(\.type.name) == matrices.flatMap { _ in ["Q8_0", "int8-absmax-row"] })
    }

    /// What needs importances is tried where there are some, and others are made with them.
    @Test func importancesAreUsed() throws {
        let name = "blk.0.attn_q.weight"
        let path = folder.path("imatrix.gguf")
        let sums = (0..<256).map { Float($0 % 16 * ($0 % 16)) }
        try ModelQuantizerTests.writeImportance(to: path, name, sums: sums, counts: [4])
        let matrix = try ImportanceMatrix(path: path)
        let formats: [any EncodableFormat] = [FormatQ4_K(), FormatIQ2_XXS()]
        let plain = try quant().errors(of: file, as: formats)
        let weighted = try quant().errors(of: file, as: formats, importance: matrix)
        #expect(!plain.contains { $0.type.name == "IQ2_XXS" })
        #expect(weighted.filter { $0.type.name == "IQ2_XXS" }.map(\.name) == [name])
        for (one, other) in zip(plain, weighted.filter { $0.type.name == "Q4_K" }) {
            #expect((one.statistics.mse != other.statistics.mse) == (one.name == name), "\(one.name)")
        }
        try ModelQuantizerTests.writeImportance(to: path, name, sums: [1, 2], counts: [4])
        let foreign = try ImportanceMatrix(path: path)
        #expect(throws: QuantizeProblem.importanceSize(file: path, tensor: name, found: 2, expected: 256)) {
            try quant().errors(of: file, as: formats, importance: foreign)
        }
    }

    /// An expert's error is that of its matrix alone; all experts together make the tensor's.
    @Test(arguments: [1, 3, 40]) func expertsAreMeasuredOnTheirOwn(count: Int) throws {
        let values = (0..<64 * 5 * count).map { Float(sin(Double($0)) * Double(1 + $0 / 320)) }
        func file(_ name: String, _ tensors: [(String, [Float], Shape)]) throws -> GGUFFile {
            let path = folder.path(name)
            try GGUFWriter(
                metadata: Metadata([]), tensors: tensors.map { .init(name: $0.0, .floats($0.1, $0.2)) }
            ).write(to: path, overwrite: true)
            return try GGUFFile(path: path)
        }
        let format = FormatQ4_0()
        let whole = try file("experts.gguf", [("blk.2.ffn_up_exps.weight", values, Shape(64, 5, count))])
        let error = try quant().errors(of: whole.tensors[0], in: whole, as: format)
        #expect(error.experts.count == count && error.layer == 2)
        #expect(error.statistics.count == values.count && error.statistics.p95 != nil)
        #expect(error.experts.map(\.count) == Array(repeating: 320, count: count))
        let squares = error.experts.reduce(0.0) { $0 + $1.mse * Double($1.count) }
        #expect(abs(squares - error.statistics.mse * Double(values.count)) <= 1e-12 * squares)
        for expert in 0..<count {
            let own = try file("one.gguf", [("w", Array(values[320 * expert..<320 * (expert + 1)]), Shape(64, 5))])
            let alone = try quant().errors(of: own.tensors[0], in: own, as: format).statistics
            #expect(abs(alone.mse - error.experts[expert].mse) <= 1e-12 * alone.mse)
            #expect(alone.maximum == error.experts[expert].maximum)
        }
        let dense = try quant().errors(of: self.file, as: [format])
        let haveNone = dense.allSatisfy(\.experts.isEmpty)
        #expect(haveNone, "matrices that are no experts")
    }

    @Test func weightsThatAreNoNumbersAreRefused() throws {
        var values = [Float](repeating: 1, count: 512)
        values[300] = .infinity
        let path = folder.path("broken.gguf")
        let entry = GGUFWriter.TensorEntry(name: "w", .floats(values, Shape(256, 2)))
        try GGUFWriter(metadata: Metadata([]), tensors: [entry]).write(to: path, overwrite: true)
        let broken = try GGUFFile(path: path)
        let problem = QuantErrorProblem.notFinite(file: path, tensor: "w", index: 300, value: .infinity)
        for scheme in TeachingSchemes.all {
            #expect(throws: problem) { try quant().errors(of: broken.tensors[0], in: broken, as: scheme) }
        }
    }
}
