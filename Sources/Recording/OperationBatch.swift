import ComputeGraph
import GRDB
import LlamaModel
import Tensors

/// The pass that is being recorded, if one is; in one place, since it changes with every node.
struct PassRecording {
    private let capture: Capture
    private var pass: PassRow?
    private var statistics = PassStatistics()
    /// Whether the writing thread reads a node's values, by its index in the graph; of none if nodes are not recorded.
    private var keepsValues: [Bool] = []
    /// The router of the layer that is being evaluated.
    private var router = RoutedTokens()
    /// What has not been handed over yet.
    private var batch = OperationBatch(first: 0)

    init(_ capture: Capture) { self.capture = capture }

    /// - Parameter isAlike: whether the graph has the same nodes as the one before, whatever their shapes.
    mutating func begin(_ row: PassRow, _ graph: Graph, isAlike: Bool) {
        pass = row
        batch = OperationBatch(first: 0)
        guard capture.policy != .none else { return }
        statistics.begin(graph, isAlike: isAlike)
        if !isAlike { keepsValues = graph.nodes.map { Selection.keeps($0, capture) || isPattern($0) } }
    }

    /// - Returns: whether there is something to write: a batch that is full, or the pass's last.
    mutating func add(_ evaluation: Evaluation) -> Bool {
        guard !keepsValues.isEmpty else { return false }
        statistics.add(evaluation)
        let index = evaluation.node.index
        batch.add(evaluation, keepsValues: keepsValues[index])
        if router.add(evaluation) {
            batch.add(router)
            router = RoutedTokens()
        }
        return batch.bytes >= OperationBatch.fullSize || index == keepsValues.count - 1
    }

    /// What was added since the last time, and the pass it is of; `nil` outside a pass.
    mutating func takeBatch() -> (pass: PassRow, batch: OperationBatch)? {
        guard let pass else { return nil }
        var full = OperationBatch(first: batch.first + batch.nanoseconds.count)
        swap(&full, &batch)
        full.statistics = statistics.byNode[full.first...]
        return (pass, full)
    }

    mutating func end() -> PassRow? {
        defer { pass = nil }
        return pass
    }
}

/// Evaluated nodes of a pass on their way to the file.
struct OperationBatch: Sendable {
    /// Bytes after which a batch is handed over: large enough to be few, small enough not to wait for a whole prompt.
    static let fullSize = 8 << 20

    /// The index in the graph of the first node.
    let first: Int
    /// Of each node.
    private(set) var nanoseconds: [Int] = []
    fileprivate(set) var statistics: ArraySlice<Statistics> = []
    /// What they read, where that depends on values.
    private(set) var bytesRead: [Int?] = []
    private(set) var routed: [RoutedTokens] = []
    /// Those whose values the writing thread reads.
    private(set) var evaluations: [Evaluation] = []
    /// Bytes that wait in memory: a computed tensor as a whole, whatever part of it is kept.
    private(set) var bytes = 0

    fileprivate init(first: Int) { self.first = first }

    fileprivate mutating func add(_ evaluation: Evaluation, keepsValues: Bool) {
        nanoseconds.append(evaluation.nanoseconds)
        let operation = evaluation.node.operation
        bytesRead.append(
            type(of: operation).costDependsOnValues
                ? operation.cost(inputs: evaluation.inputs, output: evaluation.output).bytesRead : nil)
        bytes += 200
        guard keepsValues else { return }
        evaluations.append(evaluation)
        // The cache is there anyway.
        let isInPlace = if case .inPlace = evaluation.node.output.memory { true } else { false }
        bytes += (isInPlace ? evaluation.inputs[0] : evaluation.output).layout.byteCount
    }
}

extension OperationBatch {
    fileprivate mutating func add(_ tokens: RoutedTokens) {
        routed.append(tokens)
        bytes += tokens.bytes
    }
}

private func isPattern(_ node: Node) -> Bool { node.role.result == .pattern }

/// Turns evaluated nodes into rows; runs on the writing thread.
///
/// Reading the cache here, after later nodes have run, is safe: a run never writes a cell twice, and only cells that
/// the node attends to, or that earlier passes filled, are read.
struct OperationWriting: Sendable {
    let capture: Capture
    let configuration: LlamaConfiguration

    func write(_ batch: OperationBatch, of pass: PassRow, _ db: Database) throws {
        guard let firstID = pass.firstOperationID else { return }
        try OperationStatisticsRow.insert(
            batch.statistics.indices.map { index in
                OperationStatisticsRow(
                    id: firstID + index, passID: pass.id, nanoseconds: batch.nanoseconds[index - batch.first],
                    statistics: batch.statistics[index], bytesRead: batch.bytesRead[index - batch.first])
            }, db)
        for tokens in batch.routed { try tokens.write(pass, db) }
        var captured: [(id: Int, chunk: Int, runs: CapturedRuns)] = []
        var heads: [AttentionHeadRow] = []
        for evaluation in batch.evaluations {
            let id = firstID + evaluation.node.index
            let selection = Selection(
                evaluation.node, inputs: evaluation.inputs.map(\.layout), tokens: pass.tokens, capture: capture)
            if let selection {
                for (chunk, runs) in CapturedRuns.read(selection, evaluation, tokens: pass.tokens).enumerated() {
                    captured.append((id, chunk, runs))
                }
            }
            if isPattern(evaluation.node) { heads += self.heads(of: evaluation, id, pass) }
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
