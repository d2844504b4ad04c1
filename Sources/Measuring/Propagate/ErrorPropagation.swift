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
    private let reference: [Prediction]

    /// What propagation needs of a network: where the stream begins, which is a part of its own, and what comes out.
    public static let analysis = Analysis("propagate", needs: [.result(.embedding), .result(.logits)])

    /// Takes the four runs side by side.
    ///
    /// - Parameters:
    ///   - reference: its weights, as they decode, are exact.
    ///   - quantized: the same model with other weights, or the same file.
    ///   - progress: called after each operation.
    /// - Throws: `AnalysisProblem` if the network lacks a part, `PropagationProblem` if the models are not of one shape.
    public init(
        reference: Llama, quantized: Llama, tokens: [Int], threads: Int,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws {
        guard !tokens.isEmpty else { throw LlamaError.emptyPrompt }
        let limit = quantized.configuration.trainedContext
        guard tokens.count <= limit else { throw LlamaError.contextExceeded(needed: tokens.count, limit: limit) }
        let workers = Workers(threads: threads, instructions: .best)
        builder = RunBuilder(reference: reference, quantized: quantized, tokens: tokens, workers: workers)
        try builder.checkSizes()
        try Self.analysis.check(reference)
        self.tokens = tokens
        var lockstep = try Lockstep(builder)
        while try lockstep.step() { try progress(lockstep.position, lockstep.count) }
        operations = lockstep.operations
        let predictions = lockstep.predictions
        self.reference = predictions.reference
        divergence = predictions.runs.mapValues { LogitDivergence(reference: predictions.reference, other: $0) }
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
        var run = try builder.interpreter(Recipe(weights: parts, activations: parts))
        try run.run()
        return LogitDivergence(reference: reference, other: run.predictions).mean
    }
}

extension Interpreter {
    /// Of all outputs of a finished pass.
    var predictions: [Prediction] {
        let logits = value(of: .node(graph.nodes.last { $0.role.result == .logits }!.index))!
        return (0..<logits.shape.ne1).map { column in
            Prediction(logits: logits.withRow(of: Float.self, column) { row in (0..<row.count).map { row[$0] } })
        }
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

    init(_ builder: RunBuilder) throws {
        let all = Set(builder.parts)
        workers = builder.workers
        reference = try builder.interpreter(.reference)
        runs = [
            .weights: try builder.interpreter(Recipe(weights: all, activations: [])),
            .activations: try builder.interpreter(Recipe(weights: [], activations: all)),
            .both: try builder.interpreter(Recipe(weights: all, activations: all)),
        ]
    }

    var position: Int { reference.position }
    var count: Int { reference.graph.nodes.count }
    var predictions: (reference: [Prediction], runs: [ErrorCause: [Prediction]]) {
        (reference.predictions, runs.mapValues(\.predictions))
    }

    mutating func step() throws -> Bool {
        guard let exact = try reference.step() else { return false }
        var evaluations: [ErrorCause: Evaluation] = [:]
        for cause in ErrorCause.allCases { evaluations[cause] = try runs[cause]!.step()! }
        let node = exact.node
        let worst = node.inputs.map(relativeError).worst() ?? 0
        guard case .fresh = node.output.memory else {
            relative.append(worst)
            if case .inPlace(let slot) = node.output.memory, let leaf = cacheLeaf(node.inputs[slot]) {
                cached[leaf] = worst
            }
            return true
        }
        let values = exact.output.floats()
        let accumulated = evaluations.mapValues { Self.statistics(values, $0.output.floats()) }
        relative.append(accumulated[.both]!.relativeRMSE)
        operations.append(
            OperationError(
                seq: node.index, name: node.name, kind: node.kind, role: node.role, layer: node.layer,
                weightType: weightType(evaluations),
                local: local(exact, values, evaluations), accumulated: accumulated,
                lastPosition: lastPosition(exact, values, evaluations), worstInput: worst))
        return true
    }

    /// Each run's operation and weights on the reference's activations.
    private func local(
        _ exact: Evaluation, _ values: [Float], _ evaluations: [ErrorCause: Evaluation]
    ) -> [ErrorCause: ErrorStatistics]? {
        guard exact.node.inputs.contains(where: isWeight) else { return nil }
        return evaluations.mapValues { evaluation in
            let inputs = evaluation.node.inputs.enumerated().map { slot, source in
                isWeight(source) ? evaluation.inputs[slot] : exact.inputs[slot]
            }
            let output = Tensor.zeros(exact.output.type, exact.output.shape)
            evaluation.node.operation.evaluate(inputs, into: output, on: workers)
            return Self.statistics(values, output.floats())
        }
    }

    private func lastPosition(
        _ exact: Evaluation, _ values: [Float], _ evaluations: [ErrorCause: Evaluation]
    ) -> Double? {
        let shape = exact.output.shape
        guard exact.node.tokenDimension == 1, shape.ne2 == 1, shape.ne3 == 1 else { return nil }
        let other = evaluations[.both]!.output.floats()
        return Self.statistics(Array(values.suffix(shape.ne0)), Array(other.suffix(shape.ne0))).relativeRMSE
    }

    private func weightType(_ evaluations: [ErrorCause: Evaluation]) -> TensorType? {
        let real = evaluations[.both]!
        return real.node.inputs.indices.first { isWeight(real.node.inputs[$0]) }.map { real.inputs[$0].type }
    }

    private func isWeight(_ source: Source) -> Bool {
        if case .leaf(let index) = source { reference.graph.leaves[index].role == .weight } else { false }
    }

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

    private static func statistics(_ reference: [Float], _ other: [Float]) -> ErrorStatistics {
        var statistics = ErrorStatistics(quantiles: false)
        statistics.add(reference: reference.span, other: other.span)
        return statistics
    }
}
