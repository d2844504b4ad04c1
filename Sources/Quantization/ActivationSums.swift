// What a constant per sub-block (a minimum, an offset) contributes to a product with Q8_K: the constant times the sum
// of the activations of the sub-block, which Q8_K stores.

/// Lane k: `values[2k] * sums[2k] + values[2k+1] * sums[2k+1]`, for the 16 sub-blocks of 16.
@inline(__always)
func pairedProducts(_ values: InlineArray<16, Int16>, _ sums: InlineArray<16, PackedInt16>) -> IntegerLanes {
    var lanes = IntegerLanes()
    lanes.low = quads(values.words(0), sums.words(0))
    lanes.high = quads(values.words(16), sums.words(16))
    return lanes
}

/// Lane k: minima 2k and 2k+1, each times the sum of its 32 activations.
@inline(__always)
func minimumProducts(_ minima: InlineArray<8, Int16>, _ sums: InlineArray<16, PackedInt16>) -> SIMD4<Int32> {
    var products = (quads(sums.words(0)), quads(sums.words(16)))
    for k in 0..<4 {
        products.0[k] &*= Int32(minima[k])
        products.1[k] &*= Int32(minima[k + 4])
    }
    return SIMD4(
        lowHalf: products.0.evenHalf &+ products.0.oddHalf, highHalf: products.1.evenHalf &+ products.1.oddHalf)
}

/// Lane k: `left[2k] * right[2k] + left[2k+1] * right[2k+1]`.
@inline(__always)
private func quads(_ left: SIMD8<Int16>, _ right: SIMD8<Int16>) -> SIMD4<Int32> {
    let (left, right) = (unsafeBitCast(left, to: SIMD4<Int32>.self), unsafeBitCast(right, to: SIMD4<Int32>.self))
    return ((left &<< 16) &>> 16) &* ((right &<< 16) &>> 16) &+ (left &>> 16) &* (right &>> 16)
}
