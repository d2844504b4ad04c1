import Quantization
import Tensors
import Testing

/// A describable format as a test argument, shown by its name.
struct Describable: CustomTestStringConvertible {
    let format: any DescribableFormat
    var testDescription: String { format.type.name }

    static let all = BlockFormats.describable.map(Describable.init)
}

@Suite struct DescriptionTests {
    @Test func theFormatsOfFilesCanBeDescribed() {
        let types = Set(BlockFormats.describable.map(\.type))
        #expect(
            types.isSuperset(of: [
                .f32, .f16, .bf16, .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .q2_K, .q3_K, .q4_K, .q5_K, .q6_K,
            ]))
        #expect(BlockFormats.describableFormat(for: .i32) == nil)
    }

    @Test(arguments: Describable.all) func valuesAreThoseOfDecode(_ argument: Describable) {
        let format = argument.format
        for seed in 0..<200 {
            let bytes = randomBytes(format.type.blockBytes, seed: UInt64(seed))
            let description = format.describe(bytes.span.bytes)
            let decoded = format.decoded(bytes, count: format.type.blockElements)
            #expect(description.elements.count == decoded.count)
            // A NaN is a NaN; which one, no formula says.
            #expect(
                zip(description.elements, decoded).allSatisfy {
                    $0.value.bitPattern == $1.bitPattern || $0.value.isNaN && $1.isNaN
                }, "block of seed \(seed)")
        }
    }

    /// No byte is left out and none is named twice; no bit of a code field is used twice or by nobody.
    @Test(arguments: Describable.all) func fieldsAndBitsCoverTheBlock(_ argument: Describable) {
        let bytes = randomBytes(argument.format.type.blockBytes, seed: 1)
        let description = argument.format.describe(bytes.span.bytes)
        #expect(description.fields.flatMap(\.range) == Array(bytes.indices))
        #expect(description.fields.flatMap(\.bytes) == bytes)

        var used = [Int](repeating: 0, count: bytes.count)
        let integers =
            description.elements.map(\.code) + description.subBlocks.compactMap(\.scaleCode)
            + description.subBlocks.compactMap(\.minimumCode)
        for part in integers.flatMap(\.parts) {
            let mask = (1 << part.width - 1) << part.shift
            #expect(used[part.byte] & mask == 0, "a bit of byte \(part.byte) is used twice")
            used[part.byte] |= mask
        }
        for field in description.fields where !["d", "m", "dmin"].contains(field.name) {
            #expect(field.range.allSatisfy { used[$0] == 255 }, "not all of \(field.name) is used")
        }
    }

    @Test(arguments: Describable.all) func theLastStepIsTheValue(_ argument: Describable) {
        let format = argument.format
        let description = format.describe(randomBytes(format.type.blockBytes, seed: 7).span.bytes)
        for index in description.elements.indices {
            let steps = description.steps(of: index)
            #expect(steps.count >= 3)
            #expect(steps.last!.hasSuffix("= \(description.elements[index].value)"))
        }
    }

    /// Against every value the sub-block can take.
    @Test(arguments: Describable.all) func zeroIsExactIfACodeIsZero(_ argument: Describable) {
        let format = argument.format
        guard format.describe(randomBytes(format.type.blockBytes, seed: 0).span.bytes).isQuantised else { return }
        for seed in 0..<300 {
            // Small numbers, so that zero is often met.
            let bytes = randomBytes(format.type.blockBytes, seed: UInt64(seed)).map { $0 & 0x33 }
            let description = format.describe(bytes.span.bytes)
            let subtracted = description.elements[0].code.subtracted
            for (sub, isExact) in description.zeroExact.enumerated() {
                let scales = description.scales
                let values = description.codes.map { code -> Float in
                    let product = scales.subScales[sub] * Float(code - subtracted)
                    guard !scales.subMinima.isEmpty else { return product }
                    return scales.use == .added ? product + scales.subMinima[sub] : product - scales.subMinima[sub]
                }
                #expect(isExact == values.contains(0), "seed \(seed), sub-block \(sub)")
            }
        }
    }

    /// Steps of 1 from -4 on fall on zero; from -4.5 on they do not.
    @Test(arguments: [(TensorType.q4_1, 16), (.q5_1, 32)]) func aMinimumMayMissZero(type: TensorType, steps: Int) throws
    {
        let encoder = try #require(BlockFormats.encodableFormat(for: type))
        let format = try #require(BlockFormats.describableFormat(for: type))
        for (start, isExact) in [(Float(-4), true), (-4.5, false)] {
            var bytes = [UInt8](repeating: 0, count: type.blockBytes)
            var elements = bytes.mutableSpan
            var span = elements.mutableBytes
            let weights = (0..<32).map { start + Float($0 % steps) }
            encoder.encode(weights.span, importance: nil, into: &span)
            #expect(format.describe(bytes.span.bytes).zeroExact == [isExact])
        }
    }

    /// Q4_1 by hand: d = 0.5, m = -1, all codes 2 except weight 0 (15) and weight 16 (0).
    @Test func q4_1ByHand() throws {
        let bytes: [UInt8] = [0x00, 0x38, 0x00, 0xbc, 0x0f] + Array(repeating: 0x22, count: 15)
        let description = FormatQ4_1().describe(bytes.span.bytes)
        #expect(description.scales.scale == 0.5)
        #expect(description.scales.minimum == -1)
        #expect(description.elements[0].code.code == 15 && description.elements[0].value == 6.5)
        #expect(description.elements[16].code.code == 0 && description.elements[16].value == -1)
        #expect(description.elements[1].value == 0)
        #expect(description.zeroExact == [true])
        #expect(description.codesUsed == 3)
        #expect(description.saturated == [0, 16])
        #expect(
            description.steps(of: 0) == [
                "d: bytes 0-1 = 00 38: scale, F16 0x3800 = 0.5",
                "m: bytes 2-3 = 00 bc: minimum, F16 0xbc00 = -1.0",
                "code q: bits 0-3 of byte 4 (0x0f) = 15",
                "value: x = q * d + m = 0.5 * 15 + (-1.0) = 7.5 + (-1.0) = 6.5",
            ])
    }

    private func randomBytes(_ count: Int, seed: UInt64) -> [UInt8] {
        var generator = Generator(state: seed)
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    /// SplitMix64 (Steele et al. 2014).
    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }
}
