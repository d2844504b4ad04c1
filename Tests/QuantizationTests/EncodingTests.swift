import Foundation
import Quantization
import Tensors
import Testing

/// Encoded weights against what `ggml_quantize_chunk` made of the same rows; see `make_encodings.py`.
@Suite struct EncodingTests {
    static let formats = Format.all.filter { $0.format is any EncodableFormat }

    @Test(arguments: formats) func encodesToTheByte(_ argument: Format) throws {
        let format = try #require(argument.format as? any EncodableFormat)
        guard format.type != .f32 else { return }
        let golden = try GoldenEncodings(format.type)
        for row in golden.rows {
            if let hash = row.plain {
                #expect(fnv1a(format.encoded(row.input, importance: nil)) == hash, "row '\(row.name)'")
            }
            if let hash = row.weighted {
                let importance = Array(golden.importance.prefix(row.input.count))
                #expect(
                    fnv1a(format.encoded(row.input, importance: importance)) == hash,
                    "row '\(row.name)', with importance")
            }
            #expect(row.plain != nil || row.weighted != nil)
        }
    }

    /// `quantize_row_iq4_nl_ref`, which is not what `ggml_quantize_chunk` does.
    @Test func oneTryOfIQ4_NLToTheByte() throws {
        var hashes = try Reader(file: "references.bin")
        let format = FormatIQ4_NL()
        var differing = 0
        for row in try GoldenEncodings(.iq4_nl).rows {
            var bytes = [UInt8](repeating: 0xaa, count: row.input.count / 32 * 18)
            var elements = bytes.mutableSpan
            var span = elements.mutableBytes
            format.encodeReference(row.input.span, into: &span)
            #expect(fnv1a(bytes) == (try hashes.read(UInt64.self)), "row '\(row.name)'")
            if bytes != format.encoded(row.input, importance: nil) { differing += 1 }
        }
        #expect(differing > 0)
    }

    @Test(arguments: formats) func importanceIsUsedAsItSays(_ argument: Format) throws {
        let format = try #require(argument.format as? any EncodableFormat)
        guard format.type != .f32 else { return }
        let golden = try GoldenEncodings(format.type)
        let row = try #require(golden.rows.first { $0.name == "3 blocks" })
        let plain = format.encoded(row.input, importance: nil)
        let weighted = format.encoded(row.input, importance: Array(golden.importance.prefix(row.input.count)))
        switch format.importance {
        case .ignored: #expect(plain == weighted)
        case .optional: #expect(plain != weighted)
        case .required:
            let ones = [Float](repeating: 1, count: row.input.count)
            #expect(plain == format.encoded(row.input, importance: ones))
        }
    }

    /// Decoded, the codes are nearer to the weights than nothing is.
    @Test(arguments: formats) func decodedValuesResembleTheWeights(_ argument: Format) throws {
        let format = try #require(argument.format as? any EncodableFormat)
        let row = try #require(try GoldenEncodings(.q4_0).rows.first { $0.name == "3 blocks" })
        let decoded = format.decoded(format.encoded(row.input, importance: nil), count: row.input.count)
        let error = zip(row.input, decoded).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        let size = row.input.reduce(0) { $0 + $1 * $1 }
        // Ternary formats scale by the largest weight; they are for networks trained that way.
        let limit: Float = [.tq1_0, .tq2_0, .q2_0].contains(format.type) ? 1 : 0.5
        #expect(error < limit * size)
    }

    @Test(arguments: formats) func nothingFiniteIsNeededToEncodeWeights(_ argument: Format) throws {
        let format = try #require(argument.format as? any EncodableFormat)
        let plain = (0..<512).map { Float($0 % 17) - 8 }
        for strange in [Float.nan, -.nan, .infinity, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude] {
            var one = plain
            one[77] = strange
            for values in [one, [Float](repeating: strange, count: 512)] {
                _ = format.encoded(values, importance: nil)
                _ = format.encoded(values, importance: [Float](repeating: 1, count: 512))
                _ = format.encoded(plain, importance: values)
            }
        }
    }

    @Test func nonFiniteWeightsAreFound() {
        #expect(firstNonFinite([Float]().span) == nil)
        #expect(firstNonFinite([1, -.greatestFiniteMagnitude, .leastNonzeroMagnitude].span) == nil)
        #expect(firstNonFinite([1, 2, -.infinity, .nan].span) == 2)
        #expect(firstNonFinite([.nan].span) == 0)
    }

    @Test func everyTypeOfGgmlIsKnown() {
        let integers: Set<TensorType> = [.i8, .i16, .i32, .i64, .f64]
        for type in TensorType.allCases where !integers.contains(type) {
            #expect(BlockFormats.format(for: type) != nil, "\(type)")
        }
    }
}

/// The hashes of `encodings.bin`.
struct GoldenEncodings {
    let importance: [Float]
    let rows: [(name: String, input: [Float], plain: UInt64?, weighted: UInt64?)]

    init(_ type: TensorType) throws {
        var inputs = try Reader(file: "inputs.bin")
        let inputRows = try (0..<inputs.read(UInt32.self)).map { _ in
            (try inputs.readString(), try inputs.readArray(of: Float.self, count: Int(inputs.read(UInt32.self))))
        }
        var importance = try Reader(file: "importance.bin")
        self.importance = try importance.readArray(of: Float.self, count: 4096)
        var file = try Reader(file: "encodings.bin")
        var hashes: [UInt64]?
        for _ in 0..<(try file.read(UInt32.self)) {
            let name = try file.readString()
            let found = try file.readArray(of: UInt64.self, count: 2 * inputRows.count)
            if name == type.name { hashes = found }
        }
        let found = try #require(hashes, "encodings.bin has no \(type)")
        rows = inputRows.enumerated().map { i, row in
            (row.0, row.1, found[2 * i] == 0 ? nil : found[2 * i], found[2 * i + 1] == 0 ? nil : found[2 * i + 1])
        }
    }
}

extension EncodableFormat {
    func encoded(_ values: [Float], importance: [Float]?) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xaa, count: type.rowBytes(values.count)!)
        var elements = bytes.mutableSpan
        var span = elements.mutableBytes
        encode(values.span, importance: importance?.span, into: &span)
        return bytes
    }
}
