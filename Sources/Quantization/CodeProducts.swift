// The integer half of a quantised dot product, eight 16-bit lanes at a time.
//
// ggml's AVX2 kernels multiply bytes pairwise, add neighbours to 16-bit pairs, pairs to 32-bit quads, and keep eight
// Float sums: lane k adds up elements 4k to 4k+3 of every 32. The same lanes are formed here with operations that every
// x86-64 has, so that a row gives llama.cpp's bits. Operators on concrete SIMD types compile to one instruction each;
// their generic initialisers do not, hence the bit casts.

/// 16 consecutive codes, those at even and those at odd positions apart.
struct Codes16 {
    var even: SIMD8<Int16>
    var odd: SIMD8<Int16>

    @inline(__always)
    init(even: SIMD8<Int16>, odd: SIMD8<Int16>) {
        self.even = even
        self.odd = odd
    }

    /// 16 signed bytes.
    @inline(__always)
    init(signed bytes: SIMD8<Int16>) {
        even = (bytes &<< 8) &>> 8
        odd = bytes &>> 8
    }

    /// `mask` of each of 16 bytes after a shift right: nibbles, pairs of bits, single bits.
    @inline(__always)
    init(_ bytes: SIMD8<Int16>, shift: Int16 = 0, mask: Int16) {
        even = (bytes &>> shift) & mask
        odd = (bytes &>> (shift + 8)) & mask
    }

    @inline(__always)
    static func &- (codes: Codes16, offset: Int16) -> Codes16 {
        Codes16(even: codes.even &- offset, odd: codes.odd &- offset)
    }

    /// Adds higher bits, shifted into place.
    @inline(__always)
    func adding(_ high: Codes16, shift: Int16) -> Codes16 {
        Codes16(even: even | (high.even &<< shift), odd: odd | (high.odd &<< shift))
    }

    /// Lane k: the products at 2k and 2k+1, added up.
    ///
    /// Exact while the sum of two products is below 2^15. Activation codes are within -127...127, so that is so for
    /// weight codes of at most eight bits. (Only blocks whose scale is zero or not finite hold an activation of -128.)
    @inline(__always)
    func pairs(_ other: Codes16) -> SIMD8<Int16> {
        even &* other.even &+ odd &* other.odd
    }
}

/// Lane k: the pairs 2k and 2k+1, added up.
@inline(__always)
func quads(_ pairs: SIMD8<Int16>) -> SIMD4<Int32> {
    let lanes = unsafeBitCast(pairs, to: SIMD4<Int32>.self)
    return ((lanes &<< 16) &>> 16) &+ (lanes &>> 16)
}

/// Lane k: the pairs 2k and 2k+1, added up and multiplied by a scale of at most 16 bits.
@inline(__always)
func quads(_ pairs: SIMD8<Int16>, times scale: Int16) -> SIMD4<Int32> {
    let lanes = unsafeBitCast(pairs, to: SIMD4<Int32>.self)
    let scale = Int32(scale)
    return ((lanes &<< 16) &>> 16) &* scale &+ (lanes &>> 16) &* scale
}

/// The integer products of a block or of a super-block: lane k of eight holds elements 4k to 4k+3 of every 32.
struct IntegerLanes {
    var low = SIMD4<Int32>()
    var high = SIMD4<Int32>()
}

/// The running Float sum of a row: eight lanes, each added to with a single rounding.
///
/// `sum + scale * integer` is computed in Double, where the product is exact, and rounded to Float: what the fused
/// multiply-add of ggml's AVX2 kernels gives, save for a double rounding about once in 2^29. (The real instruction is a
/// library call on baseline x86-64.)
struct FloatLanes {
    private var low = SIMD4<Float>()
    private var high = SIMD4<Float>()

    @inline(__always)
    mutating func add(_ integers: IntegerLanes, times scale: Float) {
        low = fused(low, integers.low, scale)
        high = fused(high, integers.high, scale)
    }

    /// The lanes in the order of ggml's `hsum_float_8`.
    @inline(__always)
    var sum: Float { treeSum(high + low) }
}

/// Lane by lane `sum + integers * scale`, rounded once.
@inline(__always)
func fused(_ sum: SIMD4<Float>, _ integers: SIMD4<Int32>, _ scale: Float) -> SIMD4<Float> {
    SIMD4<Float>(SIMD4<Double>(sum) + SIMD4<Double>(integers) * Double(scale))
}

/// (0 + 2) + (1 + 3).
@inline(__always)
func treeSum(_ lanes: SIMD4<Float>) -> Float {
    (lanes[0] + lanes[2]) + (lanes[1] + lanes[3])
}
