import Quantization
import Tensors
import Testing

/// A format as a test argument, shown by its name.
struct Format: CustomTestStringConvertible {
    let format: any BlockFormat
    var testDescription: String { format.type.name }

    static let all = BlockFormats.all.map(Format.init)
    static let activations = all.filter { $0.format is any ActivationFormat }
}

@Suite struct BlockFormatTests {
    @Test(arguments: Format.all) func blocksHaveGgmlsSizeAndNoAlignment(_ argument: Format) {
        func check<F: BlockFormat>(_ format: F) {
            #expect(MemoryLayout<F.Block>.size == format.type.blockBytes)
            #expect(MemoryLayout<F.Block>.stride == format.type.blockBytes)
            #expect(MemoryLayout<F.Block>.alignment == 1)
        }
        check(argument.format)
    }

    @Test func everyFormatIsFoundByItsType() {
        #expect(Set(BlockFormats.all.map(\.type)).count == BlockFormats.all.count)
        for format in BlockFormats.all {
            #expect(BlockFormats.format(for: format.type)?.type == format.type)
            #expect(BlockFormats.activationFormat(for: format.activationType)?.type == format.activationType)
        }
        #expect(BlockFormats.format(for: .i32) == nil)
        #expect(BlockFormats.activationFormat(for: .q4_0) == nil)
    }

    @Test(arguments: Format.all) func decodesToTheBit(_ argument: Format) throws {
        let format = argument.format
        for row in try GoldenVectors(format.type).rows {
            guard let hash = row.decodedHash else { continue }
            let decoded = format.decoded(format.weights(of: row), count: row.input.count)
            #expect(decoded.withUnsafeBytes { fnv1a($0) } == hash, "row '\(row.name)'")
        }
    }

    /// Types whose kernels add up in another order than `FloatLanes`: two blocks at a time, or the portable loop.
    private static let summedOtherwise: Set<TensorType> = [
        .iq4_nl, .mxfp4, .q1_0, .q2_0, .tq1_0, .tq2_0, .iq1_s, .iq1_m,
    ]

    /// Quantised rows to the bit. Unquantised ones follow the order of the AVX-512 build (`SummationOrderTests`), which
    /// these vectors are not from.
    @Test(arguments: Format.all) func multipliesLikeGgml(_ argument: Format) throws {
        let format = argument.format
        let activation = try #require(BlockFormats.activationFormat(for: format.activationType))
        var compared = 0
        for row in try GoldenVectors(format.type).rows {
            guard let terms = row.terms, row.decodedHash != nil else { continue }
            let activations = activation.encoded(row.input)
            let dot = format.dot(format.weights(of: row), activations, count: row.input.count)
            if !format.type.isPlain, !Self.summedOtherwise.contains(format.type) {
                #expect(dot.bitPattern == row.dot.bitPattern, "row '\(row.name)': \(dot), ggml's AVX2 \(row.dot)")
            }
            // Equal where sums in Q8_1 are too large for F16 and everyone gets infinity.
            let error = dot == row.genericDot ? 0 : Double(abs(dot - row.genericDot))
            #expect(error <= 1e-6 * terms, "row '\(row.name)': \(dot), ggml's portable code \(row.genericDot)")
            compared += 1
        }
        #expect(compared > 0 || format.type == .q8_1 || format.type == .q8_K)
    }

    @Test(arguments: Format.activations) func encodesActivationsToTheBit(_ argument: Format) throws {
        let format = try #require(argument.format as? any ActivationFormat)
        guard format.type != .f32 else { return }
        for row in try GoldenActivations(format.type).rows {
            let encoded = format.encoded(row.input)
            if let bytes = row.bytes { #expect(encoded == bytes, "row '\(row.name)'") }
            if let hash = row.hash { #expect(fnv1a(encoded) == hash, "row '\(row.name)'") }
        }
    }

    /// Independent of ggml: decoded values, multiplied and added up in Double. Rows of very small and large numbers are
    /// left out: F16 scales and sums cannot hold theirs.
    @Test(arguments: Format.all) func productsAreThoseOfDecodedValues(_ argument: Format) throws {
        let format = argument.format
        let activation = try #require(BlockFormats.activationFormat(for: format.activationType))
        for row in try GoldenVectors(format.type).rows {
            let magnitude = row.input.reduce(0) { max($0, abs($1)) }
            guard (0.01...2000).contains(magnitude) else { continue }
            let (weights, activations) = (format.weights(of: row), activation.encoded(row.input))
            let count = row.input.count
            let left = format.decoded(weights, count: count)
            let right = activation.decoded(activations, count: count)
            let products = zip(left, right).map { Double($0) * Double($1) }
            let scale = max(row.terms ?? 0, products.reduce(0) { $0 + abs($1) })
            // The sum in Q8_1 is rounded to F16, which decoded values do not show.
            let tolerance = format.activationType == .q8_1 ? 1e-3 : 1e-6
            let dot = format.dot(weights, activations, count: count)
            #expect(abs(Double(dot) - products.reduce(0, +)) <= tolerance * scale, "row '\(row.name)'")
        }
    }

    @Test(arguments: Format.all) func anyAddressWillDo(_ argument: Format) throws {
        let format = argument.format
        let activation = try #require(BlockFormats.activationFormat(for: format.activationType))
        let row = try #require(try GoldenVectors(format.type).rows.first { $0.name == "3 blocks" })
        let (weights, activations) = (format.weights(of: row), activation.encoded(row.input))
        let expected = format.dot(weights, activations, count: row.input.count)
        let decoded = format.decoded(weights, count: row.input.count)
        for shift in 1..<4 {
            let padding = [UInt8](repeating: 0xff, count: shift)
            let (left, right) = (padding + weights, padding + activations)
            let dot = format.dot(
                left.span.bytes.extracting(droppingFirst: shift), right.span.bytes.extracting(droppingFirst: shift),
                count: row.input.count)
            #expect(dot == expected)
            var values = [Float](repeating: 0, count: row.input.count)
            var span = values.mutableSpan
            format.decode(left.span.bytes.extracting(droppingFirst: shift), into: &span)
            #expect(values == decoded)
        }
    }

    @Test(arguments: Format.activations) func nothingFiniteIsNeededToEncode(_ argument: Format) throws {
        let format = try #require(argument.format as? any ActivationFormat)
        for strange in [Float.nan, -.nan, .infinity, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude] {
            var values = [Float](repeating: 0.25, count: 256)
            values[77] = strange
            let encoded = format.encoded(values)
            let decoded = format.decoded(encoded, count: 256)
            // A NaN must not vanish: its block is NaN.
            if strange.isNaN { #expect(decoded[77].isNaN) }
            _ = format.dot(encoded, encoded, count: 256)
        }
    }

    @Test(arguments: [1, 3, 31, 32, 33, 63, 64, 100]) func plainRowsMayHaveAnyLength(_ count: Int) throws {
        for type in [TensorType.f32, .f16, .bf16] {
            let format = try #require(BlockFormats.activationFormat(for: type))
            let values = (0..<count).map { Float($0 % 7) - 3 }
            let encoded = format.encoded(values)
            let expected = values.reduce(0) { $0 + $1 * $1 }
            #expect(format.dot(encoded, encoded, count: count) == expected, "\(type), \(count) values")
        }
    }

    @Test(arguments: Format.all) func anEmptyRowIsZero(_ argument: Format) {
        #expect(argument.format.dot([], [], count: 0) == 0)
        #expect(argument.format.decoded([], count: 0).isEmpty)
    }
}

extension BlockFormat {
    func decoded(_ bytes: [UInt8], count: Int) -> [Float] {
        var values = [Float](repeating: 0, count: count)
        var span = values.mutableSpan
        decode(bytes.span.bytes, into: &span)
        return values
    }

    func dot(_ weights: [UInt8], _ activations: [UInt8], count: Int) -> Float {
        dot(weights.span.bytes, activations.span.bytes, count: count)
    }

    func weights(of row: GoldenVectors.Row) -> [UInt8] {
        guard row.weights.isEmpty, let format = self as? any ActivationFormat else { return row.weights }
        return format.encoded(Array(row.input[96...] + row.input[..<96]))
    }
}

extension ActivationFormat {
    func encoded(_ values: [Float]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xaa, count: type.rowBytes(values.count)!)
        var elements = bytes.mutableSpan
        var span = elements.mutableBytes
        encodeActivations(values.span, into: &span)
        return bytes
    }
}
