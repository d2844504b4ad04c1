import ComputeGraph
import GRDB
import LlamaModel
import Tensors

/// Evaluated nodes on their way to the file.
struct OperationBatch: Sendable {
    /// Bytes after which a batch is handed over: large enough to be few, small enough not to wait for a whole prompt.
    static let fullSize = 8 << 20

    private(set) var rows: [OperationStatisticsRow] = []
    private(set) var captured: [(id: Int, evaluation: Evaluation, selection: Selection)] = []
    private(set) var softMaxes: [(id: Int, evaluation: Evaluation)] = []
    /// Bytes that wait in memory: a tensor as a whole, whatever part of it is kept.
    private(set) var bytes = 0

    mutating func add(_ row: OperationStatisticsRow, _ evaluation: Evaluation, _ selection: Selection?) {
        rows.append(row)
        bytes += 200
        guard selection != nil || evaluation.node.kind == "SOFT_MAX" else { return }
        if let selection { captured.append((row.id, evaluation, selection)) }
        if evaluation.node.kind == "SOFT_MAX" { softMaxes.append((row.id, evaluation)) }
        bytes += evaluation.output.layout.byteCount
    }
}

/// Turns evaluated nodes into rows; runs on the writing thread.
///
/// Reading the cache here, after later nodes have run, is safe: a run never writes a cell twice, and only cells that
/// the node attends to, or that earlier passes filled, are read.
struct OperationWriting: Sendable {
    let pass: PassRow
    let configuration: LlamaConfiguration

    func write(_ batch: OperationBatch, _ db: Database) throws {
        let statistics = try OperationStatisticsRow.inserter(db)
        for row in batch.rows { try statistics.insert(row) }
        let tensors = try TensorRow.inserter(db)
        for (id, evaluation, selection) in batch.captured {
            for (chunk, runs) in CapturedRuns.read(selection, evaluation, tokens: pass.tokens).enumerated() {
                try runs.withBytes { bytes in
                    try tensors.insert(TensorRow(operationID: id, chunk: chunk, captured: runs, bytes: bytes))
                }
            }
        }
        let heads = try AttentionHeadRow.inserter(db)
        for (id, evaluation) in batch.softMaxes { try write(id, evaluation, heads) }
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
