import ComputeGraph
import Operations
import Tensors
import TestSupport
import Testing

/// What each shape rule accepts, and inputs that differ from that in one thing each, which it must refuse.
@Suite struct ShapeRuleTests {
    struct Rule: Sendable, CustomTestStringConvertible {
        let operation: any ComputeGraph.Operation
        let accepted: [Layout]
        let output: Output
        /// Inputs, and a part of what the error must say was expected.
        let refused: [([Layout], String)]
        var testDescription: String { operation.kind }
    }

    private static func f32(_ ne: Int...) -> Layout { Layout(.f32, Shape(ne)) }
    private static func f16(_ ne: Int...) -> Layout { Layout(.f16, Shape(ne)) }
    private static func i32(_ ne: Int...) -> Layout { Layout(.i32, Shape(ne)) }
    private static func i64(_ ne: Int...) -> Layout { Layout(.i64, Shape(ne)) }
    /// F32 whose rows have gaps between their elements.
    private static let gapped = Layout(type: .f32, shape: Shape(8, 3), strides: .init(8, 64, 192, 192))
    /// F32 whose rows are whole but lie apart.
    private static let apart = Layout(type: .f32, shape: Shape(8, 3), strides: .init(4, 64, 192, 192))

    private static let rotation = RoPE(Reference.Rotation().parameters)

    static let rules: [Rule] = [
        Rule(
            operation: GetRows(), accepted: [Layout(.q4_1, Shape(64, 10)), i32(3)], output: Output(f32(64, 3)),
            refused: [
                ([f32(8, 10)], "2 inputs, got 1"), ([f32(8, 10), i64(3)], "I32"),
                ([f32(8, 10), i32(3, 2)], "a table for each column"),
                ([f32(8, 10, 2), i32(3)], "a table for each column"), ([f32(8, 10), i32(3, 1, 1, 2)], "I32 [T]"),
                ([Layout(.f64, Shape(256, 2)), i32(3)], "decoded"),
            ]),
        Rule(
            operation: RMSNorm(epsilon: 1e-5), accepted: [apart], output: Output(f32(8, 3)),
            refused: [([], "1 inputs, got 0"), ([f16(8, 3)], "F32"), ([gapped], "contiguous rows")]),
        Rule(
            operation: Mul(), accepted: [f32(8, 6), f32(4, 3)], output: Output(f32(8, 6)),
            refused: [
                ([f32(8)], "2 inputs, got 1"), ([f32(8), f16(8)], "input 1"), ([f16(8), f32(8)], "input 0"),
                ([f32(8), f32(3)], "repeated"), ([f32(8), f32(16)], "repeated"), ([f32(8, 3), f32(8, 2)], "repeated"),
            ]),
        Rule(
            operation: Scale(by: 2), accepted: [apart], output: Output(f32(8, 3)),
            refused: [([], "1 inputs, got 0"), ([f16(8, 3)], "F32"), ([gapped], "contiguous rows")]),
        Rule(
            operation: Add(), accepted: [f32(8, 6), f32(8)], output: Output(f32(8, 6)),
            refused: [([f32(8), f32(8), f32(8)], "2 inputs, got 3"), ([f32(8), f32(8, 2)], "repeated")]),
        Rule(
            operation: MatMul(), accepted: [Layout(.q4_1, Shape(64, 10, 3)), f32(64, 5, 9)],
            output: Output(f32(10, 5, 9)),
            refused: [
                ([f32(8, 2)], "2 inputs, got 1"), ([f32(8, 2), f16(8, 2)], "input 1"),
                ([f32(8, 2), f32(9, 2)], "rows of one length"), ([f32(8, 2, 2), f32(8, 2, 3)], "multiple"),
                ([f32(8, 2, 3), f32(8, 2, 2)], "multiple"), ([f32(8, 2, 1, 2), f32(8, 2, 1, 3)], "multiple"),
                ([gapped, f32(8, 2)], "contiguous"), ([Layout(.f64, Shape(256, 2)), f32(256, 2)], "multiplied"),
            ]),
        Rule(
            operation: Reshape(Shape(4, 2, 3)), accepted: [f32(8, 3)],
            output: Output(f32(4, 2, 3), .view(slot: 0, byteOffset: 0)),
            refused: [([f32(8, 4)], "24 elements"), ([apart], "contiguous"), ([f32(8, 3), f32(1)], "1 inputs, got 2")]),
        Rule(
            operation: rotation, accepted: [f32(16, 3, 5), i32(5), f32(8)], output: Output(f32(16, 3, 5)),
            refused: [
                ([f32(16, 3, 5)], "positions"), ([f32(16, 3, 5), i32(4)], "a position for each token"),
                ([f32(16, 3, 5), i64(5)], "a position for each token"),
                ([f32(14, 3, 5), i32(5)], "heads of at least 16 values"),
                ([f16(16, 3, 5), i32(5)], "F32"),
                ([f32(16, 3, 5), i32(5), f32(7)], "a frequency factor for each pair"),
                ([f32(16, 3, 5), i32(5), f16(8)], "input 2"),
            ]),
        Rule(
            operation: View(Shape(4, 3), strides: .init(4, 32, 96, 96), byteOffset: 16), accepted: [f32(8, 3)],
            output: Output(
                Layout(type: .f32, shape: Shape(4, 3), strides: .init(4, 32, 96, 96)), .view(slot: 0, byteOffset: 16)),
            refused: [([f32(8, 2)], "from byte 16"), ([f16(8, 3)], "from byte 16"), ([], "1 inputs, got 0")]),
        Rule(
            operation: SetRows(), accepted: [f32(6, 2), i64(2), f16(6, 8)],
            output: Output(f16(6, 8), .inPlace(slot: 2)),
            refused: [
                ([f32(6, 2), i64(2)], "3 inputs, got 2"), ([f32(6, 2), i32(2), f16(6, 8)], "an index for each row"),
                ([f32(6, 2), i64(3), f16(6, 8)], "an index for each row"),
                ([f32(6, 2), i64(2), f16(5, 8)], "one length"),
                ([f32(6, 2), i64(2), f32(6, 8)], "F16 destination"), ([f16(6, 2), i64(2), f16(6, 8)], "F32"),
                ([gapped, i64(3), f16(8, 8)], "contiguous rows"),
                ([f32(6, 2, 2), i64(2), f16(6, 8)], "two dimensions"),
                (
                    [
                        f32(8, 3), i64(3),
                        Layout(type: .f16, shape: Shape(8, 8), strides: .init(2, 32, 256, 256)),
                    ], "a contiguous destination"
                ),
            ]),
        Rule(
            operation: Permute([2, 0, 3, 1]), accepted: [f32(2, 3, 4, 5)],
            output: Output(
                Layout(type: .f32, shape: Shape(3, 5, 2, 4), strides: .init(8, 96, 4, 24)),
                .view(slot: 0, byteOffset: 0)),
            refused: [([], "1 inputs, got 0")]),
        Rule(
            operation: SoftMax(scale: 1), accepted: [f32(7, 3, 4), f32(7, 3)], output: Output(f32(7, 3, 4)),
            refused: [
                ([], "scores, an optional mask and optional sinks"), ([f16(7, 3)], "input 0"),
                ([f32(7, 3, 4), f32(8, 3)], "mask"),
                ([f32(7, 3, 4), f32(7, 2)], "mask"),
                ([f32(7, 3, 4), f32(7, 3, 3)], "mask"), ([f32(7, 3, 4), f16(7, 3)], "input 1"),
                ([f32(7, 3, 4), f32(7, 3), f32(3)], "a sink for each head"),
            ]),
        Rule(
            operation: Cont(Shape(8, 3)), accepted: [apart], output: Output(f32(8, 3)),
            refused: [([f32(8, 4)], "24 elements"), ([i32(8, 3)], "F32 or F16")]),
        Rule(
            operation: SwiGLU(), accepted: [f32(8, 3), apart], output: Output(f32(8, 3)),
            refused: [([], "one input or two"), ([f32(8), f32(9)], "one shape"), ([f32(8), f16(8)], "input 1")]),
        Rule(
            operation: LayerNorm(epsilon: 1e-5), accepted: [apart], output: Output(f32(8, 3)),
            refused: [([], "1 inputs, got 0"), ([f16(8, 3)], "F32"), ([gapped], "contiguous rows")]),
        Rule(
            operation: GEGLU(), accepted: [f32(8, 3)], output: Output(f32(4, 3)),
            refused: [([f32(7, 3)], "an even number"), ([f32(8), f32(9)], "one shape"), ([f16(8)], "input 0")]),
        Rule(
            operation: GELU(), accepted: [apart], output: Output(f32(8, 3)),
            refused: [([], "1 inputs, got 0"), ([f16(8, 3)], "F32")]),
        Rule(
            operation: Tanh(), accepted: [apart], output: Output(f32(8, 3)),
            refused: [([], "1 inputs, got 0"), ([f16(8, 3)], "F32")]),
    ]

    /// Those of routers and experts.
    private static let expertRules: [Rule] = [
        Rule(
            operation: ArgSort(), accepted: [apart], output: Output(i32(8, 3)),
            refused: [([], "1 inputs, got 0"), ([f16(8, 3)], "F32"), ([gapped], "contiguous rows")]),
        Rule(
            operation: MatMulID(), accepted: [Layout(.q4_1, Shape(64, 10, 6)), f32(64, 1, 5), i32(2, 5)],
            output: Output(f32(10, 2, 5)),
            refused: [
                ([f32(8, 2, 4), f32(8, 1, 5)], "3 inputs, got 2"),
                ([f32(8, 2, 4), f16(8, 1, 5), i32(2, 5)], "input 1"),
                ([f32(8, 2, 4), f32(9, 1, 5), i32(2, 5)], "rows of one length"),
                ([f32(8, 2, 4), f32(8, 1, 5), i64(2, 5)], "I32 [U,T]"),
                ([f32(8, 2, 4), f32(8, 1, 5), i32(2, 5, 2)], "I32 [U,T]"),
                ([f32(8, 2, 4), f32(8, 1, 5), i32(2, 4)], "experts for each token"),
                ([f32(8, 2, 4), f32(8, 2, 5), i32(3, 5)], "experts for each token"),
                ([gapped, f32(8, 1, 5), i32(2, 5)], "contiguous"),
                ([f32(8, 2, 4, 2), f32(8, 1, 5), i32(2, 5)], "one matrix for each expert"),
                ([Layout(.f64, Shape(256, 2, 4)), f32(256, 1, 5), i32(2, 5)], "multiplied"),
            ]),
        Rule(
            operation: AddID(), accepted: [f32(8, 2, 5), f32(8, 4), i32(2, 5)], output: Output(f32(8, 2, 5)),
            refused: [
                ([f32(8, 2, 5), f32(8, 4)], "3 inputs, got 2"), ([f32(8, 2, 5), f32(7, 4), i32(2, 5)], "one length"),
                ([f32(8, 2, 5), f32(8, 4), i32(3, 5)], "an expert for each"),
                ([f32(8, 2, 5), f16(8, 4), i32(2, 5)], "input 1"),
            ]),
        Rule(
            operation: SwiGLUOAI(), accepted: [f32(8, 3), apart], output: Output(f32(8, 3)),
            refused: [([], "one input or two"), ([f32(8), f32(9)], "one shape")]),
        Rule(
            operation: SumRows(), accepted: [apart], output: Output(f32(1, 3)),
            refused: [([], "1 inputs, got 0"), ([f16(8, 3)], "F32"), ([gapped], "contiguous rows")]),
        Rule(
            operation: Clamp(low: 0), accepted: [apart], output: Output(f32(8, 3)),
            refused: [([], "1 inputs, got 0"), ([f16(8, 3)], "F32")]),
        Rule(
            operation: Div(), accepted: [f32(8, 3), f32(1, 3)], output: Output(f32(8, 3)),
            refused: [([f32(8)], "2 inputs, got 1"), ([f32(8, 3), f32(8, 2)], "repeated")]),
        Rule(
            operation: Silu(), accepted: [apart], output: Output(f32(8, 3)),
            refused: [([f32(8), f32(8)], "1 inputs, got 2"), ([gapped], "contiguous rows")]),
        Rule(
            operation: Sigmoid(), accepted: [apart], output: Output(f32(8, 3)),
            refused: [([], "1 inputs, got 0"), ([f16(8, 3)], "F32")]),
        Rule(
            operation: Fill(with: 1), accepted: [gapped], output: Output(f32(8, 3)),
            refused: [([], "1 inputs, got 0"), ([i32(8, 3)], "F32")]),
        Rule(
            operation: Concat(), accepted: [f32(6, 4, 5), f32(2, 4, 5)], output: Output(f32(8, 4, 5)),
            refused: [
                ([f32(6, 4)], "2 inputs, got 1"), ([f32(6, 4), f32(6, 3)], "as many rows"),
                ([f32(6, 4), f16(6, 4)], "input 1"),
            ]),
        Rule(
            operation: Repeat(to: Shape(8, 4, 3)), accepted: [f32(8, 1, 3)], output: Output(f32(8, 4, 3)),
            refused: [([], "1 inputs, got 0"), ([f32(8, 3, 3)], "fills 8x4x3"), ([f16(8, 1, 3)], "F32")]),
        Rule(
            operation: Transpose(), accepted: [f16(2, 3, 4)],
            output: Output(
                Layout(type: .f16, shape: Shape(3, 2, 4), strides: .init(4, 2, 12, 48)), .view(slot: 0, byteOffset: 0)),
            refused: [([], "1 inputs, got 0"), ([Layout(.q8_0, Shape(32, 2))], "single numbers")]),
    ]

    @Test func everyKindHasARule() {
        let kinds = (Self.rules + Self.expertRules).map { $0.operation.kind }
        #expect(kinds.sorted() == OperationCatalog.all.map { $0.kind }.sorted())
    }

    /// Ratings are written into a copy, for each token by itself.
    @Test func rowsOfACopy() throws {
        let operation = SetRows(inPlace: false)
        let accepted = [Self.f32(6, 2, 3), Self.i32(2, 3), Self.f32(6, 8, 3)]
        #expect(try operation.output(for: accepted) == Output(Self.f32(6, 8, 3)))
        for refused in [
            [Self.f32(6, 2, 3), Self.i64(2, 3), Self.f32(6, 8, 3)],
            [Self.f32(6, 2, 3), Self.i32(2), Self.f32(6, 8, 3)],
            [Self.f32(6, 2, 3), Self.i32(2, 3), Self.f32(6, 8)],
            [Self.f32(6, 2, 3), Self.i32(2, 3), Self.f16(6, 8, 3)],
        ] { #expect(throws: GraphError.self) { try operation.output(for: refused) } }
    }

    @Test(arguments: rules + expertRules)
    func accepted(rule: Rule) throws {
        #expect(try rule.operation.output(for: rule.accepted) == rule.output)
    }

    @Test(arguments: rules + expertRules)
    func refused(rule: Rule) throws {
        for (inputs, expectation) in rule.refused {
            let thrown = #expect(throws: GraphError.self, "\(inputs)") { try rule.operation.output(for: inputs) }
            guard case .shape(let kind, let found, let expected) = try #require(thrown) else { return }
            #expect(kind == rule.operation.kind && found == inputs)
            #expect(expected.contains(expectation), "\(expected)")
            // Found and expected, both in words.
            let description = try #require(thrown).description
            #expect(description.hasPrefix("\(kind) of (\(inputs.map(\.description).joined(separator: ", ")))"))
            #expect(description.hasSuffix("expected \(expected)"))
        }
    }
}
