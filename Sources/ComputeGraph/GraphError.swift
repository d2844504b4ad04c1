import Tensors

/// A graph that cannot be built.
public enum GraphError: InputProblem, Sendable, Equatable {
    /// The inputs of an operation do not fit together.
    case shape(kind: String, inputs: [Layout], expected: String)
}

extension GraphError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .shape(let kind, let inputs, let expected):
            "\(kind) of (\(inputs.map(\.description).joined(separator: ", "))): expected \(expected)"
        }
    }
}
