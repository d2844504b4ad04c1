import Quantization
import Tensors

/// A format by example: a block of it made here and now.
public struct FormatExplanation: Sendable {
    /// A few weights, the block they become, and back.
    public struct Example: Sendable {
        public let weights: [Float]
        public let block: BlockDescription

        public var errors: [Float] { zip(weights, block.elements).map { $1.value - $0 } }

        public var maximumError: Float { errors.reduce(0) { max($0, $1.magnitude) } }
    }

    public let type: TensorType
    public let activationType: TensorType
    /// The weights that it is shown on.
    public let sample: SampleWeights
    public let example: Example

    /// The type with a name, in any case.
    ///
    /// - Parameter weights: what the format is shown on.
    /// - Throws: `BlockProblem` if there is none, or its blocks cannot be made or taken apart.
    public init(named name: String, on weights: SampleWeights = .madeUp) throws(BlockProblem) {
        let known =
            BlockFormats.describable.filter { $0 is any EncodableFormat }.map(\.type.name)
            + TeachingSchemes.all.map(\.id)
        guard let type = TensorType.allCases.first(where: { $0.name.lowercased() == name.lowercased() }) else {
            throw BlockProblem.unknownFormat(name: name, known: known)
        }
        guard let format = BlockFormats.describableFormat(for: type), format is any EncodableFormat else {
            throw BlockProblem.formatNotDescribable(type: type, known: known)
        }
        self.type = type
        activationType = format.activationType
        sample = weights
        example = Example(weights.block(type.blockElements), as: type)
    }
}

extension FormatExplanation.Example {
    /// - Precondition: one block of weights, in a format that can be made and taken apart.
    package init(_ weights: [Float], as type: TensorType) {
        let encoder = BlockFormats.encodableFormat(for: type)!
        var bytes = [UInt8](repeating: 0, count: type.blockBytes)
        var elements = bytes.mutableSpan
        var span = elements.mutableBytes
        encoder.encode(weights.span, importance: nil, into: &span)
        self.weights = weights
        block = BlockFormats.describableFormat(for: type)!.describe(bytes.span.bytes)
    }

    /// Root of the mean squared error of some of the weights.
    package func rmse(_ indices: some Collection<Int>) -> Double {
        let squares = indices.reduce(0.0) { $0 + Double(errors[$1]) * Double(errors[$1]) }
        return (squares / Double(indices.count)).squareRoot()
    }
}
