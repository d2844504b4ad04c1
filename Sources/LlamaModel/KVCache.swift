import Tensors

/// The keys and values of all positions so far, F16, at `kvHeads` heads: never repeated for the query heads.
///
/// Keys `[K*D, C]`: a row a position. Where keys and values are made of one latent vector, that vector with the rotated
/// part behind it is the key, and there are no values. Values are stored transposed, element j of position c at `j * C + c`, so that
/// the sum over positions runs over contiguous memory, as in llama.cpp without flash attention.
public struct KVCache: Sendable {
    /// C: positions there is room for.
    public let capacity: Int
    /// Positions written so far.
    public package(set) var count = 0
    public let keys: [Tensor]
    /// `nil` for layers that keep latent vectors.
    public let values: [Tensor?]

    public init(_ configuration: LlamaConfiguration, capacity: Int) {
        precondition(capacity > 0, "a cache for \(capacity) positions")
        self.capacity = capacity
        keys = configuration.perLayer.map { Tensor.zeros(.f16, Shape($0.keyWidth, capacity)) }
        values = configuration.perLayer.map {
            $0.latent == nil ? Tensor.zeros(.f16, Shape($0.valueWidth, capacity)) : nil
        }
    }

    /// Bytes that `positions` take, all layers.
    public static func bytes(_ configuration: LlamaConfiguration, positions: Int) -> Int {
        configuration.perLayer.reduce(0) { $0 + $1.cacheBytes(positions: positions) }
    }

    /// Bytes that `positions` would take with this many heads, keys and values, all layers: what GQA saves.
    public static func bytes(_ configuration: LlamaConfiguration, heads: Int, positions: Int) -> Int {
        configuration.perLayer.reduce(0) { $0 + $1.cacheBytes(heads: heads, positions: positions) }
    }
}
