import Quantizing
import Testing

/// `REGEX=TYPE`: expressions that are found, or not, in a moment.
@Suite struct TypeOverrideTests {
    @Test(arguments: [
        #"blk\.(1|2)\..*ffn_.*weight"#, "attn_(?:q|k)", #"[*+?({]*\*\(\{"#, #"blk\.\d+\.attn_.*?weight"#, "(ab)+",
        "a|b|c",
    ])
    func ordinaryExpressionsAreTaken(pattern: String) throws {
        #expect(try TypeOverride(parsing: pattern + "=Q8_0").pattern == pattern)
    }

    @Test(arguments: [
        "(.*.*.*.*.*.*.*.*)*zz", "(.*)+x", "((a|a)*)*", "(.|.)*zz", "(.?.?)*z", ".*.*.*.*.*z", "(a{0,9}){0,9}",
    ])
    func expressionsThatTakeForEverAreRefused(pattern: String) {
        #expect(throws: QuantizeProblem.slowExpression(pattern)) { try TypeOverride(parsing: pattern + "=Q8_0") }
    }
}
