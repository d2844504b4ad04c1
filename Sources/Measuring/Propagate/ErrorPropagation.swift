import ComputeGraph
import LlamaModel
import Quantization
import Quantizing
import Tensors

/// Where error comes from in the real run of a quantised model.
public enum ErrorCause: String, Sendable, CaseIterable {
    /// Quantised weights, F32 activations.
    case weights
    /// F32 weights, activations rounded as the products round them.
    case activations
    /// The real run.
    case both
}

/// The error of one operation.
public struct OperationError: Sendable {
    public let seq: Int
    public let name: String
    public let kind: String
    public let role: NodeRole
    public let layer: Int?
    /// Of the quantised weight that it reads; `nil` if it reads none.
    public let weightType: TensorType?
    /// Of this operation alone, given the reference's inputs; `nil` if it reads no weight: then it adds none.
    public let local: [ErrorCause: ErrorStatistics]?
    /// Of its output in each run against the reference's.
    public let accumulated: [ErrorCause: ErrorStatistics]
    /// Of the last position's part of the output in the real run: relative rmse. `nil` where it is no single column.
    public let lastPosition: Double?
    /// In the real run, of that of its inputs with the most: relative rmse.
    public let worstInput: Double

    /// What the operation adds to the worst of its inputs, in relative rmse.
    public var jump: Double { accumulated[.both]!.relativeRMSE - worstInput }
}

/// What one part of the model does to the prediction.
public struct PartShare: Sendable {
    public let part: ModelPart
    /// Mean KL divergence in nats if nothing else is quantised.
    public let kld: Double
    /// Of the sum over all parts.
    public internal(set) var share = 0.0
}

/// Error through depth: the graph of a prompt in four runs, one operation after the other.
///
/// All runs have the same tokens, and an F16 KV cache. Logits are taken at every position.
public struct ErrorPropagation: Sendable {
    public let operations: [OperationError]
    public let divergence: [ErrorCause: LogitDivergence]
    public let tokens: [Int]
    private let builder: RunBuilder
    /// The logits are made anew for each run that is held against them.
    private let reference: OutputParts

    /// What propagation needs of a network: where the stream begins, which is a part of its own, and what comes out.
    public static let analysis = Analysis("propagate", needs: [.result(.embedding), .result(.logits)])

    /// Takes the four runs side by side.
    ///
    /// - Parameters:
    ///   - reference: its weights, as they decode, are exact.
    ///   - quantized: the same model with other weights, or the same file.
    ///   - memoryLimit: bytes, beside the models, above which nothing is evaluated; `nil`: none.
    ///   - partBytes: of scores that are evaluated in parts.
    ///   - progress: called after each operation.
    /// - Throws: `AnalysisProblem` if the network lacks a part, `PropagationProblem` if the models are not of one shape or
    ///   it would take too much memory.
    public init(
        reference: Llama, quantized: Llama, tokens: [Int], threads: Int, memoryLimit: Int? = nil,
        partBytes: Int = Interpreter.usualPartBytes,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws {
        guard !tokens.isEmpty else { throw LlamaError.emptyPrompt }
        let limit = quantized.configuration.trainedContext
        guard tokens.count <= limit else { throw LlamaError.contextExceeded(needed: tokens.count, limit: limit) }
        let workers = Workers(threads: threads, instructions: .best)
        if let memoryLimit {
            let estimate = try Self.memory(quantized, tokens: tokens.count, partBytes: partBytes)
            guard estimate <= memoryLimit else {
                throw PropagationProblem.memory(tokens: tokens.count, estimate: estimate, limit: memoryLimit)
            }
        }
        builder = try RunBuilder(
            reference: reference, quantized: quantized, tokens: tokens, workers: workers, partBytes: partBytes)
        try Self.analysis.check(reference)
        self.tokens = tokens
        var lockstep = Lockstep(builder)
        while try lockstep.step() { try progress(lockstep.position, lockstep.count) }
        operations = lockstep.operations
        self.reference = lockstep.output!
        divergence = lockstep.divergence
    }

    /// Bytes that the four runs take when it is most: values and caches of each, inputs once, and parts of scores or logits.
    static func memory(_ model: Llama, tokens: Int, partBytes: Int) throws -> Int {
        let cache = KVCache(model.configuration, capacity: max(tokens, Session.defaultContext))
        let graph = try LlamaGraph.outline(model, tokens: tokens, cache: cache, outputs: 0..<tokens)
        let output = graph.nodes.firstIndex { $0.role.part == .logits } ?? graph.nodes.count
        let inputs = graph.leaves.filter { $0.role == .input }.reduce(0) { $0 + $1.layout.byteCount }
        let values = graph.peakBytes(upTo: output, partBytes: partBytes) - inputs
        return inputs + 4 * values + 5 * 4 * partBytes
    }

    /// Parts of the model, each a pass of `shares`.
    public var parts: Int { builder.parts.count }

    /// What each part does to the prediction: a pass with nothing but this part quantised.
    ///
    /// Not the other way round, by restoring one part in the real run: there every rounding after the part falls
    /// otherwise, and what that changes by chance is as large as what is looked for.
    ///
    /// - Parameter progress: called after each pass.
    public func shares(progress: (_ done: Int) throws -> Void = { _ in }) throws -> [PartShare] {
        var shares: [PartShare] = []
        for part in builder.parts {
            shares.append(PartShare(part: part, kld: try kld([part])))
            try progress(shares.count)
        }
        let sum = shares.reduce(0) { $0 + $1.kld }
        for index in shares.indices where sum > 0 { shares[index].share = shares[index].kld / sum }
        return shares
    }

    /// Mean divergence if just these parts are quantised.
    private func kld(_ parts: Set<ModelPart>) throws -> Double {
        var run = builder.interpreter(Recipe(weights: parts, activations: parts))
        try run.run(until: reference.chain.nodes.lowerBound)
        let output = OutputParts(run)!
        var divergence = LogitDivergence()
        for part in reference.chain.parts {
            divergence.add(reference: reference.evaluate(part), other: output.evaluate(part))
        }
        return divergence.mean
    }
}

/// The four runs while they run side by side.
private struct Lockstep {
    private var reference: Interpreter
    private var runs: [ErrorCause: Interpreter]
    private let workers: Workers
    /// Relative rmse in the real run: of each operation's output, and of what was written to each cache.
    private var relative: [Double] = []
    private var cached: [Int: Double] = [:]
    private(set) var operations: [OperationError] = []
    private(set) var divergence: [ErrorCause: LogitDivergence] = [:]
    /// What made the reference's logits; `nil` until it has.
    private(set) var output: OutputParts?

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
            self.output = output
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
