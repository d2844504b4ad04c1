/// The codes that weights of a format can have, and what the scale is multiplied by for each.
public struct CodeBook: Sendable {
    /// Different codes; of plain numbers, different numbers.
    public let count: Int
    /// The codes that stand for the lowest and the highest value if the scale is positive.
    public let ends: (lowest: Int, highest: Int)
    /// All that a scale can be multiplied by. Where codes are used as they are, or less a number, in order.
    public let factors: [Float]
    /// What codes 0, 1, … stand for; `nil` where they are used as they are, less a number.
    public let table: [Int]?
    let containsZero: Bool

    private init(count: Int, ends: (Int, Int), factors: [Float], table: [Int]? = nil) {
        (self.count, self.ends, self.factors, self.table) = (count, ends, factors, table)
        containsZero = factors.contains(0)
    }

    /// Codes that a number is taken off.
    init(_ codes: ClosedRange<Int>, subtracted: Int = 0) {
        self.init(
            count: codes.count, ends: (codes.lowerBound, codes.upperBound),
            factors: codes.map { Float($0 - subtracted) })
    }

    /// Codes that stand for the values of a table.
    init(table: [Int]) {
        self.init(
            count: table.count,
            ends: (table.indices.min { table[$0] < table[$1] }!, table.indices.max { table[$0] < table[$1] }!),
            factors: table.map(Float.init), table: table)
    }

    /// The values of a grid's points, in any order, with signs that are stored or with a shift up or down.
    init(grid values: Set<Int>, isSigned: Bool, shift: Float) {
        let codes = isSigned ? values.union(values.map { -$0 }) : values
        let factors = shift == 0 ? codes.map(Float.init) : codes.flatMap { [Float($0) - shift, Float($0) + shift] }
        self.init(count: codes.count, ends: (codes.min()!, codes.max()!), factors: factors.sorted())
    }

    /// Numbers that stand for themselves.
    init(numbersOfBits bits: Int) { self.init(count: 1 << bits, ends: (0, 1 << bits - 1), factors: []) }
}
