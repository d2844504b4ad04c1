import Foundation
import GGUF
import Quantization
import Recording
import Tensors
import Tokenization

/// What questions are about: a model, and a trace of it if there is one.
public struct Subject: Sendable {
    public let file: GGUFFile
    /// Of the model, in lower-case hexadecimal, where it is known.
    public var sha256: String?
    let trace: TraceStore?
    let run: RecordedRun?
    /// Runs a command of this program, given its words, in which `MODEL` and `TRACE` stand for the learner's, and gives
    /// the JSON that it prints.
    public var program: (@Sendable (_ words: [String]) throws -> Data)?

    /// The newest run of a trace, and the model that it was recorded from.
    ///
    /// - Parameter model: where the model is now, if it has moved.
    public init(trace path: String, model: String? = nil) throws {
        let store = try TraceStore.open(path: path)
        let run = try store.run()
        (trace, self.run) = (store, run)
        file = try GGUFFile(path: model ?? run.modelPath)
    }

    /// A model alone.
    public init(model path: String) throws {
        file = try GGUFFile(path: path)
        (trace, run) = (nil, nil)
    }

    /// What a learner made, asked by commands as `program` of the subject that it was made from; there, `MADE` is its path.
    public func made(at path: String, isModel: Bool) throws -> Subject {
        var made = isModel ? try Subject(model: path) : try Subject(trace: path)
        if let program {
            made.program = { words in try program(words.map { $0 == "MADE" ? path : $0 }) }
        }
        return made
    }

    /// Consecutive weights of a tensor as they decode, from row `row` on.
    func weights(of tensor: TensorInfo, rows: Range<Int>) throws(QueryProblem) -> [Float] {
        guard BlockFormats.format(for: tensor.type) != nil else {
            throw .source(call: tensor.name, message: "weights of type \(tensor.type) cannot be decoded")
        }
        guard rows.lowerBound >= 0, rows.upperBound <= tensor.shape.rows else {
            throw .outside(index: rows.upperBound - 1, count: tensor.shape.rows)
        }
        return file.values(of: tensor).decodedRows(rows)
    }

    func tensor(_ name: String) throws(QueryProblem) -> TensorInfo {
        if let tensor = file.tensor(named: name) { return tensor }
        let near = nearest(to: name, in: file.tensors.map(\.name))
        throw .source(
            call: file.path,
            message: "there is no tensor `\(name)`" + (near.isEmpty ? "" : "; near are \(near.joined(separator: ", "))")
        )
    }
}
