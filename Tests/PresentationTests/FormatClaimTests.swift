import Presentation
import Quantization
import Quantizing
import Tensors
import Testing

/// What is often said of formats, held against numbers made here and now.
@Suite struct FormatClaimTests {
    /// Who changes the examples must see that the sentences still hold.
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

    @Test(arguments: BlockFormats.all.map(\.type)) func claimsAreMadeOfTheFormatsTheyAreAbout(type: TensorType) throws {
        let claims = FormatReport(try FormatExplanation(named: type.name)).claims.map(\.claim)
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

    @Test func aZeroPointIsExactAndAMinimumIsNot() throws {
        let report = SchemeReport(SchemeExplanation(try #require(TeachingSchemes.named("int4-affine-32"))))
        let claim = try #require(report.claims.first { $0.claim.contains("zero point") })
        let numbers = claim.numbers
        #expect(numbers["groups"] == 32 && numbers["q4_1_blocks"] == 32)
        #expect(try #require(numbers["q4_1_zero_exact"]) < 32)
        #expect(numbers["q4_1_nearest_to_zero"] != 0)
    }

    @Test(arguments: TeachingSchemes.all.map(\.id)) func zeroPointsAreExplainedWhereThereAreAny(id: String) throws {
        let report = SchemeReport(SchemeExplanation(try #require(TeachingSchemes.named(id))))
        #expect(report.claims.contains { $0.claim.contains("zero point") } == id.contains("affine"))
    }

    private static func numbers(of claim: String, _ type: TensorType) throws -> [String: Double] {
        let claims = FormatReport(try FormatExplanation(named: type.name)).claims
        return try #require(claims.first { $0.claim.contains(claim) }).numbers
    }
}
