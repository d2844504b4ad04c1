/// The scales and minima of a block as its weights meet them, all in Float as ggml computes them.
public struct BlockScales: Sendable {
    /// How a minimum enters a value.
    public enum Minimum: Sendable {
        /// `q * d + m`.
        case added
        /// `q * scale - min`.
        case subtracted
    }

    /// `d` as stored; `nil` for plain numbers, and where only sub-blocks have scales.
    public let scale: Float?
    /// `m` or `dmin` as stored; `nil` for formats without.
    public let minimum: Float?
    /// How this format's minimum enters a value; no matter where there is none.
    public let use: Minimum
    /// The effective scale of each sub-block; of the block where there is only one.
    public let subScales: [Float]
    /// The effective minimum of each sub-block; empty for formats without.
    public let subMinima: [Float]

    /// A block with one scale, and with one minimum that is added.
    init(d: Float, m: Float? = nil) {
        (scale, minimum, use, subScales, subMinima) = (d, m, .added, [d], m.map { [$0] } ?? [])
    }

    /// A super-block; minima are subtracted.
    init(d: Float?, scales: [Float], dmin: Float? = nil, minima: [Float] = []) {
        (scale, minimum, use, subScales, subMinima) = (d, dmin, .subtracted, scales, minima)
    }

    private init() { (scale, minimum, use, subScales, subMinima) = (nil, nil, .added, [], []) }

    /// Of numbers that stand for themselves.
    static let none = BlockScales()

    /// The value of a code in a sub-block, with the roundings of `decode`.
    ///
    /// - Parameters:
    ///   - factor: what the scale is multiplied by; see `CodeBook`.
    ///   - sub: index of the sub-block.
    public func value(_ factor: Float, sub: Int) -> Float {
        let product = subScales[sub] * factor
        guard !subMinima.isEmpty else { return product }
        return use == .added ? product + subMinima[sub] : product - subMinima[sub]
    }

    /// Whether some code of a sub-block stands for exactly zero.
    public func isZeroExact(sub: Int, book: CodeBook) -> Bool {
        guard sub < subScales.count else { return true }
        guard !subMinima.isEmpty else { return subScales[sub].isFinite && (subScales[sub] == 0 || book.containsZero) }
        let zero = (use == .added ? -subMinima[sub] : subMinima[sub]) / subScales[sub]
        // A scale of 0 makes every code the minimum.
        guard subScales[sub] != 0, zero.isFinite else { return value(book.factors[0], sub: sub) == 0 }
        // Codes of formats with a minimum are multiplied as they are, so that only one of them can meet it.
        let nearest = zero.rounded()
        guard nearest >= book.factors[0], nearest <= book.factors.last! else { return false }
        return value(nearest, sub: sub) == 0
    }
}
