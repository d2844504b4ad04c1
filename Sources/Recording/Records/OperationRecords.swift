import ComputeGraph
import Foundation
import GRDB
import LlamaModel
import Tensors

/// A node of a graph, in what passes share.
struct GraphOperationRow: TraceRow {
    static let insertion = Insertion(
        into: "graph_op",
        columns: [
            "graph_id", "seq", "name", "kind", "layer", "type", "ne0", "ne1", "ne2", "ne3", "params", "flops",
            "bytes_read", "bytes_written", "flops_each", "bytes_read_each", "bytes_written_each", "role",
        ], batch: 16)

    let graphID: Int
    let node: Node
    /// `nil` where it is the number of positions.
    let extents: [Int?]
    /// What does not grow with the positions, and what each of them adds.
    let fixed: Cost
    let each: Cost

    func bind(to row: RowBinder) {
        row.set(1, graphID)
        row.set(2, node.index)
        row.set(3, node.name)
        row.set(4, node.kind)
        row.set(5, node.layer)
        row.set(6, node.layout.type.name)
        for (dimension, extent) in extents.enumerated() { row.set(Int32(7 + dimension), extent) }
        row.set(11, node.operation.parametersJSON)
        row.set(12, fixed.operations)
        row.set(13, fixed.bytesRead)
        row.set(14, fixed.bytesWritten)
        row.set(15, each.operations)
        row.set(16, each.bytesRead)
        row.set(17, each.bytesWritten)
        row.set(18, node.role.rawValue)
    }
}

/// An edge of a graph: exactly one of another operation, a weight, and an input of the run.
struct GraphInputRow: TraceRow {
    static let insertion = Insertion(
        into: "graph_input",
        columns: [
            "graph_id", "seq", "slot", "source_seq", "weight_id", "leaf", "name", "ne0", "ne1", "ne2", "ne3",
        ], batch: 16)

    enum Origin: Sendable {
        case operation(Int)
        case weight(Int)
        case leaf
    }

    let graphID: Int
    let seq: Int
    let slot: Int
    let origin: Origin
    let name: String
    /// `nil` where it is the number of positions.
    let extents: [Int?]

    func bind(to row: RowBinder) {
        var (source, weight, leaf): (Int?, Int?, String?) = (nil, nil, nil)
        switch origin {
        case .operation(let seq): source = seq
        case .weight(let id): weight = id
        case .leaf: leaf = name
        }
        row.set(1, graphID)
        row.set(2, seq)
        row.set(3, slot)
        row.set(4, source)
        row.set(5, weight)
        row.set(6, leaf)
        row.set(7, name)
        for (dimension, extent) in extents.enumerated() { row.set(Int32(8 + dimension), extent) }
    }
}

/// What the evaluation of a node gave.
struct OperationStatisticsRow: TraceRow {
    static let insertion = Insertion(
        into: "op_stat",
        columns: [
            "id", "pass_id", "ns", "n", "sum", "min", "max", "rms", "std", "zeros", "nan", "inf", "bytes_read",
        ], batch: 32)

    let id: Int
    let passID: Int
    let nanoseconds: Int
    let statistics: Statistics
    /// `nil` where the graph tells.
    let bytesRead: Int?

    func bind(to row: RowBinder) {
        let s = statistics
        row.set(1, id)
        row.set(2, passID)
        row.set(3, nanoseconds)
        row.set(4, s.count)
        row.set(5, s.minimum == nil ? nil : s.sum)
        row.set(6, s.minimum.map { Double($0) })
        row.set(7, s.maximum.map { Double($0) })
        row.set(8, s.rms)
        row.set(9, s.std)
        row.set(10, s.zeros)
        row.set(11, s.nans)
        row.set(12, s.infinities)
        row.set(13, bytesRead)
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
        ], batch: 32)

    let operationID: Int
    let chunk: Int
    let captured: CapturedRuns
    /// The captured bytes; valid while the row is inserted.
    let bytes: UnsafeRawBufferPointer

    func bind(to row: RowBinder) {
        row.set(1, operationID)
        row.set(2, chunk)
        row.set(3, captured.firstElement)
        row.set(4, captured.count)
        row.set(5, captured.runLength)
        row.set(6, captured.runStride)
        switch captured.type {
        case .f16: row.set(7, "f16")
        case .i32: row.set(7, "i32")
        default: row.set(7, "f32")
        }
        row.set(8, bytes)
    }
}

/// How one head looks from one position.
struct AttentionHeadRow: TraceRow {
    static let insertion = Insertion(
        into: "attention_head",
        columns: [
            "op_id", "layer", "head", "kv_head", "position", "entropy_bits", "top_position", "top_weight",
            "sink_weight",
        ], batch: 16)

    let operationID: Int
    let layer: Int
    let head: Int
    let kvHead: Int
    let position: Int
    let summary: AttentionSummary

    func bind(to row: RowBinder) {
        row.set(1, operationID)
        row.set(2, layer)
        row.set(3, head)
        row.set(4, kvHead)
        row.set(5, position)
        row.set(6, summary.entropyBits)
        row.set(7, summary.topPosition)
        row.set(8, Double(summary.topWeight))
        row.set(9, Double(summary.sinkWeight))
    }
}
