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

    /// As `addProducts`, the products not rounded on their own: a fused multiply-add, by way of Double.
    @inline(__always)
    mutating func addFusedProducts(_ left: Floats8, _ right: Floats8) {
        first = fusedSum(first, left.first, right.first)
        second = fusedSum(second, left.second, right.second)
    }

    @inline(__always)
    static func + (left: Floats8, right: Floats8) -> Floats8 {
        Floats8(left.first + right.first, left.second + right.second)
    }

    /// The sum of all eight, halves first: `((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7))` if they are in order.
    @inline(__always)
    var sumInOrder: Float {
        let quads = first + second
        let pairs = quads.lowHalf + quads.highHalf
        return pairs[0] + pairs[1]
    }

    /// The same sum if even positions came first.
    @inline(__always)
    var sumOfHalves: Float {
        let (first, second) = (first.lowHalf + first.highHalf, second.lowHalf + second.highHalf)
        return (first[0] + first[1]) + (second[0] + second[1])
    }
}

/// Lane by lane `sum + left * right`, rounded once: in Double the product is exact.
@inline(__always)
private func fusedSum(_ sum: SIMD4<Float>, _ left: SIMD4<Float>, _ right: SIMD4<Float>) -> SIMD4<Float> {
    SIMD4<Float>(SIMD4<Double>(sum) + SIMD4<Double>(left) * SIMD4<Double>(right))
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

/// The products of two rows of numbers, added up in the order of ggml's AVX-512 code; eight sums are left to add up.
///
/// One column: sixteen lanes in four turns, 64 partial sums. A tile: sixteen lanes. Numbers left over at the end are
/// filled up with zeros if the row is padded; else they are the caller's.
///
/// - Parameters:
///   - stride: bytes of eight numbers.
///   - load: eight consecutive numbers, from a byte offset on.
///   - add: adds the products of eight numbers to eight sums.
/// - Returns: the sums, and the bytes that were summed.
@inline(__always)
func sumOfProducts(
    _ left: RawSpan, _ right: RawSpan, stride: Int, order: SummationOrder, load: (RawSpan, Int) -> Floats8,
    add: (inout Floats8, Floats8, Floats8) -> Void
) -> (sums: Floats8, bytes: Int) {
    // Eight sums of eight lanes; a tile needs only two of them.
    var sums = InlineArray<8, Floats8>(repeating: Floats8())
    let turns = order.isTile ? 2 : 8
    let group = turns * stride
    let whole = left.byteCount / group * group
    for offset in Swift.stride(from: 0, to: whole, by: group) {
        for turn in 0..<turns {
            add(&sums[turn], load(left, offset + turn * stride), load(right, offset + turn * stride))
        }
    }
    if order.isPadded, whole < left.byteCount {
        let (lastLeft, lastRight) = (filledUp(left, from: whole), filledUp(right, from: whole))
        let (left, right) = (lastLeft.span.bytes, lastRight.span.bytes)
        for turn in 0..<turns { add(&sums[turn], load(left, turn * stride), load(right, turn * stride)) }
    }
    let low = (sums[0] + sums[4]) + (sums[2] + sums[6])
    let high = (sums[1] + sums[5]) + (sums[3] + sums[7])
    return (low + high, order.isPadded ? left.byteCount : whole)
}

/// The bytes from `start` on and zeros, enough for 64 numbers of two bytes.
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
