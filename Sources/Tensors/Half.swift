/// IEEE half precision (F16) and bfloat16 (BF16) to and from `Float`, by their bits.
///
/// `Float(Float16)` is a library call on baseline x86-64; these few integer operations vectorise.
public enum Half {
    /// The `Float` equal to the F16 with these bits. Exact, infinities and NaN included.
    @inlinable
    public static func float(f16 bits: UInt16) -> Float {
        let sign = UInt32(bits & 0x8000) << 16
        let magnitude = UInt32(bits & 0x7fff) << 13
        let exponent = magnitude & 0x0f80_0000
        if exponent == 0 {
            // Zero and subnormals: the mantissa as the low bits of 0.5, whose unit there is 2^-24 like theirs. (Scaling
            // by 2^112 is shorter, but makes processors stumble over subnormal Floats, unused SIMD lanes included.)
            let value = Float(bitPattern: magnitude >> 13 | 0x3f00_0000) - 0.5
            return Float(bitPattern: value.bitPattern | sign)
        }
        // The difference of the exponent biases, twice for infinity and NaN.
        let bias: UInt32 = exponent == 0x0f80_0000 ? 0x7000_0000 : 0x3800_0000
        return Float(bitPattern: (magnitude &+ bias) | sign)
    }

    /// The bits of the F16 nearest to `value`, ties to even. Too large becomes infinity, NaN stays NaN (quiet).
    @inlinable
    public static func f16(_ value: Float) -> UInt16 {
        let sign = UInt16(truncatingIfNeeded: value.bitPattern >> 16) & 0x8000
        let bits = value.bitPattern & 0x7fff_ffff
        if bits > 0x7f80_0000 { return sign | 0x7e00 }
        if bits >= 0x4780_0000 { return sign | 0x7c00 }  // 65536 and more
        if bits < 0x3880_0000 {
            // Below 2^-14: adding 0.5 leaves the F16 subnormal, rounded to even, in the low mantissa bits.
            let shifted = (Float(bitPattern: bits) + 0.5).bitPattern
            return sign | UInt16(truncatingIfNeeded: shifted &- 0x3f00_0000)
        }
        let odd = (bits >> 13) & 1
        // A carry out of the mantissa rightly becomes the next exponent, up to infinity.
        return sign | UInt16(truncatingIfNeeded: (bits &- 0x3800_0000 &+ 0x0fff &+ odd) >> 13)
    }

    /// The `Float` equal to the BF16 with these bits: a BF16 is the upper half of a Float.
    @inlinable
    public static func float(bf16 bits: UInt16) -> Float {
        Float(bitPattern: UInt32(bits) << 16)
    }

    /// The bits of the BF16 nearest to `value`, ties to even; NaN becomes quiet. Source: ggml `ggml_compute_fp32_to_bf16`.
    @inlinable
    public static func bf16(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        if bits & 0x7fff_ffff > 0x7f80_0000 { return UInt16(truncatingIfNeeded: bits >> 16) | 64 }
        return UInt16(truncatingIfNeeded: (bits &+ 0x7fff &+ ((bits >> 16) & 1)) >> 16)
    }
}
