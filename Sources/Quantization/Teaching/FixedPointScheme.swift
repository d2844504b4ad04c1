/// Fixed point Qm.n: a sign, m bits before the point and n after it, m just large enough for the largest magnitude. The
/// scale is a power of two, so that a processor without floating point only has to shift.
public struct FixedPointScheme: TeachingScheme {
    public let bits: Int

    /// - Parameter bits: sign included, 2 to 24.
    public init(bits: Int) {
        precondition((2...24).contains(bits), "\(bits) bits")
        self.bits = bits
    }

    public var name: String { "Qm.n of \(bits) bits" }
    public var formula: String { "2^m > max|x|, n = \(bits - 1) - m, q = round(x · 2^n), x ≈ q / 2^n" }

    public var id: String { "qmn-\(bits)" }
    public var group: TeachingGroup { .tensor }
    public var stored: [(name: String, bits: Int)] { [("n", 8)] }

    public func roundTrip(_ values: [Float], rows: Int, columns: Int) -> TeachingResult {
        let ranges = TeachingGroup.tensor.ranges(rows: rows, columns: columns)
        return self.roundTrip(values, ranges) { values in
            let largest = values.reduce(0) { max($0, $1.magnitude) }
            // For numbers below one half m is negative: leading zeros after the point are not stored.
            let m = largest == 0 ? 0 : Int(largest.exponent) + 1
            let scale = Float(sign: .plus, exponent: m - (bits - 1), significand: 1)
            let (low, high) = (-Float(1 << (bits - 1)), Float(1 << (bits - 1) - 1))
            let parameters = TeachingParameters(scale: scale, zeroPoint: 0, count: values.count)
            return (parameters, { scale == 0 ? 0 : max(low, min(high, ($0 / scale).rounded())) * scale })
        }
    }

    public func steps(for value: Float, in group: ArraySlice<Float>) -> [String] {
        let largest = group.reduce(0) { max($0, $1.magnitude) }
        let m = Int(largest.exponent) + 1
        let n = bits - 1 - m
        let scaled = value * Float(sign: .plus, exponent: n, significand: 1)
        let code = max(-Float(1 << (bits - 1)), min(Float(1 << (bits - 1) - 1), scaled.rounded()))
        return [
            "m: 2^\(m) is the first power of two above max|x| = \(largest)",
            "n: \(bits - 1) - m = \(n) bits after the point; the scale is 2^\(-n) and nothing but n is stored",
            "q: round(x * 2^\(n)) = round(\(scaled)) = \(Int(code))",
            "x: q / 2^\(n) = \(code * Float(sign: .plus, exponent: -n, significand: 1))",
        ]
    }
}
