import ComputeGraph
import LlamaModel
import Measuring
import Recording
import Synchronization
import Tensors
import Tracing

/// What a walk over a trace needs its model for: the values that were not captured, explanations, the logit lens. Opened
/// when it is first asked, or before that in the background.
public final class StepModel: Sendable {
    private struct Known {
        var replay: Replay?
        var lens: LogitLens?
        var pass: (step: Int, provenance: Provenance)?
        /// The residual stream's top token by operation.
        var tops: [Int: String] = [:]
    }

    private let open: @Sendable () throws -> Replay
    private let threads: Int
    private let known = Mutex(Known())
    /// The pass that was last asked to be ready.
    private let wanted = Atomic<Int>(-1)

    /// - Parameter open: finds the model and checks that it is the one the trace was made from.
    public init(threads: Int, open: @escaping @Sendable () throws -> Replay) {
        self.threads = threads
        self.open = open
    }

    /// Evaluates a pass while its reader still reads, so that who asks does not wait. What goes wrong is said when
    /// someone asks.
    func prepare(_ step: Int) {
        guard wanted.exchange(step, ordering: .relaxed) != step else { return }
        Task.detached(priority: .utility) { [self] in
            known.withLock { known in
                // A reader who walks on quickly asks for the last pass only.
                if wanted.load(ordering: .relaxed) == step { _ = try? provenance(step, &known) }
            }
        }
    }

    /// The pass evaluated again, with all values.
    func provenance(_ step: Int) throws -> Provenance {
        try known.withLock { try provenance(step, &$0) }
    }

    /// The pass of an operation evaluated again, and the operation in it.
    func node(of operation: RecordedOperation) throws -> (node: Node, provenance: Provenance) {
        try known.withLock { known in
            let provenance = try provenance(operation.step, &known)
            return (try provenance.node(of: operation, in: try replay(&known).run.trace), provenance)
        }
    }

    private func provenance(_ step: Int, _ known: inout Known) throws -> Provenance {
        if let pass = known.pass, pass.step == step { return pass.provenance }
        let replay = try replay(&known)
        let provenance = try Provenance(replay, step: step, threads: threads)
        known.pass = (step, provenance)
        return provenance
    }

    /// The last token's column of the residual stream.
    func residual(of operation: RecordedOperation) throws -> [Float] {
        let (node, provenance) = try node(of: operation)
        let tensor = provenance.tensor(of: .node(node.index))
        return tensor.row(tensor.shape.ne1 - 1, 0, 0)
    }

    /// The token that the residual stream would predict if the network ended here.
    ///
    /// - Parameter column: the stream at one position; read only if the answer is not known.
    func topToken(at operation: RecordedOperation, column: () throws -> [Float]) throws -> String {
        if let top = known.withLock({ $0.tops[operation.id] }) { return top }
        let values = try column()
        return try known.withLock { known in
            let replay = try replay(&known)
            let (model, width) = (replay.model, replay.model.configuration.embedding)
            guard values.count == width else {
                throw TraceError.damaged(
                    TraceDamage(
                        operation, in: replay.run.trace, "ne0", found: "\(values.count)",
                        expected: "\(width), the width of the residual stream"))
            }
            let lens = try known.lens ?? LogitLens(model, threads: threads)
            known.lens = lens
            let top = try lens.prediction(from: values).top(1, model.vocabulary)[0].piece
            known.tops[operation.id] = top
            return top
        }
    }

    private func replay(_ known: inout Known) throws -> Replay {
        if let replay = known.replay { return replay }
        let opened = try open()
        known.replay = opened
        return opened
    }
}
