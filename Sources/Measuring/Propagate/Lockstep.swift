import ComputeGraph
import Quantizing
import Tensors

/// The four runs while they run side by side.
struct Lockstep {
    private var reference: Interpreter
    private var runs: [ErrorCause: Interpreter]
    private let workers: Workers
    /// Relative rmse in the real run: of each operation's output, and of what was written to each cache.
    private var relative: [Double] = []
    private var cached: [Int: Double] = [:]
    private(set) var operations: [OperationError] = []
    private(set) var divergence: [ErrorCause: LogitDivergence] = [:]

    init(_ builder: RunBuilder) {
        let all = Set(builder.parts)
        workers = builder.workers
        reference = builder.interpreter(.reference)
        runs = [
            .weights: builder.interpreter(Recipe(weights: all, activations: [])),
            .activations: builder.interpreter(Recipe(weights: [], activations: all)),
            .both: builder.interpreter(Recipe(weights: all, activations: all)),
        ]
        for cause in ErrorCause.allCases { divergence[cause] = LogitDivergence() }
    }

    var position: Int { reference.position }
    var count: Int { reference.graph.nodes.count }

    mutating func step() throws -> Bool {
        guard !reference.isDone else { return false }
        if let output = OutputParts(reference) {
            step(output.chain)
            return true
        }
        if let chain = reference.scoresInParts {
            step(chain)
            return true
        }
        let exact = try reference.step()!
        var evaluations: [ErrorCause: Evaluation] = [:]
        for cause in ErrorCause.allCases { evaluations[cause] = try runs[cause]!.step()! }
        let node = exact.node
        guard case .fresh = node.output.memory else {
            let worst = worstInput(of: node)
            relative.append(worst)
            if case .inPlace(let slot) = node.output.memory, let leaf = cacheLeaf(node.inputs[slot]) {
                cached[leaf] = worst
            }
            return true
        }
        var errors = NodeErrors()
        add(exact, evaluations, to: &errors)
        append(errors, of: exact, evaluations)
        return true
    }

    /// All nodes of a chain, part by part.
    private mutating func step(_ chain: PartChain) {
        var errors = Array(repeating: NodeErrors(), count: chain.nodes.count)
        var last: [(exact: Evaluation, evaluations: [ErrorCause: Evaluation])] = []
        for part in chain.parts {
            let exact = reference.evaluate(part, of: chain)
            var evaluations = Array(repeating: [ErrorCause: Evaluation](), count: exact.count)
            for cause in ErrorCause.allCases {
                for (index, evaluation) in runs[cause]!.evaluate(part, of: chain).enumerated() {
                    evaluations[index][cause] = evaluation
                }
            }
            for index in exact.indices {
                add(exact[index], evaluations[index], to: &errors[index])
                guard exact[index].node.role.result == .logits else { continue }
                for (cause, evaluation) in evaluations[index] {
                    divergence[cause]!.add(reference: exact[index].output, other: evaluation.output)
                }
            }
            last = Array(zip(exact, evaluations))
        }
        reference.finish(chain)
        for cause in ErrorCause.allCases { runs[cause]!.finish(chain) }
        for (errors, last) in zip(errors, last) { append(errors, of: last.exact, last.evaluations) }
    }

    /// What a node's output, or a part of it, is off in each run.
    private func add(_ exact: Evaluation, _ evaluations: [ErrorCause: Evaluation], to errors: inout NodeErrors) {
        let readsWeights = exact.node.inputs.contains(where: isWeight)
        for (cause, evaluation) in evaluations {
            errors.accumulated[cause, default: NodeErrors.none].add(exact.output, evaluation.output)
            guard readsWeights else { continue }
            // This run's operation and weights on the reference's activations.
            let inputs = evaluation.node.inputs.enumerated().map { slot, source in
                isWeight(source) ? evaluation.inputs[slot] : exact.inputs[slot]
            }
            let output = Tensor.unwritten(exact.output.type, exact.output.shape)
            evaluation.node.operation.evaluate(inputs, into: output, on: workers)
            errors.local[cause, default: NodeErrors.none].add(exact.output, output)
        }
    }

    private mutating func append(
        _ errors: NodeErrors, of exact: Evaluation, _ evaluations: [ErrorCause: Evaluation]
    ) {
        let node = exact.node
        let worst = worstInput(of: node)
        relative.append(errors.accumulated[.both]!.relativeRMSE)
        operations.append(
            OperationError(
                seq: node.index, name: node.name, kind: node.kind, role: node.role, layer: node.layer,
                weightType: weightType(evaluations), local: errors.local.isEmpty ? nil : errors.local,
                accumulated: errors.accumulated, lastPosition: lastPosition(exact, evaluations), worstInput: worst))
    }

    /// - Parameter exact: the node's output, or its last part.
    private func lastPosition(_ exact: Evaluation, _ evaluations: [ErrorCause: Evaluation]) -> Double? {
        let shape = exact.node.layout.shape
        guard exact.node.tokenDimension == 1, shape.ne2 == 1, shape.ne3 == 1 else { return nil }
        var statistics = NodeErrors.none
        let (mine, other) = (exact.output, evaluations[.both]!.output)
        statistics.add(reference: mine.row(mine.shape.ne1 - 1).span, other: other.row(mine.shape.ne1 - 1).span)
        return statistics.relativeRMSE
    }

    private func weightType(_ evaluations: [ErrorCause: Evaluation]) -> TensorType? {
        let real = evaluations[.both]!
        return real.node.inputs.indices.first { isWeight(real.node.inputs[$0]) }.map { real.inputs[$0].type }
    }

    private func isWeight(_ source: Source) -> Bool {
        if case .leaf(let index) = source { reference.graph.leaves[index].role == .weight } else { false }
    }

    private func worstInput(of node: Node) -> Double { node.inputs.map(relativeError).worst() ?? 0 }

    private func relativeError(of source: Source) -> Double {
        switch source {
        case .node(let index): relative[index]
        case .leaf(let index): cached[index] ?? 0
        }
    }

    /// The cache behind a view of it.
    private func cacheLeaf(_ source: Source) -> Int? {
        switch source {
        case .leaf(let index): reference.graph.leaves[index].role == .cache ? index : nil
        case .node(let index): reference.graph.nodes[index].inputs.first.flatMap(cacheLeaf)
        }
    }
}

/// The errors of one node, as its output comes.
private struct NodeErrors {
    var accumulated: [ErrorCause: ErrorStatistics] = [:]
    /// Empty for nodes that read no weight.
    var local: [ErrorCause: ErrorStatistics] = [:]

    static let none = ErrorStatistics(quantiles: false)
}

extension ErrorStatistics {
    /// - Precondition: two outputs of one layout.
    fileprivate mutating func add(_ reference: Tensor, _ other: Tensor) {
        guard reference.type == .f32, reference.layout.isContiguous, other.layout.isContiguous else {
            return add(reference: reference.floats().span, other: other.floats().span)
        }
        reference.withElements(of: Float.self) { reference in
            other.withElements(of: Float.self) { add(reference: reference, other: $0) }
        }
    }
}
