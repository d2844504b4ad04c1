import Tensors

/// Eight weights that are a point of a grid, or two points of four.
public struct GridPoint: Sendable {
    /// Indices of the eight weights in the block.
    public let elements: Range<Int>
    /// Indices in the grid's list: of one point of eight, or of two of four.
    public let indices: [StoredInteger]
    /// What the eight weights are multiples of, without the signs that are stored.
    public let values: [Int]
    /// A set bit is a negative weight; `nil` where values have signs themselves.
    public let signs: StoredInteger?
    /// Whether each of the eight is negative.
    public let isNegative: [Bool]
    /// 1 if the values are shifted downwards; `nil` for grids without a shift.
    public let shift: StoredInteger?

    /// Only seven signs are stored; the eighth makes the number of negative ones even.
    public var hasSevenSigns: Bool { signs?.parts.reduce(0) { $0 + $1.width } == 7 }

    /// The value of one of the eight, with its sign and before any shift.
    func code(_ index: Int) -> Int { isNegative[index] ? -values[index] : values[index] }
}

/// Where a block of a format with a grid keeps what belongs to eight weights, and what the grid is.
struct GridLayout {
    let grid: Grid
    /// The bits of the indices: one of a point of eight, or two of points of four.
    let indices: (Int) -> [[BitField]]
    /// Seven or eight bits, the first weight's lowest.
    var signs: ((Int) -> [BitField])?
    /// The bit that is set if the values are shifted downwards.
    var shift: ((Int) -> [BitField])?

    /// How far values are shifted; 0 for grids without.
    var shiftLength: Float { shift == nil ? 0 : 0.125 }

    var book: CodeBook {
        let values = Set((0..<grid.values.count).flatMap { unshifted($0) })
        return CodeBook(grid: values, isSigned: signs != nil, shift: shiftLength)
    }

    /// The values of a point. (Grids with a shift count in eighths.)
    private func unshifted(_ index: Int) -> [Int] {
        let count = indices(0).count == 1 ? 8 : 4
        return (0..<count).map { Int(grid.values[index][$0]) / (shift == nil ? 1 : 8) }
    }

    func point(_ number: Int, of block: RawSpan) -> GridPoint {
        let indices = indices(number).map { StoredInteger($0, of: block) }
        let signs = signs.map { StoredInteger($0(number), of: block) }
        var bits = UInt8(signs?.code ?? 0)
        if signs?.parts.reduce(0, { $0 + $1.width }) == 7 { bits = evenSigns(UInt32(bits)) }
        return GridPoint(
            elements: 8 * number..<8 * number + 8, indices: indices, values: indices.flatMap { unshifted($0.code) },
            signs: signs, isNegative: (0..<8).map { bits >> $0 & 1 == 1 },
            shift: shift.map { StoredInteger($0(number), of: block) })
    }

    /// What the scale is multiplied by for one of eight weights.
    func factor(_ point: GridPoint, _ index: Int) -> Float {
        let shift = point.shift.map { $0.code == 1 ? -shiftLength : shiftLength } ?? 0
        return Float(point.code(index)) + shift
    }
}
