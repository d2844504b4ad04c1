// What a constant per sub-block (a minimum, an offset) contributes to a product with Q8_K: the constant times the sum of
// the activations of the sub-block, which Q8_K stores.

/// Lane k: `values[2k] * sums[2k] + values[2k+1] * sums[2k+1]`, for the 16 sub-blocks of 16.
@inline(__always)
func pairedProducts(_ values: Codes16, _ sums: InlineArray<16, PackedInt16>) -> IntegerLanes {
    var lanes = IntegerLanes()
    for k in 0..<4 {
        lanes.low[k] =
            Int32(values.even[k]) &* Int32(sums[2 * k].value) &+ Int32(values.odd[k]) &* Int32(sums[2 * k + 1].value)
        lanes.high[k] =
            Int32(values.even[k + 4]) &* Int32(sums[2 * k + 8].value)
            &+ Int32(values.odd[k + 4]) &* Int32(sums[2 * k + 9].value)
    }
    return lanes
}

/// Lane k: minima 2k and 2k+1, each times the sum of its 32 activations.
@inline(__always)
func minimumProducts(_ scales: ScalesAndMinima6x8, _ sums: InlineArray<16, PackedInt16>) -> SIMD4<Int32> {
    var lanes = SIMD4<Int32>()
    for k in 0..<4 {
        let first = Int32(sums[4 * k].value) &+ Int32(sums[4 * k + 1].value)
        let second = Int32(sums[4 * k + 2].value) &+ Int32(sums[4 * k + 3].value)
        lanes[k] = Int32(scales.minimum(2 * k)) &* first &+ Int32(scales.minimum(2 * k + 1)) &* second
    }
    return lanes
}
