import GGUF
import Quantization
import Quantizing
import Tensors
import TestSupport
import Testing

@Suite struct FormatExplanationTests {
    static let types = BlockFormats.all.map(\.type)

    @Test(arguments: types) func theExampleIsMadeByTheFormat(type: TensorType) throws {
        let explanation = try FormatExplanation(named: type.name.lowercased())
        #expect(explanation.sample.source == nil)
        #expect(explanation.type == type)
        #expect(explanation.activationType == BlockFormats.format(for: type)?.activationType)
        let encoder = try #require(BlockFormats.encodableFormat(for: type))
        var bytes = [UInt8](repeating: 0, count: type.blockBytes)
        var elements = bytes.mutableSpan
        var span = elements.mutableBytes
        encoder.encode(explanation.example.weights.span, importance: nil, into: &span)
        #expect(explanation.example.block.bytes == bytes)
        #expect((explanation.example.maximumError == 0) == (type == .f32))
    }

    /// A model's weights are those that its first query matrix decodes to.
    @Test func weightsOfAModelAreUsed() throws {
        let file = try TinyModel.gqa.file()
        let tensor = try #require(file.tensors.first { $0.name.hasSuffix("attn_q.weight") })
        var decoded = [Float](repeating: 0, count: tensor.shape.count)
        var span = decoded.mutableSpan
        file.values(of: tensor).withBytes { FormatQ4_1().decode($0, into: &span) }
        for type in [TensorType.q4_1, .q4_K, .iq2_xxs] {
            let explanation = try FormatExplanation(named: type.name, on: SampleWeights(from: file))
            #expect(explanation.sample.source == "\(tensor.name) (Q4_1) of \(file.path)")
            #expect(explanation.example.weights == Array(decoded[..<type.blockElements]))
        }
        let scheme = SchemeExplanation(
            try #require(TeachingSchemes.named("int8-affine")), on: try SampleWeights(from: file))
        #expect(scheme.weights == Array(decoded[..<1024]))
    }

    @Test func aModelWithoutEnoughWeightsIsRefused() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("small.gguf")
        let entries = [
            GGUFWriter.TensorEntry(name: "few", .floats([Float](repeating: 1, count: 512), Shape(256, 2))),
            GGUFWriter.TensorEntry(name: "zeros", .floats([Float](repeating: 0, count: 2048), Shape(1024, 2))),
        ]
        try GGUFWriter(metadata: Metadata([]), tensors: entries).write(to: path, overwrite: true)
        #expect(throws: BlockProblem.noSample(file: path)) { try SampleWeights(from: GGUFFile(path: path)) }
    }

    @Test(arguments: TeachingSchemes.all.map(\.id)) func codesOfSchemesStandForTheirValues(id: String) throws {
        let scheme = try #require(TeachingSchemes.named(id))
        let explanation = SchemeExplanation(scheme)
        let result = scheme.roundTrip(explanation.weights, rows: explanation.rows, columns: explanation.columns)
        #expect(explanation.result.values == result.values)
        let parameters = result.parameters.flatMap { Array(repeating: $0, count: $0.count) }
        let (low, high) =
            id.contains("affine") ? (0, 1 << scheme.bits) : (-1 << (scheme.bits - 1), 1 << (scheme.bits - 1))
        for (index, group) in parameters.enumerated() {
            let code = explanation.code(of: index)
            #expect((low..<high).contains(code))
            #expect(Float(code - group.zeroPoint) * group.scale == result.values[index])
        }
        #expect(explanation.steps.last!.hasSuffix("= \(result.values[explanation.element])"))
    }

    @Test func unknownFormatsAreRefused() {
        #expect(throws: BlockProblem.self) { try FormatExplanation(named: "Q4_2") }
        #expect(throws: BlockProblem.self) { try FormatExplanation(named: "I32") }
    }
}
