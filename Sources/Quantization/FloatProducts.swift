// The inner loop of the dot products of unquantised rows: eight elements at a time.

/// Eight consecutive elements, or partial sums of such, in two vectors of four.
struct Floats8 {
    var first: SIMD4<Float>
    var second: SIMD4<Float>

    @inline(__always)
    init(_ first: SIMD4<Float> = SIMD4(), _ second: SIMD4<Float> = SIMD4()) {
        self.first = first
        self.second = second
    }

    /// Eight BF16 numbers, two in each lane: those at even positions come first.
    @inline(__always)
    init(bf16 words: SIMD4<Int32>) {
        self.init(
            unsafeBitCast(words &<< 16, to: SIMD4<Float>.self),
            unsafeBitCast(words & -0x10000, to: SIMD4<Float>.self))
    }

    /// Eight F16 numbers, two in each lane: those at even positions come first.
    @inline(__always)
    init(f16 words: SIMD4<Int32>) {
        self.init(halves(words &<< 16), halves(words))
    }

    @inline(__always)
    mutating func addProducts(_ left: Floats8, _ right: Floats8) {
        first += left.first * right.first
        second += left.second * right.second
    }

    @inline(__always)
    static func + (left: Floats8, right: Floats8) -> Floats8 {
        Floats8(left.first + right.first, left.second + right.second)
    }

    /// The sum of all eight, neighbours first: `((0 + 4) + (1 + 5)) + ((2 + 6) + (3 + 7))` if even positions came first.
    @inline(__always)
    var sumOfNeighbours: Float {
        let pairs = (first.lowHalf + first.highHalf) + (second.lowHalf + second.highHalf)
        return pairs[0] + pairs[1]
    }

    /// The sum of all eight, halves first: `((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7))` if even positions came first.
    @inline(__always)
    var sumOfHalves: Float {
        let (first, second) = (first.lowHalf + first.highHalf, second.lowHalf + second.highHalf)
        return (first[0] + first[1]) + (second[0] + second[1])
    }
}

/// The F16 numbers in the upper halves of four lanes; the lower halves are ignored. `Half.float(f16:)`, lane by lane.
@inline(__always)
private func halves(_ words: SIMD4<Int32>) -> SIMD4<Float> {
    let magnitude = (words &>> 3) & 0x0fff_e000
    let exponent = magnitude & 0x0f80_0000
    // All ones where the condition holds, else zero; comparisons would not stay in vectors.
    let subnormal = (exponent &- 1) &>> 31
    let special = (0x0f7f_ffff &- exponent) &>> 31
    // Infinity and NaN get the bias twice; subnormals get a one before the mantissa, worth 2^-14, and lose it again.
    let biased = magnitude &+ 0x3800_0000 &+ (special & 0x3800_0000) &+ (subnormal & 0x0080_0000)
    let value =
        unsafeBitCast(biased, to: SIMD4<Float>.self) - unsafeBitCast(subnormal & 0x3880_0000, to: SIMD4<Float>.self)
    let sign = words & Int32.min
    return unsafeBitCast(unsafeBitCast(value, to: SIMD4<Int32>.self) | sign, to: SIMD4<Float>.self)
}

/// The products of two rows of numbers, added up in the order of ggml's AVX2 code: 32 partial sums, of which eight are
/// left to be added up.
///
/// A last group of less than 32 is filled up with zeros, like the unused cells of llama.cpp's padded KV cache.
///
/// - Parameters:
///   - stride: bytes of eight numbers.
///   - load: eight consecutive numbers, from a byte offset on.
@inline(__always)
func sumOfProducts(_ left: RawSpan, _ right: RawSpan, stride: Int, load: (RawSpan, Int) -> Floats8) -> Floats8 {
    var (s0, s1, s2, s3) = (Floats8(), Floats8(), Floats8(), Floats8())
    let whole = left.byteCount / (4 * stride) * (4 * stride)
    var offset = 0
    while offset < whole {
        s0.addProducts(load(left, offset), load(right, offset))
        s1.addProducts(load(left, offset + stride), load(right, offset + stride))
        s2.addProducts(load(left, offset + 2 * stride), load(right, offset + 2 * stride))
        s3.addProducts(load(left, offset + 3 * stride), load(right, offset + 3 * stride))
        offset += 4 * stride
    }
    if whole < left.byteCount {
        let (lastLeft, lastRight) = (filledUp(left, from: whole), filledUp(right, from: whole))
        let (left, right) = (lastLeft.span.bytes, lastRight.span.bytes)
        s0.addProducts(load(left, 0), load(right, 0))
        s1.addProducts(load(left, stride), load(right, stride))
        s2.addProducts(load(left, 2 * stride), load(right, 2 * stride))
        s3.addProducts(load(left, 3 * stride), load(right, 3 * stride))
    }
    return (s0 + s2) + (s1 + s3)
}

/// The bytes from `start` on and zeros, enough for 32 numbers.
private func filledUp(_ bytes: RawSpan, from start: Int) -> InlineArray<128, UInt8> {
    var copy = InlineArray<128, UInt8>(repeating: 0)
    for i in start..<bytes.byteCount {
        copy[i - start] = bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt8.self)
    }
    return copy
}

extension RawSpan {
    /// The 16 bytes from `offset` on as numbers, wherever they lie; bounds are checked.
    @inline(__always)
    func lanes(_ offset: Int) -> SIMD4<Int32> {
        unsafeLoadUnaligned(fromByteOffset: offset, as: SIMD4<Int32>.self)
    }
}
