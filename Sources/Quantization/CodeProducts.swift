// The inner loops of the quantised dot products, eight 16-bit lanes at a time.
//
// ggml's AVX2 kernels multiply bytes pairwise, add neighbours to 16-bit pairs, pairs to 32-bit quads, and keep eight
// Float sums: lane k adds up elements 4k to 4k+3 of every 32. The same lanes are formed here with operations that every
// x86-64 has, so that a row gives llama.cpp's bits. Operators on concrete SIMD types compile to one instruction each;
// their generic initialisers do not, hence the bit casts.

/// 16 consecutive codes, those at even and those at odd positions apart.
struct Codes16 {
    var even: SIMD8<Int16>
    var odd: SIMD8<Int16>

    /// 16 signed bytes.
    @inline(__always)
    init(signed bytes: SIMD8<Int16>) {
        even = (bytes &<< 8) &>> 8
        odd = bytes &>> 8
    }

    /// Each of 16 bytes shifted right, then masked: nibbles, pairs of bits, single bits.
    @inline(__always)
    init(_ bytes: SIMD8<Int16>, shift: Int16 = 0, mask: Int16) {
        even = (bytes &>> shift) & mask
        odd = (bytes &>> (shift + 8)) & mask
    }

    /// 16 single bits, the lowest first: `value` where the bit is set, else 0.
    @inline(__always)
    init(bits: UInt16, value: Int16) {
        let bits = SIMD8(repeating: Int16(bitPattern: bits))
        // The bit of each lane is multiplied up to the sign, and the sign spread over the lane.
        even = ((bits &* [-0x8000, 0x2000, 0x800, 0x200, 0x80, 0x20, 8, 2]) &>> 15) & value
        odd = ((bits &* [0x4000, 0x1000, 0x400, 0x100, 0x40, 0x10, 4, 1]) &>> 15) & value
    }

    @inline(__always)
    static func &- (codes: Codes16, offset: Int16) -> Codes16 {
        var codes = codes
        codes.even &-= offset
        codes.odd &-= offset
        return codes
    }

    /// Adds bits that are already in their place.
    @inline(__always)
    static func | (codes: Codes16, high: Codes16) -> Codes16 {
        var codes = codes
        codes.even |= high.even
        codes.odd |= high.odd
        return codes
    }

    @inline(__always)
    static func &<< (codes: Codes16, shift: Int16) -> Codes16 {
        var codes = codes
        codes.even &<<= shift
        codes.odd &<<= shift
        return codes
    }

    /// Lane k: the products at 2k and 2k+1, added up.
    ///
    /// Exact while such a sum is below 2^15. Activation codes are within -127...127, so that is so for weight codes of
    /// up to eight bits. (Only blocks whose scale is zero or not finite hold activations of -128.)
    @inline(__always)
    static func &* (left: Codes16, right: Codes16) -> SIMD8<Int16> {
        left.even &* right.even &+ left.odd &* right.odd
    }
}

/// Integer sums: lane k of eight holds elements 4k to 4k+3 of every 32.
struct IntegerLanes {
    var low = SIMD4<Int32>()
    var high = SIMD4<Int32>()

    init() {}

    /// The products of 32 weight codes, given as two halves, and 32 activation codes.
    @inline(__always)
    init(_ low: Codes16, _ high: Codes16, _ activations: InlineArray<32, Int8>) {
        self.low = quads(low &* Codes16(signed: activations.words(0)))
        self.high = quads(high &* Codes16(signed: activations.words(16)))
    }

    /// The products of 32 weights that are bytes already and 32 activation codes.
    @inline(__always)
    init(_ weights: InlineArray<32, Int8>, _ activations: InlineArray<32, Int8>) {
        self.init(Codes16(signed: weights.words(0)), Codes16(signed: weights.words(16)), activations)
    }

    /// Adds the products of 32 weights that are bytes already and 32 activation codes, each half with its scale.
    @inline(__always)
    mutating func add(
        _ weights: InlineArray<32, Int8>, _ activations: InlineArray<32, Int8>, scales: (Int16, Int16)
    ) {
        add(Codes16(signed: weights.words(0)), Codes16(signed: weights.words(16)), activations, scales: scales)
    }

    /// Adds the products of 32 weight codes and 32 activation codes, each half with its scale.
    @inline(__always)
    mutating func add(
        _ low: Codes16, _ high: Codes16, _ activations: InlineArray<32, Int8>, scales: (Int16, Int16)
    ) {
        self.low &+= quads(low &* Codes16(signed: activations.words(0)), times: scales.0)
        self.high &+= quads(high &* Codes16(signed: activations.words(16)), times: scales.1)
    }

    /// Subtracts `other * 2^shift`.
    @inline(__always)
    mutating func subtract(_ other: IntegerLanes, shift: Int32) {
        low &-= other.low &<< shift
        high &-= other.high &<< shift
    }
}

/// Lane k: the pairs 2k and 2k+1, added up.
@inline(__always)
func quads(_ pairs: SIMD8<Int16>) -> SIMD4<Int32> {
    let lanes = unsafeBitCast(pairs, to: SIMD4<Int32>.self)
    return ((lanes &<< 16) &>> 16) &+ (lanes &>> 16)
}

/// Lane k: the pairs 2k and 2k+1, added up and multiplied by a scale.
@inline(__always)
func quads(_ pairs: SIMD8<Int16>, times scale: Int16) -> SIMD4<Int32> {
    let lanes = unsafeBitCast(pairs, to: SIMD4<Int32>.self)
    let scale = Int32(scale)
    return ((lanes &<< 16) &>> 16) &* scale &+ (lanes &>> 16) &* scale
}

/// The running Float sum of a row: eight lanes, each added to with a single rounding.
struct FloatLanes {
    private var low = SIMD4<Float>()
    private var high = SIMD4<Float>()

    @inline(__always)
    mutating func add(_ integers: IntegerLanes, times scale: Float) {
        low = fused(low, integers.low, scale)
        high = fused(high, integers.high, scale)
    }

    /// The same with a scale for each half.
    @inline(__always)
    mutating func add(_ integers: IntegerLanes, times scales: (Float, Float)) {
        low = fused(low, integers.low, scales.0)
        high = fused(high, integers.high, scales.1)
    }

    /// The same for integers that may exceed 2^24; ggml rounds them to Float first.
    @inline(__always)
    mutating func add(large integers: IntegerLanes, times scale: Float) {
        for k in 0..<4 {
            low[k] = Float(Double(low[k]) + Double(Float(integers.low[k])) * Double(scale))
            high[k] = Float(Double(high[k]) + Double(Float(integers.high[k])) * Double(scale))
        }
    }

    /// The lanes in the order of ggml's `hsum_float_8`.
    @inline(__always)
    var sum: Float { treeSum(high + low) }
}

/// Lane by lane `sum + integers * scale`, rounded once.
///
/// In Double the product is exact; the sum is rounded to Float. That is what the fused multiply-add of ggml's AVX2
/// kernels gives, save for a double rounding about once in 2^29. (The instruction itself would be a library call on
/// baseline x86-64.)
@inline(__always)
func fused(_ sum: SIMD4<Float>, _ integers: SIMD4<Int32>, _ scale: Float) -> SIMD4<Float> {
    SIMD4<Float>(SIMD4<Double>(sum) + SIMD4<Double>(integers) * Double(scale))
}

/// `sum + integer * scale`, rounded once.
@inline(__always)
func fused(_ sum: Float, _ integer: Int32, _ scale: Float) -> Float {
    Float(Double(sum) + Double(integer) * Double(scale))
}

/// (0 + 2) + (1 + 3).
@inline(__always)
func treeSum(_ lanes: SIMD4<Float>) -> Float {
    (lanes[0] + lanes[2]) + (lanes[1] + lanes[3])
}
