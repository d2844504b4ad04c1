import ComputeGraph
import Foundation
import LlamaModel
import Recording
import Tensors

/// A recorded run beside what the recorder was shown.
public struct Recorded {
    /// A node as it was evaluated; its values are copied then, for later nodes change the cache.
    public struct Snapshot: Sendable {
        public let evaluation: Evaluation
        public let values: [Float]
        public let sources: [String]
        public var node: Node { evaluation.node }
    }

    public final class Photographer: ExecutionObserver {
        public private(set) var nodes: [(evaluation: Evaluation, values: [Float])] = []

        public init() {}

        public func didEvaluate(_ evaluation: Evaluation) {
            nodes.append((evaluation, evaluation.output.floats()))
        }

        /// With the names of the sources, which only the graph knows.
        func snapshots(of graph: Graph) -> [Snapshot] {
            nodes.map { evaluation, values in
                Snapshot(
                    evaluation: evaluation, values: values, sources: evaluation.node.inputs.map(graph.name(of:)))
            }
        }
    }

    public let path: String
    public let model: Llama
    public let tokens: [Int]
    public let promptTokens: Int
    /// Snapshots and prediction of each pass.
    public let passes: [(nodes: [Snapshot], prediction: Prediction)]
    public let store: TraceStore
    private let folder: TemporaryFolder

    /// Runs a prompt and records it, as the command does.
    public init(
        _ model: TinyModel = .gqa, prompt: String = "Once upon a time", generate: Int = 4, _ capture: Capture,
        in folder: TemporaryFolder? = nil, _ creation: TraceStore.Creation = .new
    ) async throws {
        try await self.init(
            try model.load(), prompt: prompt, generate: generate, capture, in: folder ?? TemporaryFolder(), creation)
    }

    public init(
        _ fixture: ArchitectureFixture, prompt: String = "Once upon a time", generate: Int, _ capture: Capture
    ) async throws {
        try await self.init(try fixture.load(), prompt: prompt, generate: generate, capture, in: TemporaryFolder())
    }

    /// - Parameter prepare: called with each pass and its step before it is evaluated.
    public init(
        _ model: Llama, prompt: String, generate: Int, _ capture: Capture, in folder: TemporaryFolder,
        _ creation: TraceStore.Creation = .new, interventions: [InterventionRecord] = [],
        prepare: (inout Pass, Int) throws -> Void = { _, _ in }
    ) async throws {
        self.folder = folder
        self.model = model
        path = folder.path("trace.db")
        let ids = try model.tokenizer.encode(prompt)
        var session = try Session(model, positions: ids.count + generate, threads: 2)
        let recorder = try await Self.recorder(
            try TraceStore.create(path: path, creation), model, prompt: prompt, capture: capture,
            interventions: interventions)
        try recorder.record(tokens: ids, from: 0, source: "prompt")
        var (next, all, passes) = (ids, ids, [(nodes: [Snapshot], prediction: Prediction)]())
        while true {
            let photographer = Photographer()
            var pass = try session.pass(over: next, observers: [photographer, recorder])
            try prepare(&pass, passes.count)
            try recorder.begin(pass)
            try pass.interpreter.run()
            let prediction = Prediction(logits: pass.logits!)
            try recorder.end(pass, prediction: prediction, nanoseconds: 1000 + passes.count)
            session.advance(past: pass)
            passes.append((photographer.snapshots(of: pass.interpreter.graph), prediction))
            if all.count == ids.count + generate { break }
            next = [Sampler.argmax(prediction.logits)]
            try recorder.record(tokens: next, from: all.count, source: "generated", prediction: prediction)
            all += next
            if all.count == ids.count + generate { break }
        }
        try await recorder.finish(nanoseconds: 123_456)
        (self.passes, tokens, promptTokens) = (passes, all, ids.count)
        store = try TraceStore.open(path: path)
    }

    public static func recorder(
        _ store: TraceStore, _ model: Llama, prompt: String = "Once", capture: Capture = Capture(.all),
        interventions: [InterventionRecord] = []
    ) async throws -> TraceRecorder {
        var sampling = Sampler.Options()
        sampling.seed = 17
        return try await TraceRecorder(
            store: store, model: model,
            run: RunDescription(
                prompt: prompt, sampling: sampling, threads: 2, kernels: "reference", capture: capture,
                engineVersion: "test", interventions: interventions))
    }

    public var byteCount: Int {
        get throws { try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0 }
    }

    public func operations(step: Int) throws -> [RecordedOperation] {
        try store.operations(of: store.run(), step: step)
    }
}

extension TraceStore {
    /// All rows of a query.
    public func rows(_ sql: String) throws -> [[SQLValue]] {
        var rows: [[SQLValue]] = []
        try query(sql, columns: { _ in }, row: { rows.append($0) })
        return rows
    }

    public func integers(_ sql: String) throws -> [Int?] { try rows(sql).map { $0[0].integer } }
    public func texts(_ sql: String) throws -> [String?] { try rows(sql).map { $0[0].text } }
}

extension TraceStore.SQLValue {
    public var integer: Int? { if case .integer(let value) = self { Int(value) } else { nil } }
    public var real: Double? { if case .real(let value) = self { value } else { nil } }
    public var text: String? { if case .text(let value) = self { value } else { nil } }
    public var blob: Data? { if case .blob(let value) = self { value } else { nil } }
}
