import LlamaModel
import Recording
import Tensors

/// What a tuned lens adds to the stream before the model's own output reads it: `x + (W x + b)`, W and b of each layer.
///
/// Layer l's translator, tensors `l.weight` and `l.bias`, reads the stream as layer l does: 0 the embedding. What comes after
/// the last layer is the model's own, and has none. Source: Belrose et al., "Eliciting latent predictions from
/// transformers with the tuned lens" (2023), and the names of the package `tuned-lens`.
public struct LensTranslator: Sendable {
    public let path: String
    /// By layer.
    private let layers: [(weight: [Float], bias: [Float])]

    /// What names may begin with.
    private static let prefixes = ["", "layer_translators."]

    /// - Throws: `SafetensorsProblem`, or `LensTranslatorProblem` if it is not one for this model.
    public init(path: String, for model: Llama) throws {
        let file = try SafetensorsFile(path: path)
        let (count, width) = (model.configuration.layers, model.configuration.embedding)
        let prefix = Self.prefixes.first { file.entries["\($0)0.weight"] != nil } ?? ""
        func values(_ name: String, _ shape: [Int]) throws -> [Float] {
            guard let entry = file.entries[prefix + name] else {
                throw LensTranslatorProblem.missing(file: path, name: prefix + name, layers: count, width: width)
            }
            guard entry.shape == shape, let values = file.floats(entry) else {
                throw LensTranslatorProblem.shape(
                    file: path, name: prefix + name, found: "\(entry.type) \(entry.shape)", expected: shape)
            }
            guard values.allSatisfy(\.isFinite) else {
                throw LensTranslatorProblem.notFinite(file: path, name: prefix + name)
            }
            return values
        }
        layers = try (0..<count).map { layer in
            (weight: try values("\(layer).weight", [width, width]), bias: try values("\(layer).bias", [width]))
        }
        guard file.entries["\(prefix)\(count).weight"] == nil else {
            throw LensTranslatorProblem.tooMany(file: path, name: "\(prefix)\(count).weight", layers: count)
        }
        self.path = path
    }

    /// The stream as the lens is to read it: the embedding, then what each layer left; of the last layer as it is.
    public func translated(_ stream: [[Float]]) -> [[Float]] {
        zip(stream, layers).map { translated($0, $1.weight, $1.bias) } + stream.suffix(1)
    }

    /// Sums in Double, rounded once to what is added.
    private func translated(_ x: [Float], _ weight: [Float], _ bias: [Float]) -> [Float] {
        weight.withUnsafeBufferPointer { weight in
            x.indices.map { row in
                var sum = Double(bias[row])
                for column in x.indices { sum += Double(weight[row * x.count + column]) * Double(x[column]) }
                return x[row] + Float(sum)
            }
        }
    }
}

/// A file that is no tuned lens of a model.
public enum LensTranslatorProblem: InputProblem, Equatable {
    case missing(file: String, name: String, layers: Int, width: Int)
    case shape(file: String, name: String, found: String, expected: [Int])
    case notFinite(file: String, name: String)
    case tooMany(file: String, name: String, layers: Int)
}

extension LensTranslatorProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .missing(let file, let name, let layers, let width):
            "\(file): found no '\(name)', expected N.weight [\(width), \(width)] and N.bias [\(width)] for each layer N from 0 "
                + "to \(layers - 1), as the package tuned-lens names them; layer_translators. may stand before."
        case .shape(let file, let name, let found, let expected):
            "\(file): '\(name)' is \(found), expected F32, F16 or BF16 \(expected). It is a lens of another model."
        case .notFinite(let file, let name): "\(file): '\(name)' holds numbers that are not finite."
        case .tooMany(let file, let name, let layers):
            "\(file): found '\(name)', and the model has layers 0 to \(layers - 1). It is a lens of another model."
        }
    }
}
