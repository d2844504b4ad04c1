import RealModule

/// `a * b + c`, rounded once: the fused multiply-add that ggml's vector code uses, by way of Double.
///
/// The product is exact in Double. The sum is rounded to Double and then to Float, which differs from one rounding about
/// once in 2^29. The instruction itself would be a library call on baseline x86-64.
@inline(__always)
func fused(_ a: Float, _ b: Float, _ c: Float) -> Float {
    Float(Double(a) * Double(b) + Double(c))
}

/// The exponential as ggml's vector code approximates it, to the bit: at most 1.95 units in the last place off.
///
/// `exp(x) = 2^n * e^b` with n the nearest integer to x / ln 2; e^b by a polynomial of degree 5.
/// Source: ggml `ggml_v_expf` (AVX-512), after Arm's optimized routines.
@inline(__always)
func vectorExponential(_ x: Float) -> Float {
    let shifter: Float = 0x1.8p23
    let n = fused(x, 0x1.715476p+0, shifter) - shifter
    let b = fused(-n, 0x1.7f7d1cp-20, fused(-n, 0x1.62e4p-1, x))
    if !(abs(n) <= 192) { return x.isNaN ? x : n > 0 ? .infinity : 0 }
    let u = b * b
    let j = fused(
        fused(fused(0x1.0e4020p-7, b, 0x1.573e2ep-5), u, fused(0x1.555e66p-3, b, 0x1.fffdb6p-2)), u,
        fused(0x1.ffffecp-1, b, 1))
    // 2^n is exact in Double, so the result is rounded once, subnormal or not.
    let power = Double(bitPattern: UInt64(bitPattern: Int64(n) + 1023) << 52)
    return Float(Double(j) * power)
}

/// Elements that ggml's AVX-512 code takes at a time. Those left over at the end of a row go through the C library.
let vectorLanes = 16
