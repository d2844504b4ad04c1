import Tensors

/// The keys and values of all positions so far, F16, at `kvHeads` heads: never repeated for the query heads.
///
/// Keys `[kvSize, C]`: a row a position. Values are stored transposed, element j of position c at `j * C + c`, so that
/// the sum over positions runs over contiguous memory, as in llama.cpp without flash attention.
public struct KVCache: Sendable {
    /// C: positions there is room for.
    public let capacity: Int
    /// Positions written so far.
    public internal(set) var count = 0
    public let keys: [Tensor]
    public let values: [Tensor]

    public init(_ configuration: LlamaConfiguration, capacity: Int) {
        precondition(capacity > 0, "a cache for \(capacity) positions")
        self.capacity = capacity
        let shape = Shape(configuration.kvSize, capacity)
        keys = (0..<configuration.layers).map { _ in Tensor.zeros(.f16, shape) }
        values = (0..<configuration.layers).map { _ in Tensor.zeros(.f16, shape) }
    }

    /// Bytes that `positions` take with this many heads, keys and values, all layers: what GQA saves.
    public static func bytes(_ configuration: LlamaConfiguration, heads: Int, positions: Int) -> Int {
        2 * configuration.layers * heads * configuration.headSize * positions * TensorType.f16.blockBytes
    }
}
