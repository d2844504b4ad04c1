import Quantization
import Tensors
import TestSupport
import Testing

/// The kernels in C against the reference in Swift: the same bits, for every set this processor runs.
@Suite struct KernelTests {
    static let sets = InstructionSet.allCases.filter { $0 != .reference && $0.isAvailable }

    struct Case: Sendable, CustomTestStringConvertible {
        let set: InstructionSet
        let format: any BlockFormat
        var testDescription: String { "\(set) \(format.type)" }
    }

    static let cases = sets.flatMap { set in
        BlockFormats.weights.filter { ProductKernel(for: $0, on: set) != nil }.map { Case(set: set, format: $0) }
    }

    @Test func everySetMultipliesTheSameFormats() {
        let types: [TensorType] = [
            .f32, .f16, .bf16, .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .q2_K, .q3_K, .q4_K, .q5_K, .q6_K, .iq4_nl, .iq4_xs,
            .mxfp4,
        ]
        for set in Self.sets {
            #expect(Set(Self.cases.filter { $0.set == set }.map(\.format.type)) == Set(types))
        }
        #expect(Self.sets.contains(.portable))
        #expect(ProductKernel(for: FormatQ4_0(), on: .reference) == nil)
        #expect(InstructionSet.best.isAvailable)
    }

    @Test(arguments: cases)
    func productsAreTheReferences(example: Case) throws {
        var random = SeededGenerator(seed: 11)
        let block = example.format.type.blockElements
        // Rows in fours with neighbours, whole tiles, rests of rows and tokens, more than one tile of columns, and for
        // floats rows that end anywhere.
        let counts = block == 1 ? [1, 7, 16, 40, 64, 100, 1100] : [block, 3 * block, 2048 + 2 * block]
        for count in counts {
            for (rows, tokens) in [(1, 1), (18, 1), (5, 2), (8, 4), (9, 6), (35, 5), (11, 7), (3, 133)]
            where count < 2000 || tokens < 100 {
                let product = try RandomProduct(example.format, rows, tokens, count, using: &random)
                for order in orders(of: example.format.type) {
                    let expected = product.reference(order)
                    let found = try #require(product.result(on: example.set, order))
                    try #require(found.count == expected.count, "elements between tokens were written")
                    let same = zip(expected, found).allSatisfy {
                        $0.bitPattern == $1.bitPattern || $0.isNaN && $1.isNaN
                    }
                    #expect(same, "\(rows) rows, \(tokens) tokens, \(count) values, \(order)")
                }
            }
        }
    }

    private func orders(of type: TensorType) -> [SummationOrder] {
        guard type.blockElements == 1 else { return [.single] }
        return [false, true].flatMap { tile in
            [false, true].map { SummationOrder(isTile: tile, isPadded: $0) }
        }
    }

    @Test(arguments: sets)
    func activationsAreTheReferences(set: InstructionSet) throws {
        var random = SeededGenerator(seed: 12)
        let special: [Float] = [
            .nan, .infinity, -.infinity, .leastNonzeroMagnitude, 1e-38, -3e-37, 65504, 65520, 1e38, -0.0,
        ]
        for type in [TensorType.q8_0, .q8_1, .q8_K, .f16, .bf16, .f32] {
            let format = try #require(BlockFormats.activationFormat(for: type))
            var rows = [1e-30, 1e-6, 1, 1e4, 1e30].map { scale in random.floats(512).map { $0 * scale } }
            rows.append([Float](repeating: 0, count: 512))
            for value in special {
                rows.append(random.floats(512))
                rows[rows.count - 1][300] = value
                rows.append([Float](repeating: 0, count: 512))
                rows[rows.count - 1][17] = value
            }
            for row in rows {
                var (expected, found) = ([UInt8](repeating: 0, count: type.rowBytes(512)!), [UInt8]())
                found = expected
                write(row, into: &expected) { format.encodeActivations($0, into: &$1) }
                write(row, into: &found) { ActivationEncoder(format, on: set).encode($0, into: &$1) }
                #expect(expected == found, "\(type), \(row.max()!)")
            }
        }
    }

    private func write(
        _ row: [Float], into bytes: inout [UInt8], _ encode: (Span<Float>, inout MutableRawSpan) -> Void
    ) {
        var elements = bytes.mutableSpan
        var span = elements.mutableBytes
        encode(row.span, &span)
    }
}

/// Rows of weights and activations at random, some of them with blocks of zeros, outliers and bytes that mean nothing.
private struct RandomProduct {
    let format: any BlockFormat
    let rows: Int
    let tokens: Int
    let count: Int
    let weights: [UInt8]
    let activations: [UInt8]
    /// Longer than a row: rows need not follow each other.
    let stride: Int

    init(
        _ format: any BlockFormat, _ rows: Int, _ tokens: Int, _ count: Int, using random: inout SeededGenerator
    ) throws {
        (self.format, self.rows, self.tokens, self.count) = (format, rows, tokens, count)
        stride = format.type.rowBytes(count)! + 4 * format.type.blockBytes
        var weights: [UInt8] = []
        for row in 0..<rows {
            weights += try Self.row(row, format, count, using: &random)
            weights += [UInt8](repeating: 0xff, count: 4 * format.type.blockBytes)
        }
        self.weights = weights
        let encoder = try #require(BlockFormats.activationFormat(for: format.activationType))
        activations = (0..<tokens).flatMap { token in
            Self.encode(random.floats(count).map { $0 * (token % 3 == 2 ? 1e-4 : 30) }, encoder)
        }
    }

    private static func row(
        _ number: Int, _ format: any BlockFormat, _ count: Int, using random: inout SeededGenerator
    ) throws -> [UInt8] {
        if number % 4 == 3, format.type.blockElements > 1 {
            return (0..<format.type.rowBytes(count)!).map { _ in UInt8.random(in: 0...255, using: &random) }
        }
        var values = random.floats(count).map { $0 * [1e-8, 1, 1e4][number % 3] }
        for i in 0..<min(count, 32) where number % 5 == 1 { values[i] = 0 }
        values[count / 2] *= 1000
        let encodable = try #require(format as? any EncodableFormat)
        var bytes = [UInt8](repeating: 0, count: format.type.rowBytes(count)!)
        var elements = bytes.mutableSpan
        var span = elements.mutableBytes
        encodable.encode(values.span, importance: nil, into: &span)
        return bytes
    }

    private static func encode(_ values: [Float], _ format: any ActivationFormat) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: format.type.rowBytes(values.count)!)
        var elements = bytes.mutableSpan
        var span = elements.mutableBytes
        format.encodeActivations(values.span, into: &span)
        return bytes
    }

    private var tokenBytes: Int { format.activationType.rowBytes(count)! }

    /// Token by token, each with all rows.
    func reference(_ order: SummationOrder) -> [Float] {
        (0..<tokens).flatMap { token in
            var output = [Float](repeating: 0, count: rows)
            var span = output.mutableSpan
            let bytes = weights.span.bytes.extracting(0..<(rows - 1) * stride + format.type.rowBytes(count)!)
            let row = activations.span.bytes.extracting(token * tokenBytes..<(token + 1) * tokenBytes)
            format.dotRows(bytes, stride: stride, row, count: count, order: order, into: &span)
            return output
        }
    }

    func result(on set: InstructionSet, _ order: SummationOrder) -> [Float]? {
        guard let kernel = ProductKernel(for: format, on: set) else { return nil }
        let group = kernel.preparedTokens
        let bytes = kernel.preparedBytes(count: count, tokens: tokens)
        // What is not written must not matter.
        var prepared = [UInt8](repeating: 0xff, count: bytes * ((tokens + group - 1) / group))
        for first in Swift.stride(from: 0, to: bytes > 0 ? tokens : 0, by: group) {
            var elements = prepared.mutableSpan
            var all = elements.mutableBytes
            var part = all._mutatingExtracting(first / group * bytes..<(first / group + 1) * bytes)
            let some = min(group, tokens - first)
            kernel.prepare(
                activations.span.bytes.extracting(first * tokenBytes..<(first + some) * tokenBytes),
                stride: tokenBytes, tokens: some, of: tokens, count: count, into: &part)
        }
        // A gap between tokens that must stay as it is.
        var output = [Float](repeating: 7, count: tokens * (rows + 2))
        var span = output.mutableSpan
        kernel.multiply(
            weights.span.bytes, activations.span.bytes, prepared: prepared.span.bytes,
            ProductKernel.Sizes(
                rows: rows, tokens: tokens, count: count, weightStride: stride, activationStride: tokenBytes,
                outputStride: rows + 2, order: order), into: &span)
        return (0..<tokens).flatMap { token -> [Float] in
            let start = token * (rows + 2)
            return output[start + rows..<start + rows + 2] == [7, 7] ? Array(output[start..<start + rows]) : []
        }
    }
}
