// What IQ1_S and IQ1_M share: weights become -1, 0 or 1, shifted an eighth up or down together. The best split of sorted
// weights into three can be found exactly, by trying all; the codes then move to points of the grid.
// Source: ggml `quantize_row_iq1_s_impl`, `quantize_row_iq1_m_impl`.

enum ShiftedGrid {
    /// What the codes 0, 1, 2 stand for, shifted up and down.
    static let up: InlineArray<3, Float> = [-0.875, 0.125, 1.125]
    static let down: InlineArray<3, Float> = [-1.125, -0.125, 0.875]

    /// What errors weigh: `importance * sqrt(variance + x^2)`, or x^2 without importance.
    @inline(__always)
    static func weight(_ x: Float, _ importance: Span<Float>?, _ index: Int, variance: Float) -> Float {
        guard let importance else { return x * x }
        return importance[index] * (variance + x * x).squareRoot()
    }

    /// Indices of a sub-block in the order of its values; equal values stay in order.
    @inline(__always)
    static func order<let length: Int>(_ x: InlineArray<length, Float>) -> InlineArray<length, Int> {
        var order = InlineArray<length, Int>(repeating: 0)
        for i in 0..<length {
            var j = i
            while j > 0, x[i] < x[order[j - 1]] {
                order[j] = order[j - 1]
                j -= 1
            }
            order[j] = i
        }
        return order
    }

    /// The codes of a split: those of the lowest values are 0, from `first` on 1, from `second` on 2; reversed if the
    /// scale is negative.
    @inline(__always)
    static func codes<let length: Int>(
        _ order: InlineArray<length, Int>, _ first: Int, _ second: Int, isReversed: Bool
    ) -> InlineArray<length, UInt8> {
        var codes = InlineArray<length, UInt8>(repeating: 0)
        for j in 0..<length {
            let code: UInt8 = j < first ? 0 : j < second ? 1 : 2
            codes[order[j]] = isReversed ? 2 - code : code
        }
        return codes
    }

    /// The point for eight codes from `start` on: their own, or the neighbour with the least error.
    static func point<let length: Int>(
        _ codes: InlineArray<length, UInt8>, _ x: InlineArray<length, Float>, _ w: InlineArray<length, Float>,
        from start: Int, scale: Float, values: InlineArray<3, Float>, neighbours: GridNeighbours
    ) -> (index: Int, isMoved: Bool) {
        var packed: UInt16 = 0
        for i in 0..<8 { packed |= UInt16(codes[start + i]) << (2 * i) }
        if let index = neighbours.index(packed) { return (index, false) }
        let near = neighbours.near(packed)
        var (best, found) = (Float.greatestFiniteMagnitude, Int(near.first ?? 0))
        for candidate in near {
            var error: Float = 0
            for i in 0..<8 {
                let value = values[Int(neighbours.code(Int(candidate), i))]
                let difference = scale * value - x[start + i]
                error += w[start + i] * difference * difference
            }
            if error < best { (best, found) = (error, Int(candidate)) }
        }
        return (found, true)
    }

    /// Adds the products of eight weights with the values of a point, and the squares of the values.
    @inline(__always)
    static func add<let length: Int>(
        _ sums: inout (qx: Float, qq: Float), _ x: InlineArray<length, Float>, _ w: InlineArray<length, Float>,
        from start: Int, point: Int, values: InlineArray<3, Float>, times factor: Float = 1, neighbours: GridNeighbours
    ) {
        for i in 0..<8 {
            let value = values[Int(neighbours.code(point, i))] * factor
            sums.qx += w[start + i] * value * x[start + i]
            sums.qq += w[start + i] * value * value
        }
    }

    /// The 3-bit code of a scale that stands for `2 code + 1`.
    @inline(__always)
    static func scaleCode(_ scale: Float, inverse: Float) -> UInt16 {
        UInt16(max(0, min(7, nearestInteger(0.5 * (inverse * scale - 1)))))
    }
}
