import GGUF
import Tensors

/// What the KV cache of a model takes at F16, and would take with other numbers of KV heads.
public struct CacheSizes: Sendable, Equatable {
    /// Keys and values kept as one vector for all heads (MLA).
    public struct Latent: Sendable, Equatable {
        /// kv_lora_rank: of which keys and values are made.
        public let rank: Int
        /// Of the key, shared by all heads, that is rotated.
        public let rotated: Int
        /// Whether the file's matrices let llama.cpp keep the vector; from older files it keeps the keys and values of
        /// all heads.
        public let isKept: Bool
    }

    /// Bytes of a position in all layers.
    public let perToken: Int
    /// The same with a KV head for each query head.
    public let mha: Int
    /// The same with one KV head.
    public let mqa: Int
    public let latent: Latent?
    /// Layers that keep something.
    public let layers: Int
    /// Bytes of a position in layers with a window, part of `perToken`, and the window's positions.
    public let windowedPerToken: Int
    public let window: Int

    /// Positions whose keys and values fit into so many bytes; layers with a window keep no more than it.
    ///
    /// - Returns: `nil` if there is no end, as all layers have a window that fits.
    public func positions(in bytes: Int) -> Int? {
        let all = wholePositions(in: bytes)
        guard windowedPerToken > 0, all > window else { return all }
        let growing = perToken - windowedPerToken
        return growing == 0 ? nil : (bytes - windowedPerToken * window) / growing
    }

    /// Positions whose keys and values fit into so many bytes if all layers keep all of them, as Quipu's cache does.
    public func wholePositions(in bytes: Int) -> Int { max(0, bytes) / perToken }

    /// - Returns: `nil` if the architecture keeps nothing from token to token, or the keys do not say how much.
    init?(_ sizes: ModelSizes, _ keys: OverviewKeys, _ family: OtherFamily?, _ window: ModelOverview.Window?) {
        guard family?.caches ?? true, keys.bool("attention.causal") ?? true else { return nil }
        let latent = Latent(keys)
        let windowed = Set(window?.layers ?? [])
        let attentionEvery = keys.count("full_attention_interval") ?? family?.attentionEvery ?? 1
        // The last layers of some models read the caches of earlier ones, or only predict tokens further ahead.
        let count =
            sizes.layers - (keys.count("attention.shared_kv_layers") ?? 0)
            - (keys.count("nextn_predict_layers") ?? 0)
        var (perToken, mha, mqa, windowedPerToken, layers) = (0, 0, 0, 0, 0)
        for (index, layer) in sizes.perLayer.prefix(max(0, count)).enumerated() {
            guard layer.kvHeads > 0, layer.heads > 0, (index + 1) % max(1, attentionEvery) == 0 else { continue }
            var layer = layer
            if windowed.contains(index) {
                layer.keySize = keys.count("attention.key_length_swa") ?? layer.keySize
                layer.valueSize = keys.count("attention.value_length_swa") ?? layer.valueSize
            }
            if latent != nil {
                layer.keySize = keys.count("attention.key_length_mla") ?? layer.keySize
                layer.valueSize = keys.count("attention.value_length_mla") ?? layer.valueSize
            }
            guard Self.isPlausible(layer) else { return nil }
            let own =
                latent.map { ($0.rank + $0.rotated) * TensorType.f16.blockBytes }
                ?? layer.cacheBytes(heads: layer.kvHeads, positions: 1)
            perToken += own
            windowedPerToken += windowed.contains(index) ? own : 0
            mha += layer.cacheBytes(heads: layer.heads, positions: 1)
            mqa += layer.cacheBytes(heads: 1, positions: 1)
            layers += 1
        }
        guard perToken > 0 else { return nil }
        (self.perToken, self.mha, self.mqa, self.latent, self.layers) = (perToken, mha, mqa, latent, layers)
        (self.windowedPerToken, self.window) = (windowedPerToken, window?.positions ?? 0)
    }

    /// A damaged file may claim any number.
    private static func isPlausible(_ layer: ModelSizes.Layer) -> Bool {
        [layer.heads, layer.kvHeads, layer.keySize, layer.valueSize].allSatisfy { (1...1 << 20).contains($0) }
    }
}

extension CacheSizes.Latent {
    fileprivate init?(_ keys: OverviewKeys) {
        guard let rank = keys.count("attention.kv_lora_rank"), (1...1 << 20).contains(rank) else { return nil }
        self.rank = rank
        rotated = min(1 << 20, keys.count("rope.dimension_count") ?? 0)
        isKept = keys.count("attention.key_length_mla") ?? 0 > 0
    }
}
