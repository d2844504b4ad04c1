import ComputeGraph
import Operations
import Tensors

/// How fast each group of operations computes when memory does not hold it back: on operands that lie in the cache.
///
/// That is the ceiling of the roofline on its arithmetic side, measured with the very code that ran, conversions and
/// calls included; the processor's own peak would say little about, say, exponentials. One evaluation of each group is
/// kept, the one with the most operations, and repeated: all of it if its operands fit the cache, else the first rows of
/// its weight.
public final class CachedPeaks: ExecutionObserver {
    /// Bytes of a weight that a thread's share of the second-level cache surely holds.
    private static let share = 256 << 10

    private var samples: [OperationGroup: (operations: Int, evaluation: Evaluation)] = [:]
    private let graph: Graph

    public var looksAtScores: Bool { false }

    /// - Parameter graph: that of the pass to be observed.
    public init(_ graph: Graph) { self.graph = graph }

    public func didEvaluate(_ evaluation: Evaluation) {
        let group = OperationGroup(evaluation, in: graph)
        let operations = evaluation.cost.operations
        guard operations > samples[group]?.operations ?? 0 else { return }
        samples[group] = (operations, evaluation)
    }

    /// Operations a second of each group that has any. The pass must be over, and nothing else running.
    public func measure(on workers: Workers) -> [OperationGroup: Double] {
        samples.mapValues { Self.rate(of: $0.evaluation, on: workers) }
    }

    /// The best of some repetitions, after one that fills the cache.
    private static func rate(of evaluation: Evaluation, on workers: Workers) -> Double {
        if let fused = evaluation.fused { return rate(of: fused, evaluation, on: workers) }
        let operation = evaluation.node.operation
        var inputs = evaluation.inputs
        var shape = evaluation.output.shape
        if operation is MatMul {
            inputs[0] = firstRows(of: inputs[0], threads: workers.count)
            shape = Shape(inputs[0].shape.ne1, shape.ne1, shape.ne2, shape.ne3)
        }
        // Nothing that counts operations writes in place.
        let output = Tensor.zeros(evaluation.output.type, shape)
        let cost = operation.cost(inputs: inputs.map(\.layout), output: output.layout)
        return Double(cost.operations) / best { operation.evaluate(inputs, into: output, on: workers) }
    }

    /// Keys and values of a head stay in the cache while its queries pass over them: all of it is repeated.
    private static func rate(of fused: FusedEvaluation, _ evaluation: Evaluation, on workers: Workers) -> Double {
        let output = Tensor.unwritten(evaluation.output.type, evaluation.output.shape)
        return Double(evaluation.cost.operations)
            / best {
                _ = fused.fusion.evaluate(evaluation.inputs, prepared: fused.prepared, into: output, on: workers)
            }
    }

    /// Seconds of the shortest of some repetitions.
    private static func best(_ body: () -> Void) -> Double {
        let clock = ContinuousClock()
        body()
        let begin = clock.now
        var best = Duration.seconds(1_000_000)
        for round in 1... {
            best = min(best, clock.measure(body))
            if round >= 3, round >= 200 || begin.duration(to: clock.now) > .milliseconds(30) { break }
        }
        return best / .seconds(1)
    }

    private static func firstRows(of weight: Tensor, threads: Int) -> Tensor {
        let fitting = share * threads / (weight.layout.rowBytes * weight.shape.ne2 * weight.shape.ne3)
        // Whole groups of sixteen, as kernels like them.
        let rows = max(1, fitting / 16) * 16
        var layout = weight.layout
        layout.shape = Shape(weight.shape.ne0, min(rows, weight.shape.ne1), weight.shape.ne2, weight.shape.ne3)
        return weight.view(layout)
    }
}
