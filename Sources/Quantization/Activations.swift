/// The codes of one block of 32 activations, as ggml's x86 code makes them for Q8_0 and Q8_1.
///
/// `d = amax / 127`, `q = x * (127 / amax)` rounded half to even; all zero if amax is 0. If 127 / amax overflows (amax
/// below 3.7e-37) every code is -128, ggml's saturated conversion; d is then zero in F16 and nothing is lost.
/// A NaN makes d NaN, so that it shows in every product; ggml may lose it.
struct ActivationCodes {
    let d: Float
    let codes: InlineArray<32, Int8>
    /// The sum of the codes before they are saturated to 8 bits, wrapping as in ggml.
    let sum: Int32

    @inline(__always)
    init(_ values: Span<Float>) {
        // As integers, magnitudes compare like the Floats they are, and NaN is the largest.
        var bits: UInt32 = 0
        for j in 0..<32 { bits = max(bits, values[j].bitPattern & 0x7fff_ffff) }
        let amax = Float(bitPattern: bits)
        let inverse = amax == 0 ? 0 : 127 / amax
        d = amax / 127
        guard amax.isFinite, inverse.isFinite else {
            (codes, sum) = saturatedCodes(values, inverse)
            return
        }
        var codes = InlineArray<32, Int8>(repeating: 0)
        var sum: Int32 = 0
        for j in 0..<32 {
            let code = nearestInteger(values[j] * inverse)
            codes[j] = Int8(truncatingIfNeeded: code)
            sum &+= code
        }
        self.codes = codes
        self.sum = sum
    }
}

/// The integer nearest to `value`, ties to even, for magnitudes below 2^22; any bits otherwise, but never a trap.
///
/// Adding 1.5 * 2^23 leaves the integer in the low mantissa bits. Source: ggml `nearest_int`.
@inline(__always)
func nearestInteger(_ value: Float) -> Int32 {
    Int32(bitPattern: (value + 0x1.8p23).bitPattern & 0x007f_ffff) &- 0x0040_0000
}

/// What `cvtps2dq` and saturating packs make of products that may be infinite or NaN.
@inline(never)
private func saturatedCodes(_ values: Span<Float>, _ inverse: Float) -> (InlineArray<32, Int8>, Int32) {
    var codes = InlineArray<32, Int8>(repeating: 0)
    var sum: Int32 = 0
    for j in 0..<32 {
        let product = values[j] * inverse
        let code = product.magnitude < 0x1p22 ? nearestInteger(product) : Int32.min
        codes[j] = Int8(clamping: code)
        sum &+= code
    }
    return (codes, sum)
}
