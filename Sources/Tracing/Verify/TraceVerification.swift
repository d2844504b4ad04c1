import ComputeGraph
import Foundation
import LlamaModel
import ProgramFiles
import Recording
import Tensors

/// A trace held against its model: every operation is evaluated again, and everything recorded must be what comes out, to
/// the bit.
///
/// Operations are evaluated on their recorded inputs. Where a value does not reproduce, its recorded statistics tell which
/// of two things happened. If they are those of the recorded values, the run had these: the operation was at fault, and
/// those that read it go on from them. If not, the values were damaged later, and those that read them go on from what the
/// model makes. Either way the operation is named, and not once more each that reads it. Inputs that the trace lacks are
/// made from the model.
public struct TraceVerification: Sendable {
    /// Something recorded that does not come out again.
    public struct Failure: Sendable, Equatable {
        /// Of the trace: `tensor`, `op`, `logit`, …
        public let table: String
        /// Step, and the operation's name with `#k` where it is not the last of the name; `nil` outside passes.
        public let step: Int?
        public let operation: String?
        /// The first element that differs; `nil` for rows.
        public let index: [Int]?
        /// Which row, where step and operation do not say it: `position 4, rank 2`.
        public let row: String?
        /// `nil` if a row is missing, or there but not made by the run.
        public let column: String?
        public let recorded: String
        public let recomputed: String
        /// Elements that differ.
        public let count: Int
    }

    public internal(set) var failures: [Failure] = []
    /// Elements of tensors, and cells of rows, that were compared.
    public internal(set) var values = 0
    public internal(set) var cells = 0
    /// Operations whose values are all in the trace, in part, and not; views have none of their own.
    public internal(set) var complete = 0
    public internal(set) var partial = 0
    public internal(set) var notCaptured = 0
    /// Compared operations whose inputs are all as the trace has them, and those of which some input is made from the model
    /// because the trace lacks it or has it damaged.
    public internal(set) var fromTrace = 0
    public internal(set) var fromModel = 0

    public var checked: Int { values + cells }

    /// - Parameters:
    ///   - metric: what the run's metric says, if it has one.
    ///   - progress: called after each pass with the passes done and to do.
    /// - Throws: `TraceError` if the trace cannot be read.
    public init(
        of run: RecordedRun, in store: TraceStore, replay: Replay, metric: LogitMetric? = nil, threads: Int,
        progress: @escaping (Int, Int) -> Void = { _, _ in }
    ) async throws {
        let scratch = try ScratchFolder("verify")
        defer { scratch.remove() }
        let path = scratch.path("again.db")
        let recorder = try await TraceRecorder(
            store: try TraceStore.create(path: path), model: replay.model,
            run: RunDescription(
                prompt: run.prompt, sampling: .init(), threads: threads, kernels: "", capture: Capture(.stats),
                engineVersion: "", metric: store.metric(of: run)))
        let comparison = ValueComparison(run, in: store, passes: replay.tokens.count)
        try Self.record(
            store.tokens(of: run), tracking: store.trackedTokens(of: run), metric, replay, recorder, comparison,
            threads: threads, progress: progress)
        try await recorder.finish(nanoseconds: 0)
        comparison.finish(&self)
        let again = try TraceStore.open(path: path)
        let rows = RowComparison(
            recorded: store, run, recomputed: again, try again.run(), names: comparison.names)
        try rows.run(&self)
    }

    /// Makes the run again, compares values and records everything else.
    private static func record(
        _ tokens: [RecordedToken], tracking followed: [Int], _ metric: LogitMetric?, _ replay: Replay,
        _ recorder: TraceRecorder, _ comparison: ValueComparison, threads: Int, progress: (Int, Int) -> Void
    ) throws {
        let prompt = Array(tokens.prefix { $0.source == "prompt" })
        let ids = prompt.map(\.id)
        // With --logits all each token but the first has one. The most decide, so that a row that was changed is named alone.
        let known = prompt.count { $0.logProbability != nil }
        let surprise =
            known > 0 && 2 * known >= prompt.count
            ? try PromptSurprise(replay.model, ids, tracking: followed, threads: threads) : nil
        try recorder.record(
            tokens: ids, from: 0, source: "prompt",
            scores: surprise?.tokens.map { $0.map { ($0.logProbability, $0.rank) } } ?? [])
        try recorder.record(surprise?.tracked ?? [])
        var (next, done) = (prompt.count, 0)
        try replay.evaluateAll(threads: threads, observers: [comparison, recorder]) { pass in
            try comparison.begin(pass, step: done)
            try recorder.begin(pass)
        } end: { pass in
            let prediction = Prediction(logits: pass.logits!)
            if done == 0, let metric {
                try recorder.record(metric: metric.value(prediction.logits, base: prediction.logits))
            }
            try recorder.end(pass, prediction: prediction, nanoseconds: 0)
            try recorder.record(
                prediction.tracked(
                    followed, after: pass.firstPosition + pass.tokens.count - 1, replay.model.vocabulary))
            if next < tokens.count {
                try recorder.record(
                    tokens: [tokens[next].id], from: next, source: tokens[next].source, prediction: prediction)
                next += 1
            }
            done += 1
            progress(done, replay.tokens.count)
        }
    }
}

/// Compares what each operation makes with what the trace holds of it.
private final class ValueComparison: ExecutionObserver {
    private let run: RecordedRun
    private let store: TraceStore
    private var operations: [RecordedOperation] = []
    private var step = 0
    private var result: (failures: [TraceVerification.Failure], values: Int) = ([], 0)
    private var counts = (complete: 0, partial: 0, notCaptured: 0)
    private var inputs = (fromTrace: 0, fromModel: 0)
    private var graph: Graph?
    /// The nodes of this pass whose values are as the trace has them.
    private var held: [Bool] = []
    /// Caches in which something is not.
    private var patchyCaches: Set<String> = []
    /// Whether the trace holds no scores and patterns of this pass, so that they may come in parts.
    private(set) var takesParts = false
    /// The operations of each step, `#k` where a later one has the same name.
    private(set) var names: [[String]] = []

    init(_ run: RecordedRun, in store: TraceStore, passes: Int) { (self.run, self.store) = (run, store) }

    func begin(_ pass: Pass, step: Int) throws {
        self.step = step
        operations = try store.operations(of: run, step: step)
        let captured = try store.capturedOperations(of: run, step: step)
        takesParts = !operations.contains {
            captured.contains($0.id) && ($0.role?.part == .scores || $0.isResult(of: .pattern))
        }
        let graph = pass.interpreter.graph
        names.append(graph.addressNames)
        self.graph = graph
        held = Array(repeating: false, count: graph.nodes.count)
    }

    private func isHeld(_ source: Source) -> Bool {
        if case .node(let index) = source, !held[index] { return false }
        guard let leaf = graph?.leaf(behind: source) else { return true }
        return leaf.role != .cache || !patchyCaches.contains(leaf.name)
    }

    func didEvaluate(_ evaluation: Evaluation) throws {
        try Task.checkCancellation()
        guard evaluation.isLast else { return }
        let node = evaluation.node
        if case .view(let slot, _) = node.output.memory { held[node.index] = isHeld(node.inputs[slot]) }
        guard !node.output.isPureView else { return }
        defer {
            if case .inPlace(let slot) = node.output.memory, !held[node.index],
                let leaf = graph?.leaf(behind: node.inputs[slot])
            {
                patchyCaches.insert(leaf.name)
            }
        }
        // Rows that are missing, or of another operation, are told by the comparison of rows.
        guard evaluation.part == nil, let operation = operations.first(where: { $0.seq == node.index }),
            operation.shape == node.layout.shape
        else {
            counts.notCaptured += 1
            return
        }
        do {
            guard let recorded = try store.ownValues(of: operation) else {
                counts.notCaptured += 1
                return
            }
            compare(recorded.all, evaluation, operation)
        } catch TraceError.damaged(let damage) {
            fail(
                node, index: nil, "\(damage.column): \(damage.found)", damage.expected, count: operation.shape.count)
        }
    }

    private func compare(_ recorded: [Float?], _ evaluation: Evaluation, _ operation: RecordedOperation) {
        let (node, found) = (evaluation.node, evaluation.output.floats())
        var (first, different, compared): (Int?, Int, Int) = (nil, 0, 0)
        for (number, value) in recorded.enumerated() {
            guard let value else { continue }
            compared += 1
            guard value.bitPattern != found[number].bitPattern else { continue }
            first = first ?? number
            different += 1
        }
        result.values += compared
        // An operation on the cache is complete with what it wrote.
        let all = node.isWrite ? evaluation.inputs[0].shape.count : recorded.count
        if compared == all { counts.complete += 1 } else { counts.partial += 1 }
        if node.inputs.allSatisfy(isHeld) { inputs.fromTrace += 1 } else { inputs.fromModel += 1 }
        held[node.index] = compared == all
        guard let first else { return }
        fail(node, index: first, "\(recorded[first]!)", "\(found[first])", count: different)
        held[node.index] = adopt(recorded, evaluation.output, operation)
    }

    /// Goes on from what was recorded, if its statistics vouch for it.
    private func adopt(_ recorded: [Float?], _ output: Tensor, _ operation: RecordedOperation) -> Bool {
        let values = recorded.compactMap(\.self)
        guard output.type == .f32, output.layout.isContiguous, values.count == output.shape.count,
            operation.has(Statistics(values))
        else { return false }
        output.withMutableElements(of: Float.self) { out in
            for index in values.indices { out[index] = values[index] }
        }
        return true
    }

    private func fail(_ node: Node, index: Int?, _ recorded: String, _ recomputed: String, count: Int) {
        let shape = node.layout.shape
        let indices = index.map { number -> [Int] in
            let element = shape.element(at: number)
            return Array([element.i0, element.i1, element.i2, element.i3].prefix(shape.significant.count))
        }
        result.failures.append(
            .init(
                table: "tensor", step: step, operation: names[step][node.index], index: indices, row: nil,
                column: "data", recorded: recorded, recomputed: recomputed, count: count))
    }

    func finish(_ verification: inout TraceVerification) {
        verification.failures += result.failures
        verification.values += result.values
        (verification.complete, verification.partial, verification.notCaptured) = counts
        (verification.fromTrace, verification.fromModel) = inputs
    }
}

extension RecordedOperation {
    fileprivate func has(_ statistics: Statistics) -> Bool {
        count == statistics.count && sum == statistics.sum && rms == statistics.rms
            && minimum == statistics.minimum.map(Double.init) && maximum == statistics.maximum.map(Double.init)
            && (zeros, nans, infinities) == (statistics.zeros, statistics.nans, statistics.infinities)
    }
}

extension Graph {
    /// The names of the nodes, `#k` where a later node has the same.
    var addressNames: [String] {
        var (left, seen) = (nodes.reduce(into: [String: Int]()) { $0[$1.name, default: 0] += 1 }, [String: Int]())
        return nodes.map { node in
            left[node.name]! -= 1
            defer { seen[node.name, default: 0] += 1 }
            return left[node.name]! == 0 ? node.name : "\(node.name)#\(seen[node.name] ?? 0)"
        }
    }
}
