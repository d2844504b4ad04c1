/// One way of quantising that textbooks show, for comparison with the block formats: what becomes of a matrix.
///
/// A block format keeps its scale next to 32 to 256 weights. These schemes share one scale among a whole tensor, a row or
/// a group, so that it becomes plain what a block scale and a minimum are good for.
public protocol TeachingScheme: Sendable {
    /// A short name, such as `INT8 absmax/row`.
    var name: String { get }

    /// The name as it is typed, such as `int8-absmax-row`.
    var id: String { get }

    /// How a code is made and what it stands for.
    var formula: String { get }

    /// Bits of a code.
    var bits: Int { get }

    /// Which weights share parameters.
    var group: TeachingGroup { get }

    /// The parameters of a group and the bits they are stored in.
    var stored: [(name: String, bits: Int)] { get }

    /// Quantises a matrix and gives back what its codes stand for.
    ///
    /// - Parameters:
    ///   - values: `rows * columns` finite numbers, row by row.
    ///   - rows: how many rows the matrix has.
    ///   - columns: numbers in a row.
    func roundTrip(_ values: [Float], rows: Int, columns: Int) -> TeachingResult

    /// How one number of a group becomes a code and what that stands for, a sentence a step, with its numbers.
    ///
    /// - Precondition: `value` is one of `group`, whose numbers are finite and not all zero.
    func steps(for value: Float, in group: ArraySlice<Float>) -> [String]
}

/// What a teaching scheme makes of a matrix.
public struct TeachingResult: Sendable {
    /// The numbers the codes stand for, row by row.
    public let values: [Float]
    /// The parameters of each group in order. They are computed with as they are, not rounded to F16.
    public let parameters: [TeachingParameters]
    /// Stored bits per weight, parameters included.
    public let bitsPerWeight: Double
}

/// What a group of weights shares.
public struct TeachingParameters: Sendable, Equatable {
    /// The value of one step of the code.
    public let scale: Float
    /// The code that stands for zero; 0 in symmetric schemes.
    public let zeroPoint: Int
    /// Weights of the group.
    public let count: Int

    /// Parameters are the properties of the same names.
    public init(scale: Float, zeroPoint: Int, count: Int) {
        (self.scale, self.zeroPoint, self.count) = (scale, zeroPoint, count)
    }
}

/// The schemes that textbooks show.
public enum TeachingSchemes {
    /// Every scheme, in the order in which pages show them.
    public static let all: [any TeachingScheme] = [
        AbsmaxScheme(bits: 8, group: .tensor),
        AbsmaxScheme(bits: 8, group: .row),
        AffineScheme(bits: 8, group: .tensor),
        AffineScheme(bits: 8, group: .row),
        FixedPointScheme(bits: 16),
        FixedPointScheme(bits: 8),
        AffineScheme(bits: 4, group: .elements(32)),
        AffineScheme(bits: 4, group: .elements(128)),
    ]

    /// The scheme with an id, in any case; of several that begin with it, the first.
    public static func named(_ id: String) -> (any TeachingScheme)? {
        let id = id.lowercased()
        return all.first { $0.id == id } ?? all.first { $0.id.hasPrefix(id + "-") }
    }
}

/// Which weights share parameters.
public enum TeachingGroup: Sendable, Hashable {
    case tensor
    case row
    /// So many consecutive weights of a row; the last group of a row may be shorter.
    case elements(Int)

    /// In words: `tensor`, `row`, `group of 32`.
    public var name: String {
        switch self {
        case .tensor: "tensor"
        case .row: "row"
        case .elements(let count): "group of \(count)"
        }
    }

    /// As ids have it.
    var suffix: String {
        switch self {
        case .tensor: "tensor"
        case .row: "row"
        case .elements(let count): "\(count)"
        }
    }

    /// The ranges of values that share parameters.
    func ranges(rows: Int, columns: Int) -> [Range<Int>] {
        switch self {
        case .tensor: rows * columns == 0 ? [] : [0..<rows * columns]
        case .row: columns == 0 ? [] : (0..<rows).map { $0 * columns..<($0 + 1) * columns }
        case .elements(let count):
            (0..<rows).flatMap { row in
                stride(from: 0, to: columns, by: count).map {
                    row * columns + $0..<row * columns + min($0 + count, columns)
                }
            }
        }
    }
}

extension TeachingScheme {
    /// Applies a scheme group by group.
    ///
    /// - Parameter quantize: the parameters of a group, and the value that the code of a number stands for.
    func roundTrip(
        _ values: [Float], _ ranges: [Range<Int>],
        quantize: (ArraySlice<Float>) -> (TeachingParameters, (Float) -> Float)
    ) -> TeachingResult {
        precondition(
            ranges.reduce(0) { $0 + $1.count } == values.count, "\(values.count) values do not fill the matrix")
        var result = values
        var parameters: [TeachingParameters] = []
        for range in ranges {
            let (found, value) = quantize(values[range])
            parameters.append(found)
            for i in range { result[i] = value(values[i]) }
        }
        let overhead = values.isEmpty ? 0 : Double(parameterBits * ranges.count) / Double(values.count)
        return TeachingResult(values: result, parameters: parameters, bitsPerWeight: Double(bits) + overhead)
    }

    /// Bits of a group's parameters.
    private var parameterBits: Int { stored.reduce(0) { $0 + $1.bits } }
}
