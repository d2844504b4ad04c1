import Analysis
import Quantization
import Tensors
import Testing

@Suite struct FormatExplanationTests {
    static let types: [TensorType] = [
        .f32, .f16, .bf16, .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .q2_K, .q3_K, .q4_K, .q5_K, .q6_K,
    ]

    @Test(arguments: types) func theExampleIsMadeByTheFormat(type: TensorType) throws {
        let explanation = try FormatExplanation(named: type.name.lowercased())
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
        #expect(claims.contains { $0.contains("K means") } == type.name.hasSuffix("_K"))
        #expect(claims.contains { $0.contains("zero point") } == [.q4_1, .q5_1, .q2_K, .q4_K, .q5_K].contains(type))
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
