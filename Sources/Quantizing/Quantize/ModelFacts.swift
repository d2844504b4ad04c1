import GGUF

/// What the mixes ask of a model, whatever its architecture.
struct ModelFacts: Sendable {
    let architecture: String
    let layers: Int
    let heads: Int
    let keyValueHeads: Int
    /// 0 if there are none.
    let experts: Int

    /// Architectures that llama.cpp has mixes of their own for.
    private static let special = ["falcon", "glm5-next", "bailingmoe3"]

    init(architecture: String, layers: Int, heads: Int, keyValueHeads: Int, experts: Int) {
        self.architecture = architecture
        self.layers = layers
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.experts = experts
    }

    /// - Throws: `QuantizeProblem` if a key is missing, or the architecture's mix is not known.
    init(_ metadata: Metadata, of file: String) throws(QuantizeProblem) {
        guard let architecture = metadata["general.architecture"]?.string else {
            throw .missingKey(file: file, key: "general.architecture")
        }
        guard !Self.special.contains(architecture) else {
            throw .architecture(file: file, found: architecture)
        }
        func first(_ key: String) -> Int? {
            let value = metadata["\(architecture).\(key)"]
            return value?.integer ?? value?.array?.integers?.first
        }
        guard let layers = first("block_count"), layers > 0 else {
            throw .missingKey(file: file, key: "\(architecture).block_count")
        }
        let heads = first("attention.head_count") ?? 0
        self.init(
            architecture: architecture, layers: layers, heads: heads,
            keyValueHeads: first("attention.head_count_kv") ?? heads, experts: first("expert_count") ?? 0)
    }

    /// Query heads that share a key and value head.
    var headsPerGroup: Int { keyValueHeads == 0 ? 0 : heads / keyValueHeads }

    /// What llama.cpp takes for a model of 70 billion parameters, whose V weights eight heads share.
    var is70B: Bool {
        switch architecture {
        case "llama": layers == 80 && heads != keyValueHeads
        case "qwen2", "olmo", "deci": layers == 80
        case "jais2": layers == 68
        default: false
        }
    }
}
