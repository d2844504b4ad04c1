import GGUF
import Tensors

/// What the keys and tensors of a model of any architecture say about it, whether or not Quipu runs it.
public struct ModelOverview: Sendable {
    /// Attention to the last positions only.
    public struct Window: Sendable, Equatable {
        public let positions: Int
        /// The layers that have it; `nil` if the file does not say and Quipu does not know the architecture's rule.
        public let layers: [Int]?
    }

    public struct Rotation: Sendable, Equatable {
        public let base: Double
        /// In layers with a window, where that is another one.
        public let windowBase: Double?
        /// Of each head; `nil` if the file does not say.
        public let dimensions: Int?
        /// `linear`, `yarn`, …; `nil` if there is none.
        public let scaling: String?
        public let factor: Double?
        public let originalContext: Int?
        /// Tensors that divide the angles.
        public let factors: [String]
        /// Layers that do not rotate; empty also where Quipu does not know.
        public let layersWithout: [Int]
    }

    public struct Experts: Sendable, Equatable {
        /// Of a layer.
        public let count: Int
        /// Chosen for a token; `nil` if the file does not say.
        public let used: Int?
        /// That all tokens go through, besides the chosen ones.
        public let shared: Int
        /// Width of one; `nil` if the file does not say.
        public let feedForward: Int?
        /// Layers at the beginning that have none.
        public let denseLayers: Int
        /// Weights that a token goes through: of the experts' tensors (`*_exps`) the share that is used.
        public let activeWeights: Int?
    }

    public let sizes: ModelSizes
    public let window: Window?
    public let rotation: Rotation?
    public let experts: Experts?
    /// `nil` if nothing is kept from token to token, or the file does not say how much.
    public let cache: CacheSizes?
    /// `tokenizer.ggml.model` and `tokenizer.ggml.pre`.
    public let tokenizer: String?
    public let preTokenizer: String?

    /// - Returns: `nil` if the metadata names no architecture, or no layers.
    public init?(_ file: GGUFFile) {
        sizes = ModelSizes(listedIn: file.metadata)
        guard !sizes.architecture.isEmpty, sizes.layers > 0 else { return nil }
        let keys = OverviewKeys(file.metadata, prefix: sizes.architecture + ".")
        let configuration = try? LlamaConfiguration(metadata: file.metadata, file: file.path)
        let family = OtherFamily.named(sizes.architecture)
        window =
            configuration.map { Window($0.windows) }
            ?? Window(keys, Architectures.named(sizes.architecture), family, layers: sizes.layers)
        rotation = Rotation(keys, configuration, tensors: file.tensors)
        experts = Experts(keys, count: sizes.experts, tensors: file.tensors)
        cache = CacheSizes(sizes, keys, family, window)
        tokenizer = file.metadata["tokenizer.ggml.model"]?.string
        preTokenizer = file.metadata["tokenizer.ggml.pre"]?.string
    }
}

/// Keys of an architecture, read as leniently as can be: a value of another type is none.
struct OverviewKeys {
    private let metadata: Metadata
    private let prefix: String

    init(_ metadata: Metadata, prefix: String) { (self.metadata, self.prefix) = (metadata, prefix) }

    private subscript(key: String) -> GGUFValue? { metadata[prefix + key] }

    /// A count; no architecture has one below 0, or one near overflow.
    func count(_ key: String) -> Int? { self[key]?.integer.flatMap { (0..<1 << 40).contains($0) ? $0 : nil } }
    func number(_ key: String) -> Double? { self[key].flatMap { $0.number ?? $0.integer.map(Double.init) } }
    func string(_ key: String) -> String? { self[key]?.string }
    func bool(_ key: String) -> Bool? { self[key]?.bool }

    /// One value a layer, of booleans or numbers.
    func flags(_ key: String) -> [Bool]? {
        self[key]?.array?.values.map { $0.bool ?? (($0.integer ?? 0) != 0) }
    }
}

extension ModelOverview.Window {
    init?(_ windows: LlamaConfiguration.Windows?) {
        guard let windows else { return nil }
        positions = windows.positions
        layers = windows.layers.indices.filter { windows.layers[$0] }
    }

    /// - Parameter architecture: that Quipu runs: it has the windows of its graph, whatever a key says, as in llama.cpp.
    init?(_ keys: OverviewKeys, _ architecture: (any Architecture.Type)?, _ family: OtherFamily?, layers: Int) {
        if let architecture, architecture.windowEvery == nil { return nil }
        guard let positions = keys.count("attention.sliding_window"), positions > 0 else { return nil }
        self.positions = positions
        let key = "attention.sliding_window_pattern"
        if let flags = keys.flags(key) {
            self.layers = flags.count >= layers ? (0..<layers).filter { flags[$0] } : nil
        } else if let every = keys.count(key) ?? architecture?.windowEvery ?? family?.window?.every {
            let wholeFirst = family?.window?.wholeFirst ?? false
            self.layers = (0..<layers).filter { layer in
                every == 0 || (wholeFirst ? layer % every != 0 : layer % every < every - 1)
            }
        } else {
            self.layers = nil
        }
    }
}

extension ModelOverview.Rotation {
    init?(_ keys: OverviewKeys, _ configuration: LlamaConfiguration?, tensors: [TensorInfo]) {
        let base = keys.number("rope.freq_base")
        dimensions = keys.count("rope.dimension_count") ?? configuration?.headSize
        guard base != nil || dimensions != nil else { return nil }
        self.base = base ?? 10_000
        windowBase = keys.number("rope.freq_base_swa")
        let named = keys.string("rope.scaling.type")
        factor = keys.number("rope.scaling.factor") ?? keys.number("rope.scale_linear")
        scaling = named == "none" ? nil : named ?? (factor == nil ? nil : "linear")
        originalContext = keys.count("rope.scaling.original_context_length")
        let known = ["rope_freqs", "rope_factors_long", "rope_factors_short"]
        let found = Set(tensors.map { WeightName($0.name).role })
        factors = known.filter(found.contains).map { $0 + ".weight" }
        layersWithout = (configuration?.rotations ?? []).enumerated().filter { $1 == nil }.map(\.offset)
    }
}

extension ModelOverview.Experts {
    init?(_ keys: OverviewKeys, count: Int, tensors: [TensorInfo]) {
        guard count > 0 else { return nil }
        self.count = count
        used = keys.count("expert_used_count").flatMap { $0 <= count ? $0 : nil }
        shared = keys.count("expert_shared_count") ?? 0
        feedForward = keys.count("expert_feed_forward_length")
        denseLayers = keys.count("leading_dense_block_count") ?? 0
        let ofExperts = tensors.filter { WeightName($0.name).role.contains("_exps") }
        activeWeights =
            ofExperts.isEmpty
            ? nil
            : used.map { used in
                tensors.reduce(0) { $0 + $1.shape.count }
                    - ofExperts.reduce(0) { $0 + $1.shape.count / count * (count - used) }
            }
    }
}
