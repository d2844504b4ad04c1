/// Symmetric integers: the largest magnitude becomes the largest code. Zero is always exact; one outlier makes every
/// step of its group coarse.
public struct AbsmaxScheme: TeachingScheme {
    public let bits: Int
    public let group: TeachingGroup

    /// - Parameters:
    ///   - bits: 2 to 16.
    ///   - group: which weights share a scale.
    public init(bits: Int, group: TeachingGroup) {
        precondition((2...16).contains(bits), "\(bits) bits")
        (self.bits, self.group) = (bits, group)
    }

    public var name: String { "INT\(bits) absmax/\(group.name)" }
    public var formula: String { "s = max|x| / \(top), q = round(x / s), x ≈ s·q" }
    public var id: String { "int\(bits)-absmax-\(group.suffix)" }
    public var stored: [(name: String, bits: Int)] { [("s", 32)] }
    private var top: Int { 1 << (bits - 1) - 1 }

    public func roundTrip(_ values: [Float], rows: Int, columns: Int) -> TeachingResult {
        let ranges = group.ranges(rows: rows, columns: columns)
        return self.roundTrip(values, ranges) { group in
            let scale = group.reduce(0) { max($0, $1.magnitude) } / Float(top)
            let parameters = TeachingParameters(scale: scale, zeroPoint: 0, count: group.count)
            return (parameters, { scale == 0 ? 0 : max(-Float(top), min(Float(top), ($0 / scale).rounded())) * scale })
        }
    }

    public func steps(for value: Float, in group: ArraySlice<Float>) -> [String] {
        let largest = group.reduce(0) { max($0, $1.magnitude) }
        let scale = largest / Float(top)
        let code = max(-Float(top), min(Float(top), (value / scale).rounded()))
        return [
            "s: max|x| / \(top) = \(largest) / \(top) = \(scale)",
            "q: round(x / s) = round(\(value) / \(scale)) = round(\(value / scale)) = \(Int(code))",
            "x: s * q = \(scale) * \(Int(code)) = \(code * scale)",
        ]
    }
}
