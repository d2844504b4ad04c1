import Quantization
import Tensors

/// A scheme of textbooks by example: what it makes of some weights.
public struct SchemeExplanation: Sendable {
    public let scheme: any TeachingScheme
    /// Where the weights are from that it is shown on; `nil` if they are made up.
    public let source: String?
    public let rows: Int
    public let columns: Int
    /// `rows * columns` numbers, row by row.
    public let weights: [Float]
    public let result: TeachingResult
    /// The weight of largest magnitude in the first group, and how it comes back.
    public let element: Int
    public let steps: [String]

    /// - Parameter weights: what the scheme is shown on.
    public init(_ scheme: any TeachingScheme, on weights: SampleWeights = .madeUp) {
        self.scheme = scheme
        source = weights.source
        (rows, columns) = (4, 256)
        let sample = (0..<4).flatMap { weights.block(256, number: $0) }
        self.weights = sample
        result = scheme.roundTrip(sample, rows: rows, columns: columns)
        let group = sample[..<result.parameters[0].count]
        element = group.indices.max { group[$0].magnitude < group[$1].magnitude }!
        steps = scheme.steps(for: group[element], in: group)
    }

    /// The code of a weight.
    public func code(of index: Int) -> Int {
        var (group, end) = (0, result.parameters[0].count)
        while index >= end {
            group += 1
            end += result.parameters[group].count
        }
        let parameters = result.parameters[group]
        guard parameters.scale != 0 else { return parameters.zeroPoint }
        return Int((result.values[index] / parameters.scale).rounded()) + parameters.zeroPoint
    }
}
