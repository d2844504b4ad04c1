import ComputeGraph
import GRDB
import LlamaModel
import Tensors

/// The pass that is being recorded, if one is; in one place, since it changes with every node.
struct PassRecording {
    private var nodes = 0
    private var statistics = PassStatistics()
    /// What has not been handed over yet; `nil` outside a pass.
    private var batch: OperationBatch?

    mutating func begin(_ row: PassRow, _ graph: Graph) {
        nodes = graph.nodes.count
        statistics.begin(graph)
        batch = OperationBatch(pass: row)
    }

    /// - Returns: what is to be written: a batch that is full, or the pass's last.
    mutating func add(_ evaluation: Evaluation, _ capture: Capture) -> OperationBatch? {
        guard let pass = batch?.pass, let first = pass.firstOperationID else { return nil }
        let node = evaluation.node
        batch!.add(
            OperationStatisticsRow(
                id: first + node.index, passID: pass.id, nanoseconds: evaluation.nanoseconds,
                statistics: statistics.add(evaluation)), evaluation, capture)
        return batch!.bytes >= OperationBatch.fullSize || node.index == nodes - 1 ? takeBatch() : nil
    }

    mutating func takeBatch() -> OperationBatch? {
        defer { batch = batch.map { OperationBatch(pass: $0.pass) } }
        return batch
    }

    mutating func end() -> PassRow? {
        defer { batch = nil }
        return batch?.pass
    }
}

/// Evaluated nodes of a pass on their way to the file.
struct OperationBatch: Sendable {
    /// Bytes after which a batch is handed over: large enough to be few, small enough not to wait for a whole prompt.
    static let fullSize = 8 << 20

    let pass: PassRow
    private(set) var rows: [OperationStatisticsRow] = []
    /// Those whose values the writing thread reads, with the ids of their rows.
    private(set) var evaluations: [(id: Int, evaluation: Evaluation)] = []
    /// Bytes that wait in memory: a tensor as a whole, whatever part of it is kept.
    private(set) var bytes = 0

    init(pass: PassRow) { self.pass = pass }

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
    let capture: Capture
    let configuration: LlamaConfiguration

    func write(_ batch: OperationBatch, _ db: Database) throws {
        try OperationStatisticsRow.insert(batch.rows, db)
        var captured: [(id: Int, chunk: Int, runs: CapturedRuns)] = []
        var heads: [AttentionHeadRow] = []
        let pass = batch.pass
        for (id, evaluation) in batch.evaluations {
            let selection = Selection(
                evaluation.node, inputs: evaluation.inputs.map(\.layout), tokens: pass.tokens, capture: capture)
            if let selection {
                for (chunk, runs) in CapturedRuns.read(selection, evaluation, tokens: pass.tokens).enumerated() {
                    captured.append((id, chunk, runs))
                }
            }
            if isSoftMax(evaluation.node) { heads += self.heads(of: evaluation, id, pass) }
        }
        for first in stride(from: 0, to: captured.count, by: TensorRow.insertion.batch) {
            var rows: [TensorRow] = []
            try write(captured[first...].prefix(TensorRow.insertion.batch), after: &rows, db)
        }
        try AttentionHeadRow.insert(heads, db)
    }

    /// Inserts rows whose bytes are at hand, together with those of `captured`, whose bytes are so one within the other.
    private func write(
        _ captured: ArraySlice<(id: Int, chunk: Int, runs: CapturedRuns)>, after rows: inout [TensorRow], _ db: Database
    ) throws {
        guard let first = captured.first else { return try TensorRow.insert(rows, db) }
        try first.runs.withBytes { bytes in
            rows.append(TensorRow(operationID: first.id, chunk: first.chunk, captured: first.runs, bytes: bytes))
            try write(captured.dropFirst(), after: &rows, db)
        }
    }

    /// A row for each head and query position of a softmax `[N, T, H]`.
    private func heads(of evaluation: Evaluation, _ id: Int, _ pass: PassRow) -> [AttentionHeadRow] {
        guard let layer = evaluation.node.layer else { return [] }
        let shape = evaluation.output.shape
        return (0..<shape.ne2).flatMap { head in
            (0..<shape.ne1).map { token in
                let position = pass.firstPosition + token
                // Later positions are masked; their weights are exactly zero.
                let summary = evaluation.output.withRow(of: Float.self, token, head) {
                    AttentionSummary($0.extracting(0..<position + 1))
                }
                return AttentionHeadRow(
                    operationID: id, layer: layer, head: head, kvHead: configuration.kvHead(ofQueryHead: head),
                    position: position, summary: summary)
            }
        }
    }
}
