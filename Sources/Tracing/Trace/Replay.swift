import ComputeGraph
import Foundation
import GGUF
import LlamaModel
import Recording
import Tensors

/// A recorded run together with its model, from which every pass can be evaluated again.
///
/// The graph is built by the code that built it for the recording, and all kernels give the same bits: node `i` of pass
/// `step` is the operation recorded with `seq` i, and its values are the recorded ones, whatever was captured of them.
public struct Replay: Sendable {
    public let run: RecordedRun
    /// With the weights that the run was made with, if some were changed for it.
    public let model: Llama
    /// What the run was made with; its passes are again.
    public let interventions: Interventions
    /// Tokens of each pass, by step.
    public let tokens: [[Int]]
    /// Positions the run's cache had room for; views of the cache depend on it.
    let capacity: Int
    /// Bytes of memory, beside the model, above which nothing is evaluated.
    public var memoryLimit = MemoryEstimate.usualLimit
    /// Of scores that are evaluated in parts.
    public var partBytes = Interpreter.usualPartBytes

    /// - Parameters:
    ///   - model: the model of the run, or what is believed to be it.
    ///   - hashingAnew: whether all bytes of a large file are read for its hash, even if it is remembered.
    /// - Throws: `ReplayProblem.otherModel` if the file's bytes are not those that the trace was made from.
    public init(_ run: RecordedRun, in store: TraceStore, model: Llama, hashingAnew: Bool = false) throws {
        let digest = hashingAnew ? model.file.hexDigest() : DigestMemory.shared.hexDigest(of: model.file)
        // A run that was cut off has no hash yet.
        if let recorded = run.modelDigest, recorded != digest {
            throw ReplayProblem.otherModel(
                trace: store.path, model: model.file.path, recorded: recorded, found: digest)
        }
        self.run = run
        interventions = try Interventions(try store.interventions(of: run))
        self.model = try interventions.applied(to: model)
        try Self.check(try store.sizes(of: run), against: model, store)
        let all = try store.tokens(of: run)
        let vocabulary = model.configuration.vocabulary
        if let unknown = all.first(where: { $0.id >= vocabulary }) {
            throw TraceError.damaged(
                TraceDamage(
                    path: store.path, table: "token", row: "run_id \(run.id), position \(unknown.position)",
                    column: "token_id", found: "\(unknown.id)", expected: "0 to \(vocabulary - 1), which the model has")
            )
        }
        tokens = try store.passes(of: run).map { pass in
            all[pass.firstPosition..<pass.firstPosition + pass.tokens].map(\.id)
        }
        let evaluated = tokens.reduce(0) { $0 + $1.count }
        capacity = try store.cacheCells(of: run) ?? max(evaluated, Session.defaultContext)
        let (c, memory) = (model.configuration, Int(clamping: ProcessInfo.processInfo.physicalMemory))
        guard capacity >= evaluated, KVCache.bytes(c, heads: c.kvHeads, positions: capacity) <= memory else {
            throw TraceError.damaged(
                TraceDamage(
                    path: store.path, table: "op", row: "the first that writes keys to the cache", column: "ne1",
                    found: "\(capacity)", expected: "\(evaluated) positions or more, of which the cache fits in memory")
            )
        }
    }

    /// What the trace says of the model, where its numbers are counted with.
    private static func check(_ recorded: ModelSizes, against model: Llama, _ store: TraceStore) throws {
        let sizes = model.configuration.sizes
        for (column, found, expected) in [
            ("n_layer", recorded.layers, sizes.layers), ("n_head", recorded.heads, sizes.heads),
            ("n_head_kv", recorded.kvHeads, sizes.kvHeads), ("n_embd", recorded.embedding, sizes.embedding),
        ] where found != expected {
            throw TraceError.damaged(
                TraceDamage(
                    path: store.path, table: "model", row: "path \(model.file.path)", column: column,
                    found: "\(found)", expected: "\(expected), as the model's file says"))
        }
    }

    /// Pass `step`, evaluated after those before it, with the values of all its nodes kept.
    ///
    /// - Throws: `TraceError.noPass` if the run has no such pass, `ReplayProblem.memory` if it takes too much.
    public func pass(
        _ step: Int, threads: Int, observers: [any ExecutionObserver] = []
    ) throws -> Pass {
        try checkMemory(steps: 0...step, keepsValues: true)
        var pass = try session(before: step, threads: threads)
            .pass(over: tokens[step], observers: observers, keepsValues: true)
        try change(&pass, step)
        try pass.interpreter.run()
        return pass
    }

    /// Evaluates pass `step` after those before it, keeping nothing but what observers take.
    ///
    /// - Parameters:
    ///   - outputs: which tokens of the pass logits are wanted of; `nil`: of the last, as recorded.
    ///   - end: the node to stop before; `nil`: none.
    /// - Returns: the pass as far as it was evaluated.
    /// - Throws: `TraceError.noPass` if the run has no such pass, `ReplayProblem.memory` if it takes too much.
    @discardableResult
    public func evaluate(
        _ step: Int, threads: Int, outputs: Range<Int>? = nil, observers: [any ExecutionObserver],
        until end: (Graph) -> Int? = { _ in nil }
    ) throws -> Pass {
        try checkMemory(steps: 0...step, outputs: outputs, end: end)
        var pass = try session(before: step, threads: threads)
            .pass(over: tokens[step], outputs: outputs, observers: observers)
        try change(&pass, step)
        try pass.interpreter.run(until: end(pass.interpreter.graph))
        return pass
    }

    /// With the passes before `step` evaluated.
    private func session(before step: Int, threads: Int) throws -> Session {
        guard tokens.indices.contains(step) else {
            throw TraceError.noPass(path: run.trace, step: step, steps: tokens.count)
        }
        var session = Session(model, capacity: capacity, threads: threads)
        for (number, earlier) in tokens[..<step].enumerated() {
            var pass = try session.pass(over: earlier)
            try change(&pass, number)
            try pass.interpreter.run()
            session.advance(past: pass)
        }
        return session
    }

    /// Evaluates all passes in order, keeping nothing but what observers take.
    ///
    /// - Parameters:
    ///   - begin: called before a pass is evaluated.
    ///   - end: called when it is done.
    public func evaluateAll(
        threads: Int, observers: [any ExecutionObserver], begin: (Pass) throws -> Void = { _ in },
        end: (Pass) throws -> Void = { _ in }
    ) throws {
        try checkMemory(steps: 0...max(0, tokens.count - 1))
        var session = Session(model, capacity: capacity, threads: threads)
        for (step, tokens) in tokens.enumerated() {
            var pass = try session.pass(over: tokens, observers: observers)
            try change(&pass, step)
            try begin(pass)
            try pass.interpreter.run()
            try end(pass)
            session.advance(past: pass)
        }
    }

    /// Of the passes, all but the last let their values go.
    private func checkMemory(
        steps: ClosedRange<Int>, keepsValues: Bool = false, outputs: Range<Int>? = nil,
        end: (Graph) -> Int? = { _ in nil }
    ) throws {
        guard tokens.indices.contains(steps.upperBound) else { return }
        for step in steps where tokens[step].count > 1 || step == steps.upperBound {
            let estimate = try MemoryEstimate(
                model, tokens: tokens[step].count, after: tokens[..<step].reduce(0) { $0 + $1.count },
                capacity: capacity, outputs: step == steps.upperBound ? outputs : nil,
                keepsValues: keepsValues && step == steps.upperBound,
                partBytes: interventions.isEmpty ? partBytes : nil, end: end)
            guard estimate.bytes <= memoryLimit else {
                throw ReplayProblem.memory(
                    trace: run.trace, tokens: tokens[step].count, estimate: estimate.bytes, limit: memoryLimit)
            }
        }
    }

    private func change(_ pass: inout Pass, _ step: Int) throws {
        pass.interpreter.partBytes = partBytes
        pass.interpreter.edits = try interventions.edits(in: pass.interpreter.graph, step: step)
    }
}

/// A run that cannot be evaluated again.
public enum ReplayProblem: InputProblem, Sendable, Equatable {
    case otherModel(trace: String, model: String, recorded: String, found: String)
    case memory(trace: String, tokens: Int, estimate: Int, limit: Int)
}

extension ReplayProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .otherModel(let trace, let model, let recorded, let found):
            "\(model): its bytes are not those that \(trace) was recorded from (SHA-256 \(found.prefix(12))…, recorded "
                + "\(recorded.prefix(12))…). Name the original file with --model, or trace again."
        case .memory(let trace, let tokens, let estimate, let limit):
            "\(trace): to evaluate its pass of \(tokens) tokens again would take about \(ByteSize(estimate)) of memory, "
                + "more than --max-memory \(ByteSize(limit)). Raise the limit, or trace a shorter prompt."
        }
    }
}
