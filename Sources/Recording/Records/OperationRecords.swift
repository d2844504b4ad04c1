import ComputeGraph
import Foundation
import GRDB
import LlamaModel
import Tensors

/// An evaluated node.
struct OperationRow: TraceRow {
    static let insertion = Insertion(
        into: "op",
        columns: [
            "id", "pass_id", "seq", "name", "kind", "layer", "type", "ne0", "ne1", "ne2", "ne3", "params", "ns",
            "flops",
            "bytes_read", "bytes_written", "n", "sum", "min", "max", "mean", "rms", "std", "zeros", "nan", "inf",
        ])

    let id: Int
    let passID: Int
    let node: Node
    let nanoseconds: Int
    let cost: Cost
    let statistics: Statistics

    func bind(to row: RowBinder) {
        let (shape, s) = (node.layout.shape, statistics)
        row.bind(
            id, passID, node.index, node.name, node.kind, node.layer, node.layout.type.name, shape.ne0, shape.ne1,
            shape.ne2, shape.ne3, node.operation.parametersJSON, nanoseconds, cost.operations, cost.bytesRead,
            cost.bytesWritten, s.count, s.minimum == nil ? nil : s.sum, s.minimum.map { Double($0) },
            s.maximum.map { Double($0) }, s.mean, s.rms, s.std, s.zeros, s.nans, s.infinities)
    }
}

/// An edge of the graph: exactly one of another operation, a weight, and an input of the run.
struct InputRow: TraceRow {
    static let insertion = Insertion(
        into: "op_input",
        columns: [
            "op_id", "slot", "source_op_id", "weight_id", "leaf", "name", "ne0", "ne1", "ne2", "ne3",
        ])

    enum Origin: Sendable {
        case operation(Int)
        case weight(Int)
        case leaf
    }

    let operationID: Int
    let slot: Int
    let origin: Origin
    let name: String
    let shape: Shape

    func bind(to row: RowBinder) {
        var (source, weight, leaf): (Int?, Int?, String?) = (nil, nil, nil)
        switch origin {
        case .operation(let id): source = id
        case .weight(let id): weight = id
        case .leaf: leaf = name
        }
        row.bind(operationID, slot, source, weight, leaf, name, shape.ne0, shape.ne1, shape.ne2, shape.ne3)
    }
}

/// Captured values of an operation.
///
/// Without `runLength` the blob is one contiguous run. With it, element i of the blob is element
/// `firstElement + i / runLength * runStride + i % runLength` of the operation's output.
struct TensorRow: TraceRow {
    static let insertion = Insertion(
        into: "tensor",
        columns: [
            "op_id", "chunk", "first_element", "n_elements", "run_length", "run_stride", "dtype", "data",
        ])

    let operationID: Int
    let chunk: Int
    let captured: CapturedRuns

    func bind(to row: RowBinder) {
        row.bind(
            operationID, chunk, captured.firstElement, captured.count, captured.runLength, captured.runStride,
            captured.type.name.lowercased(), captured.data)
    }
}

/// How one head looks from one position.
struct AttentionHeadRow: TraceRow {
    static let insertion = Insertion(
        into: "attention_head",
        columns: [
            "op_id", "layer", "head", "kv_head", "position", "entropy_bits", "top_position", "top_weight",
            "sink_weight",
        ])

    let operationID: Int
    let layer: Int
    let head: Int
    let kvHead: Int
    let position: Int
    let summary: AttentionSummary

    func bind(to row: RowBinder) {
        row.bind(
            operationID, layer, head, kvHead, position, summary.entropyBits, summary.topPosition,
            Double(summary.topWeight), Double(summary.sinkWeight))
    }
}
