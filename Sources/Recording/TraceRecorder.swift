import ComputeGraph
import Foundation
import GGUF
import GRDB
import LlamaModel
import Tensors

/// How a run was made: all that is needed to make it again.
public struct RunDescription: Sendable {
    public var prompt: String
    public var sampling: Sampler.Options
    public var threads: Int
    /// Which kernels computed it.
    public var kernels: String
    public var capture: Capture
    public var engineVersion: String
    /// What is changed in it, in order; to be given to the model and the passes as well.
    public var interventions: [InterventionRecord]
    /// The run it is changed against.
    public var parent: RunReference?
    /// What it is one of, where there are several.
    public var group: String?
    /// What is looked at, in the words it was asked for in.
    public var metric: String?

    public init(
        prompt: String, sampling: Sampler.Options, threads: Int, kernels: String, capture: Capture,
        engineVersion: String, interventions: [InterventionRecord] = [], parent: RunReference? = nil,
        group: String? = nil, metric: String? = nil
    ) {
        (self.group, self.metric) = (group, metric)
        self.prompt = prompt
        self.sampling = sampling
        self.threads = threads
        self.kernels = kernels
        self.capture = capture
        self.engineVersion = engineVersion
        self.interventions = interventions
        self.parent = parent
    }

    var samplingJSON: String {
        sampling.temperature == 0
            ? "{\"temperature\":0}"
            : "{\"temperature\":\(sampling.temperature),\"top_k\":\(sampling.topK),\"top_p\":\(sampling.topP),"
                + "\"min_p\":\(sampling.minP)}"
    }
}

/// Records a run as it happens: hands evaluated nodes to a writing thread, which summarises and stores them in batches.
///
/// A batch is one transaction. What is committed stays readable if the process dies; `run.complete` says whether all is.
public final class TraceRecorder: ExecutionObserver {
    private let store: TraceStore
    private let model: Llama
    private let capture: Capture
    private let writer: BoundedWriter
    /// The run that this one repeats with changes.
    public let parent: RunReference?
    private let runID: Int
    /// The id of the run in its trace.
    public var run: Int { runID }
    private let modelID: Int
    private let weightIDs: [String: Int]
    private var nextPassID: Int
    private var nextOperationID: Int
    private var nextGraphID: Int
    private var step = 0
    private var recording: PassRecording
    /// The last one written; the next pass is likely to share it.
    private var recordedGraph: RecordedGraph?

    /// The whole file is hashed meanwhile, on its own thread.
    private let hash: Task<String, Never>

    /// Opens a run. Rows of the model are written unless the trace has them, from a file of the same bytes.
    public init(store: TraceStore, model: Llama, run: RunDescription) async throws {
        self.store = store
        self.model = model
        capture = run.capture
        recording = PassRecording(run.capture)
        writer = BoundedWriter(store.database, limit: run.capture.policy == .all ? 256 << 20 : 64 << 20)
        parent = run.parent
        let (file, digests) = (model.file, DigestMemory.shared)
        let hash = Task {
            await withCheckedContinuation { continuation in
                onQuietThread { continuation.resume(returning: digests.hexDigest(of: file)) }
            }
        }
        self.hash = hash

        let card = ModelCard(model)
        let createdAt = Date().formatted(.iso8601)
        // A new trace need not wait for the hash; one with models in it must know whether this is one of them.
        let hasModels = try await TraceStore.wrapping(store.path) {
            try await store.database.read { try Row.fetchOne($0, sql: "SELECT 1 FROM model") != nil }
        }
        let digest = hasModels ? await hash.value : nil
        (modelID, runID, nextPassID, nextGraphID, nextOperationID) = try await TraceStore.wrapping(store.path) {
            try await store.database.write { db in
                let modelID = try ModelRows.write(card, digest, db)
                let runID = try ModelRows.nextID("run", db)
                try RunRow(id: runID, modelID: modelID, createdAt: createdAt, description: run).insert(db)
                try InterventionRow.write(run.interventions, ofRun: runID, db)
                return (
                    modelID, runID, try ModelRows.nextID("pass", db), try ModelRows.nextID("graph", db),
                    try ModelRows.nextID("op_stat", db)
                )
            }
        }
        weightIDs = try await TraceStore.wrapping(store.path) { [modelID] in
            try await store.database.read { try ModelRows.weightIDs(modelID, of: store.path, $0) }
        }
    }

    // MARK: a run, in order

    /// Records tokens at the positions from `first` on, with what the model had predicted for the first of them.
    public func record(
        tokens: [Int], from first: Int, source: String, prediction: Prediction? = nil,
        scores: [(logProbability: Double, rank: Int)?] = []
    ) throws {
        let rows = zip(first..., tokens).map { position, token in
            let known = scores.indices.contains(position - first) ? scores[position - first] : nil
            return TokenRow(
                runID: runID, position: position, token: token, piece: model.vocabulary.displayPiece(token),
                source: source,
                logProbability: position == first ? prediction?.logProbability(of: token) ?? known?.0 : known?.0,
                rank: position == first ? prediction?.rank(of: token) ?? known?.1 : known?.1)
        }
        try write(bytes: 100 * rows.count) { db in for row in rows { try row.insert(db) } }
    }

    /// Records what was said about tokens that are followed through the run.
    public func record(_ tracked: [TrackedToken]) throws {
        let rows = tracked.map { TrackedRow(runID: runID, tracked: $0) }
        guard !rows.isEmpty else { return }
        try write(bytes: 100 * rows.count) { db in for row in rows { try row.insert(db) } }
    }

    /// Records what the run's metric is.
    public func record(metric value: Double) throws {
        try write(bytes: 100) { [runID] db in
            try db.execute(
                sql: "UPDATE run SET metric_value = ? WHERE id = ?",
                arguments: [value.isNaN ? nil : value, runID])
        }
    }

    /// Call before the pass is evaluated.
    public func begin(_ pass: Pass) throws {
        let graph = pass.interpreter.graph
        let keepsOperations = capture.policy != .none
        let isAlike = keepsOperations ? try share(graph, of: pass) : false
        let row = PassRow(
            id: nextPassID, runID: runID, step: step, kind: pass.kind, firstPosition: pass.firstPosition,
            tokens: pass.tokens.count, graphID: keepsOperations ? recordedGraph?.id : nil,
            firstOperationID: keepsOperations ? nextOperationID : nil)
        nextPassID += 1
        step += 1
        recording.begin(row, graph, isAlike: isAlike)
        nextOperationID += graph.nodes.count
        try write(bytes: 100) { db in try row.insert(db) }
    }

    /// Writes what the graph shares with later passes, unless an earlier pass has.
    ///
    /// - Returns: whether one has, the last.
    private func share(_ graph: Graph, of pass: Pass) throws -> Bool {
        let (attended, tokens) = (pass.firstPosition + pass.tokens.count, pass.tokens.count)
        if let recordedGraph, recordedGraph.describes(graph, attended: attended, tokens: tokens) { return true }
        // A prompt's graph is its own; so is that of the last token for which the cache has room.
        let isShared = tokens == 1 && attended < pass.graph.capacity
        let grown = isShared ? try pass.graph.graph(attended: attended + 1) : graph
        var recorded = RecordedGraph(
            id: nextGraphID, graph: graph, grown: grown, attended: attended, tokens: tokens)
        if !recorded.growsEvenly {
            recorded = RecordedGraph(id: nextGraphID, graph: graph, grown: graph, attended: attended, tokens: tokens)
        }
        nextGraphID += 1
        recordedGraph = recorded
        try write(bytes: 200 * graph.nodes.count) { [recorded, weightIDs] db in
            try recorded.write(weightIDs: weightIDs, db)
        }
        return false
    }

    public var takesParts: Bool { recording.takesParts }
    public var looksAtScores: Bool { capture.policy != .none }
    public var looksAtViews: Bool { capture.policy != .none }

    public func didEvaluate(_ evaluation: Evaluation) throws {
        if recording.add(evaluation) { try flush() }
    }

    /// Call when the pass is done, with its logits.
    public func end(_ pass: Pass, prediction: Prediction, nanoseconds: Int) throws {
        guard let row = recording.end() else { preconditionFailure("end without begin") }
        let last = row.firstPosition + row.tokens - 1
        let configuration = model.configuration
        let candidates = prediction.top(20, model.vocabulary)
        try write(bytes: 10_000) { db in
            try db.cachedStatement(sql: "UPDATE pass SET wall_ns = ? WHERE id = ?")
                .execute(arguments: [nanoseconds, row.id])
            let logits = candidates.enumerated().map { rank, candidate in
                LogitRow(passID: row.id, position: last, rank: rank, candidate: candidate)
            }
            try LogitRow.insert(logits, db)
            let caches = configuration.perLayer.enumerated().map { layer, sizes in
                KVCacheRow(passID: row.id, layer: layer, positions: last + 1, sizes: sizes)
            }
            try KVCacheRow.insert(caches, db)
        }
    }

    /// Call when all passes are done: waits for the writes, marks the run complete and closes the file.
    ///
    /// - Parameter closing: whether it is the last run that the file gets.
    /// - Throws: `GGUFError.FileProblem.changed` if the model's file was written to meanwhile: the run is not complete.
    public func finish(nanoseconds: Int, closing: Bool = true) async throws {
        let digest = await hash.value
        try model.file.checkUnchanged()
        try write(bytes: 100) { [modelID, runID] db in
            try ModelRows.setDigest(digest, ofModel: modelID, db)
            try db.execute(
                sql: "UPDATE run SET complete = 1, wall_ns = ? WHERE id = ?", arguments: [nanoseconds, runID])
        }
        try TraceStore.wrapping(store.path) { try writer.drain() }
        if closing { try store.close() }
    }

    /// Call instead of `finish` when a run ends early: what was handed over is written, and the run stays incomplete.
    public func abandon() throws {
        try flush()
        try TraceStore.wrapping(store.path) { try writer.drain() }
        try store.closeUnfinished()
    }

    // MARK: pieces

    private func flush() throws {
        guard let (pass, batch) = recording.takeBatch() else { return }
        let writing = OperationWriting(capture: capture, configuration: model.configuration)
        try write(bytes: batch.bytes) { db in try writing.write(batch, of: pass, db) }
    }

    private func write(bytes: Int, _ body: @escaping @Sendable (Database) throws -> Void) throws {
        try TraceStore.wrapping(store.path) { try writer.enqueue(bytes: bytes, body) }
    }
}
