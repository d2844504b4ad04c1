/// Symmetric integers: the largest magnitude becomes the largest code. Zero is always exact; one outlier makes every
/// step of its group coarse.
public struct AbsmaxScheme: TeachingScheme {
    public let bits: Int
    public let group: TeachingGroup

    /// - Parameter bits: 2 to 16.
    public init(bits: Int, group: TeachingGroup) {
        precondition((2...16).contains(bits), "\(bits) bits")
        (self.bits, self.group) = (bits, group)
    }

    public var name: String { "INT\(bits) absmax/\(group.name)" }
    public var formula: String { "s = max|x| / \(top), q = round(x / s), x ≈ s·q" }
    private var top: Int { 1 << (bits - 1) - 1 }

    public func roundTrip(_ values: [Float], rows: Int, columns: Int) -> TeachingResult {
        let ranges = group.ranges(rows: rows, columns: columns)
        return Quantization.roundTrip(values, ranges, bits: bits, stored: 32) { group in
            let scale = group.reduce(0) { max($0, $1.magnitude) } / Float(top)
            let parameters = TeachingParameters(scale: scale, zeroPoint: 0, count: group.count)
            return (parameters, { scale == 0 ? 0 : max(-Float(top), min(Float(top), ($0 / scale).rounded())) * scale })
        }
    }
}
