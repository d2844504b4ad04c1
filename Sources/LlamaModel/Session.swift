import Quantization
import ComputeGraph
import Quantization
import Tensors

/// One pass of the model over some tokens, ready to be evaluated all at once or node by node.
public struct Pass {
    public enum Kind: String, Sendable {
        /// The prompt, all tokens at once.
        case prefill
        /// One generated token.
        case decode
    }

    public let kind: Kind
    public let tokens: [Int]
    public let firstPosition: Int
    public let graph: LlamaGraph
    public var interpreter: Interpreter

    /// Logits of the last token, or of the tokens asked for, one after another; `nil` until the pass is done.
    public var logits: [Float]? { logitRows?.floats() }

    /// The same as a tensor `[V, O]`: a row for each token that gets logits.
    public var logitRows: Tensor? {
        interpreter.isDone ? interpreter.value(of: .node(interpreter.graph.nodes.count - 1)) : nil
    }
}

/// A model with its cache: a text being continued.
public struct Session {
    public let model: Llama
    public private(set) var cache: KVCache
    public let workers: Workers
    /// Of the last pass over one token: the next one's differs in little.
    private var decodeGraph: LlamaGraph?

    /// Cells of a cache unless more are needed: the context llama.cpp's perplexity and evaluation tools use.
    public static let defaultContext = 512

    /// - Parameter positions: how many positions the run may take in all.
    /// - Throws: `LlamaError.contextExceeded` if the model was trained for fewer.
    public init(
        _ model: Llama, positions: Int, threads: Int, instructions: InstructionSet = .best
    ) throws(LlamaError) {
        let limit = model.configuration.trainedContext
        guard positions <= limit else { throw .contextExceeded(needed: positions, limit: limit) }
        self.init(
            model, capacity: max(positions, Self.defaultContext), threads: threads, instructions: instructions)
    }

    /// - Parameter capacity: cells of the cache, exactly.
    public init(_ model: Llama, capacity: Int, threads: Int, instructions: InstructionSet = .best) {
        self.model = model
        cache = KVCache(model.configuration, capacity: capacity)
        workers = Workers(threads: threads, instructions: instructions)
    }

    /// The pass over `tokens` at the positions that follow. It changes the cache's memory as it is evaluated; call
    /// `advance` when it is done.
    ///
    /// - Parameter outputs: the tokens that get logits, counted from the first of `tokens`. `nil`: the last.
    /// - Throws: `LlamaError` if there are no tokens, no room, or an id outside the vocabulary.
    public func pass(
        over tokens: [Int], outputs: Range<Int>? = nil, observers: [any ExecutionObserver] = [],
        keepsValues: Bool = false
    ) throws -> Pass {
        guard !tokens.isEmpty else { throw LlamaError.emptyPrompt }
        let vocabulary = model.configuration.vocabulary
        if let token = tokens.first(where: { !(0..<vocabulary).contains($0) }) {
            throw LlamaError.tokenOutOfRange(token: token, vocabulary: vocabulary)
        }
        guard cache.count + tokens.count <= cache.capacity else {
            throw LlamaError.contextExceeded(needed: cache.count + tokens.count, limit: cache.capacity)
        }
        if let outputs {
            precondition(
                !outputs.isEmpty && outputs.lowerBound >= 0 && outputs.upperBound <= tokens.count,
                "logits of \(outputs) in a pass of \(tokens.count) tokens")
        }
        let graph = try graph(over: tokens.map(Int32.init), outputs: outputs)
        return Pass(
            kind: cache.count == 0 ? .prefill : .decode, tokens: tokens, firstPosition: cache.count, graph: graph,
            interpreter: Interpreter(
                graph: graph.graph, leaves: graph.leaves, workers: workers, observers: observers,
                keepsValues: keepsValues))
    }

    private func graph(over tokens: [Int32], outputs: Range<Int>?) throws(GraphError) -> LlamaGraph {
        // A single token's output is the last whether it is asked for or not.
        if tokens.count == 1, let decodeGraph {
            return try LlamaGraph(after: decodeGraph, tokens: tokens, cache: cache)
        }
        return try LlamaGraph(model, tokens: tokens, cache: cache, outputs: outputs)
    }

    /// Counts a finished pass's positions as written.
    ///
    /// - Precondition: the pass is done and was made by this session at the current position.
    public mutating func advance(past pass: Pass) {
        precondition(pass.interpreter.isDone && pass.firstPosition == cache.count, "pass not finished, or not the next")
        cache.count += pass.tokens.count
        if pass.tokens.count == 1 { decodeGraph = pass.graph }
    }
}
