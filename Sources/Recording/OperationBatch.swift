import ComputeGraph
import Foundation
import GRDB
import LlamaModel
import Tensors

/// Evaluated nodes on their way to the file.
struct OperationBatch: Sendable {
    /// Bytes after which a batch is written: large enough for few transactions, small enough to lose little.
    static let fullSize = 8 << 20

    /// Id of the graph's first node.
    var firstID = 0
    var evaluations: [Evaluation] = []
    var selections: [Selection?] = []
    private(set) var bytes = 0
    /// Statistics of earlier nodes; views take theirs over. Filled by the writer, shared by all batches of a run.
    let earlier: KnownStatistics

    init(firstID: Int = 0, earlier: KnownStatistics = KnownStatistics()) {
        self.firstID = firstID
        self.earlier = earlier
    }

    mutating func add(_ evaluation: Evaluation, graph: Graph, capture: Capture, tokens: Int) {
        let inputs = evaluation.node.inputs.map(graph.layout(of:))
        let selection = Selection(evaluation.node, inputs: inputs, tokens: tokens, capture: capture)
        evaluations.append(evaluation)
        selections.append(selection)
        // The tensor itself waits in memory, whatever part of it is kept.
        bytes += 500 + (evaluation.node.output.isPureView ? 0 : evaluation.output.layout.byteCount)
    }
}

/// Used by the writing thread only, one batch after the other.
final class KnownStatistics: @unchecked Sendable {
    /// Of the current pass.
    var byNode: [Int: Statistics] = [:]
    /// What all passes of the run have written into each cache so far, by the leaf's name.
    var written: [String: Statistics] = [:]
}

/// Turns evaluated nodes into rows; runs on the writing thread.
///
/// Reading the cache here, after later nodes have run, is safe: a run never writes a cell twice, and only cells that
/// the node attends to, or that earlier passes filled, are read.
struct OperationWriting: Sendable {
    let pass: PassRow
    let graph: Graph
    let capture: Capture
    let configuration: LlamaConfiguration
    let weightIDs: [String: Int]

    func write(_ batch: OperationBatch, _ db: Database) throws {
        for (evaluation, selection) in zip(batch.evaluations, batch.selections) {
            let node = evaluation.node
            let id = batch.firstID + node.index
            let statistics = statistics(of: evaluation, known: batch.earlier)
            batch.earlier.byNode[node.index] = statistics
            try OperationRow(
                id: id, passID: pass.id, node: node, nanoseconds: evaluation.nanoseconds, cost: graph.cost(of: node),
                statistics: statistics
            ).insert(db)
            for (slot, source) in node.inputs.enumerated() {
                try inputRow(id, slot, source, firstID: batch.firstID).insert(db)
            }
            if let selection {
                for (chunk, runs) in CapturedRuns.read(selection, evaluation, tokens: pass.tokens).enumerated() {
                    try TensorRow(operationID: id, chunk: chunk, captured: runs).insert(db)
                }
            }
            if node.kind == "SOFT_MAX" { try writeHeads(id, evaluation, db) }
        }
    }

    private func statistics(of evaluation: Evaluation, known: KnownStatistics) -> Statistics {
        let node = evaluation.node
        if case .view(let slot, _) = node.output.memory, case .node(let source) = node.inputs[slot],
            let statistics = known.byNode[source], statistics.count == node.layout.shape.count
        {
            return statistics
        }
        if case .inPlace(let slot) = node.output.memory {
            // Of what was written; the rest of the cache is no news.
            let news = Statistics(evaluation.inputs[0].floats().map { Half.float(f16: Half.f16($0)) })
            if let cache = leaf(behind: node.inputs[slot])?.name {
                known.written[cache] = known.written[cache]?.merged(with: news) ?? news
            }
            return news
        }
        if case .view(let slot, _) = node.output.memory, let cache = leaf(behind: node.inputs[slot]),
            cache.role == .cache
        {
            // Cells that no pass has filled yet are no data, and all others are what was written, whether the view is
            // of the whole cache or of the positions that are attended to.
            let written = known.written[cache.name] ?? Statistics([])
            let count = node.layout.shape.count
            if count == cache.layout.shape.count || count == written.count { return written }
        }
        return Self.statistics(of: evaluation.output)
    }

    /// Floats that lie together, as nearly all do, are read where they are.
    private static func statistics(of tensor: Tensor) -> Statistics {
        guard tensor.type == .f32, tensor.layout.isContiguous else { return Statistics(tensor.floats()) }
        return tensor.withBytes { $0.withElements(of: Float.self) { Statistics($0) } }
    }

    /// The leaf whose memory a view shows, or a view of a view; `nil` if it is a node's.
    private func leaf(behind source: Source) -> Leaf? {
        switch source {
        case .leaf(let index): return graph.leaves[index]
        case .node(let index):
            let node = graph.nodes[index]
            switch node.output.memory {
            case .view(let slot, _), .inPlace(let slot): return leaf(behind: node.inputs[slot])
            case .fresh: return nil
            }
        }
    }

    private func inputRow(_ id: Int, _ slot: Int, _ source: Source, firstID: Int) -> InputRow {
        let name = graph.name(of: source)
        let origin: InputRow.Origin =
            switch source {
            case .node(let index): .operation(firstID + index)
            case .leaf(let index):
                weightIDs[name].flatMap { graph.leaves[index].role == .weight ? .weight($0) : nil } ?? .leaf
            }
        return InputRow(
            operationID: id, slot: slot, origin: origin, name: name, shape: graph.layout(of: source).shape)
    }

    /// A row for each head and query position of a softmax `[N, T, H]`.
    private func writeHeads(_ id: Int, _ evaluation: Evaluation, _ db: Database) throws {
        guard let layer = evaluation.node.layer else { return }
        let shape = evaluation.output.shape
        let weights = evaluation.output.floats()
        for head in 0..<shape.ne2 {
            for token in 0..<shape.ne1 {
                let start = (head * shape.ne1 + token) * shape.ne0
                let position = pass.firstPosition + token
                // Later positions are masked; their weights are exactly zero.
                try AttentionHeadRow(
                    operationID: id, layer: layer, head: head, kvHead: configuration.kvHead(ofQueryHead: head),
                    position: position, summary: AttentionSummary(weights[start..<start + position + 1])
                ).insert(db)
            }
        }
    }
}
