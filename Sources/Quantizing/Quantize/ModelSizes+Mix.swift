import GGUF

/// What the mixes ask of a model, whatever its architecture.
extension ModelSizes {
    /// Architectures that llama.cpp has mixes of their own for.
    private static let special = ["falcon", "glm5-next", "bailingmoe3"]

    /// - Throws: `QuantizeProblem` if a key is missing, or the architecture's mix is not known.
    init(forMixOf metadata: Metadata, in file: String) throws(QuantizeProblem) {
        self.init(listedIn: metadata)
        guard !architecture.isEmpty else { throw .missingKey(file: file, key: Metadata.architectureKey) }
        guard !Self.special.contains(architecture) else {
            throw .architecture(file: file, found: architecture)
        }
        guard layers > 0 else { throw .missingKey(file: file, key: "\(architecture).block_count") }
    }

    /// What llama.cpp takes for a model of 70 billion parameters, whose V weights eight heads share.
    var is70B: Bool {
        switch architecture {
        case "llama": layers == 80 && heads != kvHeads
        case "qwen2", "olmo", "deci": layers == 80
        case "jais2": layers == 68
        default: false
        }
    }
}
