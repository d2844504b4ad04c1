/// Unsigned integers with a zero point: the range from the smallest to the largest number is spread over all codes. The
/// zero point is an integer code, so that zero stays exact; ggml's formats with a minimum store that minimum as a
/// floating point number instead.
public struct AffineScheme: TeachingScheme {
    public let bits: Int
    public let group: TeachingGroup

    /// - Parameters:
    ///   - bits: 2 to 16.
    ///   - group: which weights share a scale.
    public init(bits: Int, group: TeachingGroup) {
        precondition((2...16).contains(bits), "\(bits) bits")
        (self.bits, self.group) = (bits, group)
    }

    public var name: String { "INT\(bits) affine/\(group.name)" }
    public var formula: String { "s = (max - min) / \(top), z = round(-min / s), q = round(x/s + z), x ≈ s·(q - z)" }
    public var id: String { "int\(bits)-affine-\(group.suffix)" }
    public var stored: [(name: String, bits: Int)] { [("s", 32), ("z", bits)] }
    private var top: Int { 1 << bits - 1 }

    public func roundTrip(_ values: [Float], rows: Int, columns: Int) -> TeachingResult {
        let ranges = group.ranges(rows: rows, columns: columns)
        return self.roundTrip(values, ranges) { group in
            // Zero has to be in the range, or it would have no code.
            let (low, high) = (group.reduce(0, min), group.reduce(0, max))
            let scale = (high - low) / Float(top)
            guard scale > 0 else {
                return (TeachingParameters(scale: 0, zeroPoint: 0, count: group.count), { _ in 0 })
            }
            let zero = (-low / scale).rounded()
            let parameters = TeachingParameters(scale: scale, zeroPoint: Int(zero), count: group.count)
            return (parameters, { (max(0, min(Float(top), ($0 / scale + zero).rounded())) - zero) * scale })
        }
    }

    public func steps(for value: Float, in group: ArraySlice<Float>) -> [String] {
        let (low, high) = (group.reduce(0, min), group.reduce(0, max))
        let scale = (high - low) / Float(top)
        let zero = (-low / scale).rounded()
        let unrounded = value / scale + zero
        let code = max(0, min(Float(top), unrounded.rounded()))
        return [
            "s: (max - min) / \(top) = (\(high) - \(low.sign == .minus ? "(\(low))" : "\(low)")) / \(top) = \(scale)",
            "z: round(-min / s) = round(\(-low / scale)) = \(Int(zero)), the code that stands for 0",
            "q: round(x / s + z) = round(\(value) / \(scale) + \(Int(zero))) = round(\(unrounded)) = \(Int(code))"
                + (unrounded.rounded() == code ? "" : ", the last code there is"),
            "x: s * (q - z) = \(scale) * (\(Int(code)) - \(Int(zero))) = \((code - zero) * scale)",
        ]
    }
}
