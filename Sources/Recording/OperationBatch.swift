import ComputeGraph
import GRDB
import LlamaModel
import Tensors

/// Evaluated nodes on their way to the file.
struct OperationBatch: Sendable {
    /// Bytes after which a batch is handed over: large enough to be few, small enough not to wait for a whole prompt.
    static let fullSize = 8 << 20

    private(set) var rows: [OperationStatisticsRow] = []
    /// Those whose values the writing thread reads, with the ids of their rows.
    private(set) var evaluations: [(id: Int, evaluation: Evaluation)] = []
    /// Bytes that wait in memory: a tensor as a whole, whatever part of it is kept.
    private(set) var bytes = 0

    mutating func add(_ row: OperationStatisticsRow, _ evaluation: Evaluation, _ capture: Capture) {
        rows.append(row)
        bytes += 200
        guard Selection.keeps(evaluation.node, capture) || isSoftMax(evaluation.node) else { return }
        evaluations.append((row.id, evaluation))
        bytes += evaluation.output.layout.byteCount
    }
}

private func isSoftMax(_ node: Node) -> Bool { node.kind == "SOFT_MAX" }

/// Turns evaluated nodes into rows; runs on the writing thread.
///
/// Reading the cache here, after later nodes have run, is safe: a run never writes a cell twice, and only cells that
/// the node attends to, or that earlier passes filled, are read.
struct OperationWriting: Sendable {
    let pass: PassRow
    let capture: Capture
    let configuration: LlamaConfiguration

    func write(_ batch: OperationBatch, _ db: Database) throws {
        let statistics = try OperationStatisticsRow.inserter(db)
        for row in batch.rows { try statistics.insert(row) }
        let tensors = try TensorRow.inserter(db)
        let heads = try AttentionHeadRow.inserter(db)
        for (id, evaluation) in batch.evaluations {
            let selection = Selection(
                evaluation.node, inputs: evaluation.inputs.map(\.layout), tokens: pass.tokens, capture: capture)
            if let selection { try write(selection, of: evaluation, id, tensors) }
            if isSoftMax(evaluation.node) { try write(id, evaluation, heads) }
        }
    }

    private func write(
        _ selection: Selection, of evaluation: Evaluation, _ id: Int, _ tensors: Inserter<TensorRow>
    ) throws {
        for (chunk, runs) in CapturedRuns.read(selection, evaluation, tokens: pass.tokens).enumerated() {
            try runs.withBytes { bytes in
                try tensors.insert(TensorRow(operationID: id, chunk: chunk, captured: runs, bytes: bytes))
            }
        }
    }

    /// A row for each head and query position of a softmax `[N, T, H]`.
    private func write(_ id: Int, _ evaluation: Evaluation, _ heads: Inserter<AttentionHeadRow>) throws {
        guard let layer = evaluation.node.layer else { return }
        let shape = evaluation.output.shape
        for head in 0..<shape.ne2 {
            for token in 0..<shape.ne1 {
                let position = pass.firstPosition + token
                // Later positions are masked; their weights are exactly zero.
                let summary = evaluation.output.withRow(of: Float.self, token, head) {
                    AttentionSummary($0.extracting(0..<position + 1))
                }
                try heads.insert(
                    AttentionHeadRow(
                        operationID: id, layer: layer, head: head, kvHead: configuration.kvHead(ofQueryHead: head),
                        position: position, summary: summary))
            }
        }
    }
}
