import ComputeGraph
import LlamaModel
import Operations
import Quantizing
import Tensors

/// Adds up the squares of the activations that each weight matrix meets while a model runs.
///
/// Column by column, row after row, in F32 and in the order of llama.cpp's `llama-imatrix` when it takes a chunk at a time
/// (`-b` and `-c` equal), so that the sums are the same to the bit where the activations are.
/// Source: llama.cpp `IMatrixCollector::collect_imatrix`.
final class ImportanceCollector: ExecutionObserver {
    private(set) var sums: ImportanceSums
    /// The pass that is observed; to be set before it runs.
    var graph: Graph?
    private let model: String

    /// Products with fewer rows are left out, as llama.cpp leaves them out.
    static let fewestRows = 16

    /// - Parameters:
    ///   - sums: what there is from chunks before.
    ///   - model: its file, for messages.
    init(adding sums: ImportanceSums, of model: String) { (self.sums, self.model) = (sums, model) }

    /// Scores of attention have no weights.
    var takesParts: Bool { true }

    func didEvaluate(_ evaluation: Evaluation) throws {
        guard evaluation.part == nil, let name = weight(of: evaluation.node), name.hasPrefix("blk.") else { return }
        try add(name, evaluation.node, evaluation.inputs)
    }

    /// The weight that a node multiplies by.
    func weight(of node: Node) -> String? {
        guard node.operation is MatMul || node.operation is MatMulID, case .leaf(let index)? = node.inputs.first,
            let leaf = graph?.leaves[index], leaf.role == .weight
        else { return nil }
        return leaf.name
    }

    /// Adds the activations of one product.
    func add(_ name: String, _ node: Node, _ inputs: [Tensor]) throws {
        if node.operation is MatMulID {
            addRouted(name, inputs[0].shape.ne2, inputs[1], chosen: inputs[2])
        } else if inputs[1].shape.ne1 >= Self.fewestRows {
            addAll(name, inputs[0].shape, inputs[1])
        }
        if let index = sums.entries[name]?.sums.firstIndex(where: { !$0.isFinite }) {
            throw ImportanceProblem.notFinite(model: model, tensor: name, column: index)
        }
    }

    /// Rows `[K, T, H]` of a product with a matrix, or with one for each of some planes.
    private func addAll(_ name: String, _ weights: Shape, _ rows: Tensor) {
        let (width, matrices) = (rows.shape.ne0, weights.ne2 * weights.ne3)
        var entry =
            sums.entries.removeValue(forKey: name)
            ?? .init(sums: [Float](repeating: 0, count: width * matrices), counts: [0])
        for i3 in 0..<rows.shape.ne3 {
            for i2 in 0..<rows.shape.ne2 {
                let matrix = i3 % weights.ne3 * weights.ne2 + i2 % weights.ne2
                for row in 0..<rows.shape.ne1 {
                    rows.withRow(of: Float.self, row, i2, i3) { entry.add($0, at: matrix * width) }
                }
            }
        }
        for index in entry.counts.indices { entry.counts[index] += rows.shape.rows / matrices }
        sums.entries[name] = entry
    }

    /// Rows `[K, S, T]` and, for each slot of each token, the expert whose matrix its row meets, `[U, T]`.
    private func addRouted(_ name: String, _ experts: Int, _ rows: Tensor, chosen: Tensor) {
        let width = rows.shape.ne0
        var entry =
            sums.entries.removeValue(forKey: name)
            ?? .init(sums: [Float](repeating: 0, count: width * experts), counts: [Int](repeating: 0, count: experts))
        if entry.counts.count == 1, experts > 1 {
            entry.counts = [Int](repeating: entry.counts[0], count: experts)
        }
        let choices = (0..<chosen.shape.ne1).map { token in
            chosen.withRow(of: Int32.self, token) { row in row.indices.map { Int(row[$0]) } }
        }
        for slot in 0..<chosen.shape.ne0 {
            for token in choices.indices {
                let expert = choices[token][slot]
                entry.counts[expert] += 1
                rows.withRow(of: Float.self, slot % rows.shape.ne1, token) { entry.add($0, at: expert * width) }
            }
        }
        sums.entries[name] = entry
    }
}

extension ImportanceSums.Entry {
    /// Adds the squares of a row's values to the sums from `start` on.
    fileprivate mutating func add(_ row: Span<Float>, at start: Int) {
        var target = sums.mutableSpan
        for column in 0..<row.count { target[start + column] += row[column] * row[column] }
    }
}

/// Activations of which no importances can be made.
public enum ImportanceProblem: InputProblem, Equatable {
    case notFinite(model: String, tensor: String, column: Int)
    case otherTensors(model: String, file: String, tensor: String)
    case otherRun(file: String, what: String)
    case chunkTooShort(chunk: Int)
}

extension ImportanceProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notFinite(let model, let tensor, let column):
            "\(model): the activations that '\(tensor)' meets are not finite in column \(column), so nothing can be said of "
                + "what matters. `quipu verify` looks through the model's weights."
        case .otherTensors(let model, let file, let tensor):
            "\(file): has sums of '\(tensor)', which \(model) does not have in this shape. It was made with another model."
        case .otherRun(let file, let what):
            "\(file): what is there was begun with another \(what). Finish it with the same model, text and options, or "
                + "delete it to begin anew."
        case .chunkTooShort(let chunk):
            "chunks of \(chunk) tokens are too short: llama.cpp leaves products of fewer than "
                + "\(ImportanceCollector.fewestRows) rows out. Give --chunk \(ImportanceCollector.fewestRows) or more."
        }
    }
}
