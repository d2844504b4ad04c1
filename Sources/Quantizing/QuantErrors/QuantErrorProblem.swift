import Tensors

/// Why weights cannot be compared.
public enum QuantErrorProblem: InputProblem, Sendable, Equatable {
    case notDecodable(file: String, tensor: String, type: TensorType)
    case notEncodable(type: String, known: [String])
    case needsImportance(type: TensorType)
    case notFinite(file: String, tensor: String, index: Int, value: Float)
    case missing(file: String, tensor: String)
    case shapes(tensor: String, found: Shape, expected: Shape)
    case nothingToCompare(file: String, advice: String)
}

extension QuantErrorProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notDecodable(let file, let tensor, let type):
            "\(file): tensor '\(tensor)' is \(type), which cannot be decoded yet"
        case .notEncodable(let type, let known):
            "'\(type)' is no format that can be written; known are \(known.joined(separator: ", "))"
        case .needsImportance(let type):
            "\(type) can only be written with an importance matrix; `quant errors --imatrix FILE` takes one"
        case .notFinite(let file, let tensor, let index, let value):
            "\(file): tensor '\(tensor)' holds \(value) at element \(index); no format can stand for it. The file is damaged."
        case .missing(let file, let tensor):
            "\(file) has no tensor '\(tensor)'; are the two files the same model?"
        case .shapes(let tensor, let found, let expected):
            "tensor '\(tensor)' has shape \(found) in one file and \(expected) in the other; are they the same model?"
        case .nothingToCompare(let file, let advice):
            "\(file): no tensor to compare. \(advice)"
        }
    }
}
