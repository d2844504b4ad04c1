import ComputeGraph
import GGUF
import LlamaModel
import Quantization
import RealModule
import Tensors

/// A direction for each layer in which the stream differs between two kinds of prompts, as llama.cpp's
/// `llama-cvector-generator` makes them.
///
/// The prompts of a pair are filled up to the same length. Of each token and each layer but the last, the difference of the
/// streams after the layer is a row; rows without a value above 1e-6 are left out. The direction is the rows' mean, or the
/// line that they lie along most: the eigenvector of Σ row · rowᵀ with the largest eigenvalue. Its length is 1.
///
/// Source: llama.cpp `tools/cvector-generator`: what is found after layer i is called `direction.(i + 1)`, and is added
/// after layer i + 1.
public struct ContrastVectors: Sendable {
    public enum Method: String, Sendable, CaseIterable {
        case mean, pca
    }

    public enum Tokens: String, Sendable, CaseIterable {
        case all, last
    }

    /// Token ids.
    public struct Pair: Sendable {
        public var positive: [Int]
        public var negative: [Int]
        /// What messages call it.
        public var name: String

        public init(positive: [Int], negative: [Int], name: String) {
            (self.positive, self.negative, self.name) = (positive, negative, name)
        }
    }

    /// What was found after a layer.
    public struct Layer: Sendable {
        /// The number of the tensor: one more than the layer's.
        public let number: Int
        public let rows: Int
        /// Size of the rows' mean, before it was made 1.
        public let meanSize: Double
        /// Of the rows' squares, the share that lies along the direction: 1 if all rows are multiples of it.
        public let share: Double
        /// Rows on the positive side of it.
        public let positive: Int
        public let direction: [Float]
    }

    public let method: Method
    public let tokens: Tokens
    public let architecture: String
    public private(set) var layers: [Layer] = []

    /// Rows with no value above this are left out.
    private static let threshold: Float = 1e-6

    /// - Parameters:
    ///   - isUnit: whether directions have length 1; a mean may keep its own.
    ///   - progress: called after each prompt.
    /// - Throws: `ContrastProblem` if the prompts of a pair do not differ, `LlamaError` if one is too long.
    public init(
        _ model: Llama, _ pairs: [Pair], by method: Method, of tokens: Tokens = .all, isUnit: Bool = true,
        threads: Int, instructions: InstructionSet = .best,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws {
        (self.method, self.tokens) = (method, tokens)
        architecture = model.configuration.architecture
        let count = model.configuration.layers
        guard count > 1 else { throw ContrastProblem.oneLayer(model: model.file.path) }
        let filler = try model.tokenizer.encode(" ", addSpecial: false).last
        var rows = [[Float]](repeating: [], count: count - 1)
        let width = model.configuration.embedding
        for (number, pair) in pairs.enumerated() {
            let streams = try [pair.positive, pair.negative].enumerated().map { side, ids in
                let length = max(pair.positive.count, pair.negative.count)
                var ids = ids
                // The last tokens are what is compared, where they are all that is.
                if tokens == .all, ids.count < length {
                    guard let filler else { throw ContrastProblem.noFiller(pair: pair.name) }
                    ids += Array(repeating: filler, count: length - ids.count)
                }
                let found = try Self.streams(
                    of: model, ids, last: tokens == .last, threads: threads, instructions: instructions)
                try progress(2 * number + side + 1, 2 * pairs.count)
                return found
            }
            for layer in rows.indices {
                let differences = zip(streams[0][layer], streams[1][layer]).map { $0 - $1 }
                let kept = stride(from: 0, to: differences.count, by: width).filter { start in
                    differences[start..<start + width].contains { $0 > Self.threshold }
                }
                guard !kept.isEmpty else { throw ContrastProblem.same(pair: pair.name, layer: layer) }
                for start in kept { rows[layer] += differences[start..<start + width] }
            }
        }
        layers = rows.enumerated().map { layer, rows in
            Self.layer(layer + 1, Differences(rows, width: width), method, isUnit: isUnit)
        }
    }

    /// The stream after each layer but the last: rows of tokens one after the other.
    private static func streams(
        of model: Llama, _ ids: [Int], last: Bool, threads: Int, instructions: InstructionSet
    ) throws -> [[Float]] {
        let session = try Session(model, positions: ids.count, threads: threads, instructions: instructions)
        let collector = StreamCollector(last: last)
        var pass = try session.pass(over: ids, observers: [collector])
        let end = pass.interpreter.graph.nodes.last { node in
            node.role.result == .layerOutput && node.layer == model.configuration.layers - 2
        }
        try pass.interpreter.run(until: end!.index + 1)
        return collector.layers
    }

    private static func layer(_ number: Int, _ rows: Differences, _ method: Method, isUnit: Bool) -> Layer {
        let mean = rows.mean
        let size = Self.size(mean)
        var direction: [Float]
        switch method {
        case .mean: direction = isUnit ? mean.map { $0 / size } : mean
        case .pca: direction = rows.principal(from: mean).map { Float($0) }
        }
        let length = Double(Self.size(direction))
        let along = rows.products(with: direction.map { Double($0) / max(length, 1e-300) })
        let squares = along.reduce(0) { $0 + $1 * $1 }
        return Layer(
            number: number, rows: rows.count, meanSize: Double(size), share: squares / rows.squares,
            positive: along.count { $0 > 0 }, direction: direction)
    }

    /// In F32 and in order, as llama.cpp adds them up.
    private static func size(_ vector: [Float]) -> Float { vector.reduce(0) { $0 + $1 * $1 }.squareRoot() }

    /// The file that llama.cpp reads: its keys in its order.
    public var writer: GGUFWriter {
        let name = "controlvector"
        return GGUFWriter(
            metadata: Metadata([
                .init(key: Metadata.architectureKey, value: .string(name)),
                .init(key: "\(name).model_hint", value: .string(architecture)),
                .init(key: "\(name).layer_count", value: .int32(Int32(layers.count))),
            ]),
            tensors: layers.map {
                .init(name: "direction.\($0.number)", .floats($0.direction, Shape($0.direction.count)))
            })
    }
}

/// Rows of differences.
private struct Differences {
    let values: [Float]
    let width: Int
    var count: Int { values.count / width }

    init(_ values: [Float], width: Int) { (self.values, self.width) = (values, width) }

    /// In F32 and row by row, as llama.cpp adds them up.
    var mean: [Float] {
        (0..<width).map { column in
            stride(from: column, to: values.count, by: width).reduce(Float(0)) { $0 + values[$1] } / Float(count)
        }
    }

    var squares: Double { values.reduce(0) { $0 + Double($1) * Double($1) } }

    /// Of each row.
    func products(with vector: [Double]) -> [Double] {
        values.withUnsafeBufferPointer { values in
            (0..<count).map { row in
                var sum = 0.0
                for column in 0..<width { sum += Double(values[row * width + column]) * vector[column] }
                return sum
            }
        }
    }

    /// The eigenvector of Σ row · rowᵀ with the largest eigenvalue, of length 1, on the side of the mean.
    ///
    /// By power iteration, as llama.cpp does it: until a step moves the vector by less than 1e-7, a thousand at most. It begins
    /// at the mean and the longest row, of which one has a part along it.
    func principal(from mean: [Float]) -> [Double] {
        func unit(_ vector: [Double]) -> [Double] {
            let size = Double.sqrt(vector.reduce(0) { $0 + $1 * $1 })
            return size > 0 ? vector.map { $0 / size } : vector
        }
        let rows = (0..<count).map { Array(values[$0 * width..<($0 + 1) * width]).map(Double.init) }
        let longest = rows.max { a, b in a.reduce(0) { $0 + $1 * $1 } < b.reduce(0) { $0 + $1 * $1 } }!
        var vector = unit(zip(unit(mean.map(Double.init)), unit(longest)).map { $0 + 0.5 * $1 })
        for _ in 0..<1000 {
            let along = products(with: vector)
            var next = [Double](repeating: 0, count: width)
            for (row, weight) in zip(rows, along) { for column in 0..<width { next[column] += weight * row[column] } }
            next = unit(next)
            let moved = zip(next, vector).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
            vector = next
            if moved < 1e-14 { break }
        }
        let side = zip(vector, mean).reduce(0) { $0 + $1.0 * Double($1.1) }
        return side < 0 ? vector.map { -$0 } : vector
    }
}

/// The stream after each layer, as it goes by.
private final class StreamCollector: ExecutionObserver {
    private(set) var layers: [[Float]] = []
    private let last: Bool

    init(last: Bool) { self.last = last }

    var takesParts: Bool { true }

    func didEvaluate(_ evaluation: Evaluation) throws {
        guard evaluation.node.role.result == .layerOutput, evaluation.part == nil else { return }
        let output = evaluation.output
        let rows = last ? output.shape.ne1 - 1..<output.shape.ne1 : 0..<output.shape.ne1
        layers.append(rows.flatMap { output.row($0) })
    }
}

/// Prompts that no direction is found between.
public enum ContrastProblem: InputProblem, Equatable {
    case oneLayer(model: String)
    case same(pair: String, layer: Int)
    case noFiller(pair: String)
    case counts(positive: Int, negative: Int)
}

extension ContrastProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .oneLayer(let model):
            "\(model): the model has one layer; a control vector is found after a layer and added after the next."
        case .same(let pair, let layer):
            "\(pair): found no difference between the two prompts after layer \(layer), expected prompts that differ."
        case .noFiller(let pair):
            "\(pair): the prompts have different numbers of tokens, and the vocabulary has no token for a space to fill up "
                + "with. Give prompts of as many tokens, or --tokens last."
        case .counts(let positive, let negative):
            "found \(positive) positive and \(negative) negative prompts, expected as many: each line is compared with the "
                + "line of its number."
        }
    }
}
