import GGUF
import Recording
import Tensors

/// What is added to the stream after each layer, as llama.cpp's control vectors are: a direction for each layer but the first.
///
/// Source: llama.cpp `llama-adapter.cpp`, and `common_control_vector_load` in `common.cpp`: directions of several files are
/// summed in F32, each by its factor, and the sum is added to `l_out` of the layer that the tensor's number says.
public struct ControlVector: Sendable {
    /// By layer.
    public private(set) var directions: [Int: [Float]] = [:]
    /// Where each direction is from, by layer: `happy.gguf:direction.7*0.8`.
    private var sources: [Int: [String]] = [:]

    /// What the values are added to.
    static func node(of layer: some CustomStringConvertible) -> String { "l_out-\(layer)" }

    /// What the tensors of such a file are called.
    static let prefix = "direction."

    public init() {}

    /// Adds the directions of a file.
    ///
    /// - Parameter layers: those that get one; `nil`: all that the file has.
    /// - Throws: `GGUFError`; `InterventionProblem` if the file is no control vector, or has none for these layers.
    public mutating func add(_ path: String, factor: Float, layers: Range<Int>?) throws {
        let file = try GGUFFile(path: path)
        guard !file.tensors.isEmpty else { throw InterventionProblem.noVector(file: path, found: "no tensors") }
        for tensor in file.tensors {
            guard tensor.name.hasPrefix(Self.prefix), let layer = Int(tensor.name.dropFirst(Self.prefix.count)),
                layer > 0
            else {
                throw InterventionProblem.noVector(file: path, found: "a tensor '\(tensor.name)'")
            }
            if let layers, !layers.contains(layer) { continue }
            let values = try file.vector(tensor.name).map { $0 * factor }
            if let before = directions[layer] {
                guard before.count == values.count else {
                    throw InterventionProblem.notAVector(
                        file: path, tensor: tensor.name,
                        found: "of \(values.count) values where another file has \(before.count)")
                }
                directions[layer] = zip(before, values).map(+)
            } else {
                directions[layer] = values
            }
            sources[layer, default: []].append("\(path):\(tensor.name)" + (factor == 1 ? "" : "*\(factor)"))
        }
        guard !directions.isEmpty else {
            throw InterventionProblem.noVector(
                file: path, found: "no direction for layers \(layers!.lowerBound) to \(layers!.upperBound - 1)")
        }
    }

    /// The changes to a run, layer by layer.
    public var records: [InterventionRecord] {
        directions.sorted { $0.key < $1.key }.map { layer, values in
            InterventionRecord(
                .add, target: Self.node(of: layer), spec: sources[layer]!.joined(separator: " + "), vector: values)
        }
    }
}

extension InterventionRecord {
    fileprivate init(_ kind: Kind, target: String, spec: String, vector: [Float]) {
        self.init(kind, target: target, spec: spec, patches: [0: Patch(shape: Shape(vector.count), values: vector)])
    }

    /// `--add`: `ADDRESS=NUMBER`, `ADDRESS=FILE.npy`, or `ADDRESS=FILE.gguf:TENSOR`, the last two with `*FACTOR` where wanted.
    ///
    /// - Throws: `InterventionProblem`, `ArrayProblem` or `GGUFError` if there is no such vector.
    public static func add(_ text: String) throws -> InterventionRecord {
        let expected =
            "ADDRESS=NUMBER, ADDRESS=FILE.npy*FACTOR or ADDRESS=FILE.gguf:TENSOR*FACTOR, as in l_out-15=v.npy*2"
        let (target, spec) = try halves(text, expected: expected)
        if let number = Float(spec) {
            guard number.isFinite else { throw InterventionProblem.syntax(text: text, expected: expected) }
            return InterventionRecord(.add, target: target, spec: spec)
        }
        let (source, factor) = scaled(spec)
        guard factor.isFinite else { throw InterventionProblem.syntax(text: text, expected: expected) }
        let values: [Float]
        if let colon = source.range(of: ".gguf:")?.upperBound {
            values = try GGUFFile(path: String(source[..<source.index(before: colon)]))
                .vector(String(source[colon...]))
        } else if source.hasSuffix(".gguf") {
            throw InterventionProblem.syntax(
                text: text,
                expected:
                    "the name of a tensor after \(source):, or the option --control-vector \(source) for all layers")
        } else if source.hasSuffix(".npy") {
            values = try ArrayVector.read(source)
        } else {
            throw InterventionProblem.syntax(text: text, expected: expected)
        }
        guard let bad = values.first(where: { !($0 * factor).isFinite }) else {
            return InterventionRecord(.add, target: target, spec: spec, vector: values.map { $0 * factor })
        }
        throw InterventionProblem.notAVector(file: source, tensor: nil, found: "a vector with \(bad)")
    }

    /// `FILE*FACTOR`, of which the factor may be missing.
    public static func scaled(_ text: String) -> (source: String, factor: Float) {
        guard let star = text.lastIndex(of: "*"), let factor = Float(text[text.index(after: star)...]) else {
            return (text, 1)
        }
        return (String(text[..<star]), factor)
    }
}

extension GGUFFile {
    /// A tensor of one dimension.
    ///
    /// - Throws: `InterventionProblem` if there is none of the name, or it is no vector.
    fileprivate func vector(_ name: String) throws -> [Float] {
        guard let tensor = tensor(named: name) else {
            throw InterventionProblem.noTensor(
                file: path, name: name, suggestions: nearest(to: name, in: tensors.map(\.name)))
        }
        guard tensor.type == .f32, tensor.shape.rows == 1 else {
            throw InterventionProblem.notAVector(
                file: path, tensor: name, found: "\(tensor.type.name) \(tensor.shape)")
        }
        let values = values(of: tensor).floats()
        if let bad = values.first(where: { !$0.isFinite }) {
            throw InterventionProblem.notAVector(file: path, tensor: name, found: "a vector with \(bad)")
        }
        return values
    }
}
