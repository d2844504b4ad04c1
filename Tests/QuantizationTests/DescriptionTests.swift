import Foundation
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
    @Test func everyFormatCanBeDescribed() {
        #expect(BlockFormats.describable.map(\.type) == BlockFormats.all.map(\.type))
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

        // What several weights share (an index, a shift, a byte of digits) is one integer.
        let points = description.points
        let integers = Set(
            (description.elements.map(\.stored) + description.subBlocks.compactMap(\.scaleCode)
                + description.subBlocks.compactMap(\.minimumCode) + points.flatMap(\.indices)
                + points.compactMap(\.signs) + points.compactMap(\.shift) + [description.scaleBits].compactMap { $0 })
                .map(\.parts))
        var used = [Int](repeating: 0, count: bytes.count)
        for part in integers.joined() {
            let mask = (1 << part.width - 1) << part.shift
            #expect(used[part.byte] & mask == 0, "a bit of byte \(part.byte) is used twice")
            used[part.byte] |= mask
        }
        for field in description.fields {
            let expected = field.content == .integers ? 255 : 0
            #expect(field.range.allSatisfy { used[$0] == expected }, "not all of \(field.name), or a number's bits")
        }
    }

    /// The arithmetic of the steps, done again from their words: every form of it gives the number at its end.
    @Test(arguments: Describable.all) func theStepsAddUp(_ argument: Describable) throws {
        let format = argument.format
        for seed in 0..<20 {
            let bytes = randomBytes(format.type.blockBytes, seed: UInt64(seed))
            let description = format.describe(bytes.span.bytes)
            let decoded = format.decoded(bytes, count: format.type.blockElements)
            for index in description.elements.indices {
                let steps = description.steps(of: index)
                #expect(steps.count >= 3)
                let value = "\(decoded[index])"
                #expect(steps.last!.hasSuffix("= \(value)") || value.hasSuffix("nan") && steps.last!.hasSuffix("nan"))
                guard description.isQuantised else { continue }
                for step in steps where ["scale: ", "min: ", "value: "].contains(where: step.hasPrefix) {
                    guard !step.contains("nan") else { continue }
                    let forms = step.split(separator: ":", maxSplits: 1)[1].components(separatedBy: " = ")
                    let result = try #require(Float(forms.last!))
                    let numbers = try forms.filter { !$0.contains { "dqgTx".contains($0) } }.map(Arithmetic.value)
                    #expect(numbers.count >= 2 || step.contains("^"), "no arithmetic in '\(step)'")
                    #expect(numbers.allSatisfy { $0 == result }, "'\(step)'")
                }
            }
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
            for (sub, isExact) in description.zeroExact.enumerated() {
                let values = description.book.factors.map { description.scales.value($0, sub: sub) }
                #expect(isExact == values.contains(0), "seed \(seed), sub-block \(sub)")
            }
        }
    }

    /// A factor of any weight is one that the book has, and its ends are ends.
    @Test(arguments: Describable.all) func theBookHasAllCodes(_ argument: Describable) throws {
        let format = argument.format
        for seed in 0..<50 {
            let description = format.describe(randomBytes(format.type.blockBytes, seed: UInt64(seed)).span.bytes)
            guard description.isQuantised else { return }
            let (book, factors) = (description.book, try description.elements.map { try #require($0.factor) })
            #expect(factors.allSatisfy(book.factors.contains))
            #expect(description.codesUsed <= book.count)
            let codes = Dictionary(zip(description.elements.map(\.code), factors), uniquingKeysWith: { $1 })
            #expect(codes[book.ends.lowest].map { $0 <= factors.min()! + 0.25 } ?? true)
            #expect(codes[book.ends.highest].map { $0 >= factors.max()! - 0.25 } ?? true)
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
        #expect(description.elements[0].code == 15 && description.elements[0].value == 6.5)
        #expect(description.elements[16].code == 0 && description.elements[16].value == -1)
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

    /// IQ2_XXS by hand: d = 0.5, all bytes zero but those of weights 8 to 15: index 2 and the signs of the first two and
    /// the fourth; scale 3.
    @Test func iq2_XXSByHand() throws {
        var bytes = [UInt8](repeating: 0, count: 66)
        (bytes[1], bytes[3], bytes[6], bytes[7], bytes[9]) = (0x38, 2, 0x80, 0x05, 0x30)
        let description = FormatIQ2_XXS().describe(bytes.span.bytes)
        let point = description.points[1]
        // Point 2 of the list is 5: codes 1, 1, 0, 0, 0, 0, 0, 0, which stand for 25, 25, 8, …
        #expect(point.indices[0].code == 2 && point.values == [25, 25, 8, 8, 8, 8, 8, 8])
        #expect(point.isNegative == [true, true, false, true, false, false, false, true])
        #expect(description.elements[8...15].map(\.code) == [-25, -25, 8, -8, 8, 8, 8, -8])
        #expect(description.elements[8].value == 0.5 * 3.5 / 4 * -25)
        #expect(description.zeroExact == Array(repeating: false, count: 8))
        #expect(description.codesUsed == 3 && description.book.count == 6)
        #expect(
            description.steps(of: 15) == [
                "d: bytes 0-1 = 00 38: unit of the scales, F16 0x3800 = 0.5",
                "scale code of sub-block 0 (weights 0 to 31): bits 4-7 of byte 9 (0x30) = 3",
                "scale: d * (0.5 + 3) / 4 = 0.5 * (0.5 + 3) / 4 = 0.4375",
                "index of weights 8 to 15: byte 3 (0x02) = 2",
                "grid: point 2 is 25, 25, 8, 8, 8, 8, 8, 8; number 7 of them, from 0: 8",
                "sign: not stored; the other seven (bit 7 of byte 6 (0x80) = 1 and bits 0-5 of byte 7 (0x05) = 5, times 2; "
                    + "together 11) have 3 negative, and the eighth makes their number even: negative, so g = -8",
                "value: x = d * (0.5 + scale) / 4 * g = 0.4375 * -8 = -3.5",
            ])
    }

    /// TQ1_0 by hand: byte 5 is the fraction of the digits 2, 0, 1, 1, 2: 2 * 81 + 9 + 3 + 2 = 176 of 243.
    @Test func tq1_0ByHand() throws {
        var bytes = [UInt8](repeating: 0, count: 54)
        (bytes[5], bytes[53]) = (UInt8((176 * 256 + 242) / 243), 0x3c)
        let description = FormatTQ1_0().describe(bytes.span.bytes)
        #expect((0..<5).map { description.elements[5 + 32 * $0].code } == [2, 0, 1, 1, 2])
        #expect((0..<5).map { description.elements[5 + 32 * $0].value } == [1, -1, 0, 0, 1])
        #expect(description.zeroExact == [true])
        #expect(
            description.steps(of: 37) == [
                "d: bytes 52-53 = 00 3c: scale, F16 0x3c00 = 1.0",
                "code q: digit 1 to base 3 of byte 5 (0xba = 186): 186 * 3 modulo 256 = 46, 46 * 3 / 256 rounded down = 0",
                "value: x = (q - 1) * d = 1.0 * (0 - 1) = -1.0",
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

/// Sums, products and powers of two as the steps write them, in Float.
private struct Arithmetic {
    private var rest: Substring

    static func value(_ text: String) throws -> Float {
        var parser = Arithmetic(rest: text[...])
        let value = try parser.sum()
        try #require(parser.rest.allSatisfy { $0 == " " }, "'\(text)' is no arithmetic")
        return value
    }

    private mutating func next(_ symbols: String) -> Character? {
        rest = rest.drop { $0 == " " }
        guard let first = rest.first, symbols.contains(first) else { return nil }
        return rest.removeFirst()
    }

    private mutating func sum() throws -> Float {
        var value = try product()
        while let sign = next("+-") { value = sign == "+" ? value + (try product()) : value - (try product()) }
        return value
    }

    private mutating func product() throws -> Float {
        var value = try power()
        while let sign = next("*/") { value = sign == "*" ? value * (try power()) : value / (try power()) }
        return value
    }

    private mutating func power() throws -> Float {
        let base = try number()
        return next("^") == nil ? base : Float(pow(Double(base), Double(try number())))
    }

    private mutating func number() throws -> Float {
        if next("(") != nil {
            let value = try sum()
            try #require(next(")") != nil)
            return value
        }
        rest = rest.drop { $0 == " " }
        let digits = rest.prefix { $0.isLetter || $0.isNumber || ".-".contains($0) }
        // The exponent of 1e+10.
        let end =
            digits.last == "e" && rest.dropFirst(digits.count).first == "+" ? rest.dropFirst(digits.count + 1) : nil
        let text = end.map { digits + "+" + $0.prefix { $0.isNumber } } ?? digits
        rest = rest.dropFirst(text.count)
        return try #require(Float(text), "'\(text)' is no number")
    }
}
