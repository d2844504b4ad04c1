import ComputeGraph
import LlamaModel
import Quantization
import Quantizing
import Tensors

/// Error through depth: the graph of a prompt in four runs, one operation after the other.
///
/// All runs have the same tokens, and an F16 KV cache. Logits are taken at every position.
public struct ErrorPropagation: Sendable {
    /// What the four runs side by side come to.
    public struct Runs: Codable, Sendable {
        public let operations: [OperationError]
        public let divergence: [ErrorCause: LogitDivergence]
    }

    public let tokens: [Int]
    private let builder: RunBuilder

    /// What propagation needs of a network: where the stream begins, which is a part of its own, and what comes out.
    public static let analysis = Analysis("propagate", needs: [.result(.embedding), .result(.logits)])

    /// - Parameters:
    ///   - reference: its weights, as they decode, are exact.
    ///   - quantized: the same model with other weights, or the same file.
    ///   - memoryLimit: bytes, beside the models, above which nothing is evaluated; `nil`: none.
    ///   - partBytes: of scores that are evaluated in parts.
    /// - Throws: `AnalysisProblem` if the network lacks a part, `PropagationProblem` if the models are not of one shape or
    ///   it would take too much memory.
    public init(
        reference: Llama, quantized: Llama, tokens: [Int], threads: Int, memoryLimit: Int? = nil,
        partBytes: Int = Interpreter.usualPartBytes
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

    /// Takes the four runs side by side.
    ///
    /// - Parameter progress: called after each operation.
    public func runs(progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }) throws -> Runs {
        var lockstep = Lockstep(builder)
        while try lockstep.step() { try progress(lockstep.position, lockstep.count) }
        return Runs(operations: lockstep.operations, divergence: lockstep.divergence)
    }

    /// What each part does to the prediction: a pass with nothing but this part quantised.
    ///
    /// Not the other way round, by restoring one part in the real run: there every rounding after the part falls
    /// otherwise, and what that changes by chance is as large as what is looked for.
    public func shares() throws -> [PartShare] {
        let passes = try partPasses()
        return PartShare.shares(try builder.parts.map { ($0, try passes.kld(of: $0)) })
    }

    /// For one part after the other. Takes a pass of the reference.
    ///
    /// - Parameter streamBytes: of its residual stream that is kept, at most.
    public func partPasses(streamBytes: Int = PartPasses.usualStreamBytes) throws -> PartPasses {
        try PartPasses(builder, streamBytes: streamBytes)
    }
}
