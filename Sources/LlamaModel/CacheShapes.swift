import GGUF
import Tensors

/// What sharing keys and values saves: the cache of a position under each way of attention, and what a score costs then.
public struct CacheShape: Sendable, Equatable {
    public let name: String
    /// How the model itself does it.
    public let kind: ModelSizes.Layer.AttentionKind
    public let layers: Int
    public let heads: Int
    public let kvHeads: Int
    /// Bytes of a position in all layers, F16: with a KV head for each query head, as the model has it, with one KV head.
    public let mha: Int
    public let own: Int
    public let mqa: Int
    /// Products that a score of one query with one key takes, and a value mixed of one position; in the model, and if its
    /// keys and values were unpacked.
    public let productsPerScore: Int
    public let productsPerValue: Int
    public let unpackedPerScore: Int
    public let unpackedPerValue: Int

    /// Of a model.
    public init(name: String, _ sizes: [ModelSizes.Layer]) {
        self.name = name
        let first = sizes[0]
        (kind, layers, heads, kvHeads) = (first.attentionKind, sizes.count, first.heads, first.kvHeads)
        mha = sizes.reduce(0) { $0 + $1.cacheBytes(heads: $1.heads, positions: 1) }
        own = sizes.reduce(0) { $0 + $1.cacheBytes(positions: 1) }
        mqa = sizes.reduce(0) { $0 + $1.cacheBytes(heads: 1, positions: 1) }
        (productsPerScore, productsPerValue) = (first.keySize, first.valueSize)
        unpackedPerScore = first.latent?.keySize ?? first.keySize
        unpackedPerValue = first.latent?.valueSize ?? first.valueSize
    }

    private init(
        _ name: String, layers: Int, heads: Int, kvHeads: Int, size: Int, latent: ModelSizes.Layer.Latent? = nil
    ) {
        let layer = ModelSizes.Layer(
            heads: heads, kvHeads: kvHeads, keySize: latent.map { $0.rank + $0.rotated } ?? size,
            valueSize: latent?.rank ?? size, feedForward: 0, latent: latent)
        self.init(name: name, Array(repeating: layer, count: layers))
    }

    /// Models that many know, from their published configurations.
    public static let known: [CacheShape] = {
        let deepSeek = ModelSizes.Layer.Latent(rank: 512, rotated: 64, keySize: 192, valueSize: 128)
        return [
            .init("Llama-3.1-8B", layers: 32, heads: 32, kvHeads: 8, size: 128),
            .init("Qwen3-30B-A3B", layers: 48, heads: 32, kvHeads: 4, size: 128),
            .init("DeepSeek-V2-Lite", layers: 27, heads: 16, kvHeads: 1, size: 0, latent: deepSeek),
            .init("DeepSeek-V3", layers: 61, heads: 128, kvHeads: 1, size: 0, latent: deepSeek),
        ]
    }()
}
