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
        #expect(explanation.source == nil)
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

    /// Whoever changes the examples must see that the sentences still hold.
    @Test(arguments: [TensorType.q4_0, .q4_1, .q5_0, .q5_1]) func theMinimumIsNoMatterOfOutliers(type: TensorType)
        throws
    {
        let numbers = try Self.numbers(of: "outliers", type)
        let smallest = try #require(numbers["smallest_weight"])
        #expect(numbers["m_without_outlier"] == numbers["m_with_outlier"])
        #expect(abs(try #require(numbers["m_with_outlier"]) - smallest) < 0.001 * abs(smallest))
        #expect(try #require(numbers["d_with_outlier"]) > 10 * #require(numbers["d_without_outlier"]))
        #expect(
            try #require(numbers["rmse_of_others_with_outlier"]) > 5 * #require(
                numbers["rmse_of_others_without_outlier"]))
    }

    @Test func q2_KHasTwoBitsAWeight() throws {
        let numbers = try Self.numbers(of: "4 bits", .q2_K)
        #expect(numbers["code_bits"] == 512 && numbers["scale_bits"] == 64 && numbers["min_bits"] == 64)
        #expect(numbers["d_and_dmin_bits"] == 32 && numbers["bits_of_largest_weight"] == 2)
    }

    @Test(arguments: [TensorType.q4_1, .q5_1, .q2_K, .q4_K, .q5_K]) func zeroIsSeldomExact(type: TensorType) throws {
        let numbers = try Self.numbers(of: "zero point", type)
        #expect(try #require(numbers["zero_exact"]) < #require(numbers["blocks"]))
    }

    @Test(arguments: types) func claimsAreMadeOfTheFormatsTheyAreAbout(type: TensorType) throws {
        let claims = try FormatExplanation(named: type.name).claims.map(\.claim)
        #expect(claims.contains { $0.contains("K means") } == (type.name.hasSuffix("_K") && type != .q8_K))
        #expect(claims.contains { $0.contains("zeros") } == (type == .iq3_s))
        #expect(claims.contains { $0.contains("zero point") } == [.q4_1, .q5_1, .q2_K, .q4_K, .q5_K].contains(type))
    }

    @Test func theFaultOfIQ3_SShows() throws {
        let numbers = try Self.numbers(of: "zeros", .iq3_s)
        let good = try #require(numbers["rmse_of_others"])
        let bad = try #require(numbers["rmse_of_others_behind_zeros"])
        let size = try #require(numbers["rms_of_others"])
        #expect(bad > 3 * good && good < 0.5 * size)
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
            #expect(explanation.source == "\(tensor.name) (Q4_1) of \(file.path)")
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
        #expect(explanation.claims.contains { $0.claim.contains("zero point") } == id.contains("affine"))
    }

    @Test func aZeroPointIsExactAndAMinimumIsNot() throws {
        let explanation = SchemeExplanation(try #require(TeachingSchemes.named("int4-affine-32")))
        let claim = try #require(explanation.claims.first { $0.claim.contains("zero point") })
        let numbers = Dictionary(uniqueKeysWithValues: claim.numbers.map { ($0.name, $0.value) })
        #expect(numbers["groups"] == 32 && numbers["q4_1_blocks"] == 32)
        #expect(try #require(numbers["q4_1_zero_exact"]) < 32)
        #expect(numbers["q4_1_nearest_to_zero"] != 0)
    }

    @Test func unknownFormatsAreRefused() {
        #expect(throws: BlockProblem.self) { try FormatExplanation(named: "Q4_2") }
        #expect(throws: BlockProblem.self) { try FormatExplanation(named: "I32") }
    }

    private static func numbers(of claim: String, _ type: TensorType) throws -> [String: Double] {
        let found = try FormatExplanation(named: type.name).claims.first { $0.claim.contains(claim) }
        return Dictionary(uniqueKeysWithValues: try #require(found).numbers.map { ($0.name, $0.value) })
    }
}
