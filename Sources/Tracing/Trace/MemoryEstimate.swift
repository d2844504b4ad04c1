import ComputeGraph
import LlamaModel

/// How much memory a pass takes beside the model, before it is evaluated: what its values, its inputs and the KV cache take
/// together when it is most, by the graph.
public struct MemoryEstimate: Sendable, Equatable {
    public let bytes: Int

    /// Above which passes are not evaluated again unless asked to: `4G`.
    public static let usualLimit = 4 << 30

    /// - Parameters:
    ///   - tokens: of the pass.
    ///   - first: positions before it.
    ///   - capacity: positions that the cache has room for.
    ///   - outputs: which tokens logits are wanted of; `nil`: the last.
    ///   - keepsValues: whether no value is let go.
    ///   - partBytes: of scores that are evaluated in parts; `nil` if none are.
    ///   - end: the node that evaluation stops before; `nil`: none.
    init(
        _ model: Llama, tokens: Int, after first: Int, capacity: Int, outputs: Range<Int>? = nil,
        keepsValues: Bool = false, partBytes: Int?, end: (Graph) -> Int? = { _ in nil }
    ) throws {
        var cache = KVCache(model.configuration, capacity: capacity)
        cache.count = first
        let graph = try LlamaGraph.outline(model, tokens: tokens, cache: cache, outputs: outputs)
        bytes = graph.peakBytes(upTo: end(graph), keepsValues: keepsValues, partBytes: partBytes)
    }
}
