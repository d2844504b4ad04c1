// The inner loop of the dot products of unquantised rows: eight elements at a time.

/// Products of eight consecutive elements, those at even and those at odd positions apart.
struct Floats8 {
    var even = SIMD4<Float>()
    var odd = SIMD4<Float>()

    @inline(__always)
    init() {}

    /// Eight consecutive BF16 numbers, two in each lane.
    @inline(__always)
    init(bf16 words: SIMD4<UInt32>) {
        even = unsafeBitCast(words &<< 16, to: SIMD4<Float>.self)
        odd = unsafeBitCast(words & 0xffff_0000, to: SIMD4<Float>.self)
    }

    /// Eight consecutive F16 numbers, two in each lane.
    @inline(__always)
    init(f16 words: SIMD4<UInt32>) {
        even = halves(words &<< 16)
        odd = halves(words)
    }
}

/// The F16 numbers in the upper halves of four lanes; the lower halves are ignored. `Half.float(f16:)`, lane by lane.
@inline(__always)
private func halves(_ words: SIMD4<UInt32>) -> SIMD4<Float> {
    let magnitude = (words &>> 3) & 0x0fff_e000
    let exponent = magnitude & 0x0f80_0000
    let special = magnitude &+ 0x7000_0000
    let normal = (magnitude &+ 0x3800_0000).replacing(with: special, where: exponent .== 0x0f80_0000)
    let small = unsafeBitCast((magnitude &>> 13) | 0x3f00_0000, to: SIMD4<Float>.self) - 0.5
    let value = normal.replacing(with: unsafeBitCast(small, to: SIMD4<UInt32>.self), where: exponent .== 0)
    return unsafeBitCast(value | (words & 0x8000_0000), to: SIMD4<Float>.self)
}

/// The dot product of rows of `count` numbers, in the order of ggml's AVX2 code: 32 partial sums, then a fixed tree, then
/// what is left over, one by one.
///
/// `products(i, &sum)` adds the products of the elements i to i + 7; `product(i)` is a single one.
@inline(__always)
func sumOfProducts(
    count: Int, _ products: (Int, inout Floats8) -> Void, rest product: (Int) -> Float
) -> Float {
    var (s0, s1, s2, s3) = (Floats8(), Floats8(), Floats8(), Floats8())
    var i = 0
    while i + 32 <= count {
        products(i, &s0)
        products(i + 8, &s1)
        products(i + 16, &s2)
        products(i + 24, &s3)
        i += 32
    }
    let even = (s0.even + s2.even) + (s1.even + s3.even)
    let odd = (s0.odd + s2.odd) + (s1.odd + s3.odd)
    // Elements 0 + 4 and 2 + 6, then 1 + 5 and 3 + 7.
    let (evens, odds) = (even.lowHalf + even.highHalf, odd.lowHalf + odd.highHalf)
    let pairs = evens + odds
    var sum = pairs[0] + pairs[1]
    while i < count {
        sum += product(i)
        i += 1
    }
    return sum
}

extension RawSpan {
    /// The 16 bytes from `offset` on as numbers, wherever they lie; bounds are checked.
    @inline(__always)
    func lanes(_ offset: Int) -> SIMD4<UInt32> {
        unsafeLoadUnaligned(fromByteOffset: offset, as: SIMD4<UInt32>.self)
    }

    @inline(__always)
    func floats(_ offset: Int) -> SIMD4<Float> {
        unsafeLoadUnaligned(fromByteOffset: offset, as: SIMD4<Float>.self)
    }
}
