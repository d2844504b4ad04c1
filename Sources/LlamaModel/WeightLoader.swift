import GGUF
import Quantization
import Tensors

/// Takes the tensors out of a file that an architecture asks for, and knows which it never asked for.
struct WeightLoader {
    private(set) var table: [String: LlamaWeights.Weight] = [:]
    /// The block that names are of; `nil` outside.
    var block: Int?
    private let file: GGUFFile
    private let c: LlamaConfiguration

    private static let formats = BlockFormats.weights.map(\.type)

    init(file: GGUFFile, _ configuration: LlamaConfiguration) { (self.file, c) = (file, configuration) }

    // MARK: parts that architectures share

    /// Embedding, final norm and output head.
    ///
    /// - Parameter tied: whether the embedding may be the output head too, where the file has no other.
    mutating func ends(tied: Bool = true) throws(LlamaError) {
        let shape = Shape(c.embedding, c.vocabulary)
        try matrix("token_embd.weight", shape)
        try norm("output_norm", c.embedding)
        if tied { try optionalMatrix("output.weight", shape) } else { try matrix("output.weight", shape) }
    }

    /// One matrix for queries, keys and values, or one for each; each may have a bias.
    mutating func queriesKeysValues(_ layer: ModelSizes.Layer) throws(LlamaError) {
        let queries = layer.heads * layer.keySize
        if has("attn_qkv.weight") {
            try linear("attn_qkv", c.embedding, queries + layer.keyWidth + layer.valueWidth, bias: true)
        } else {
            try linear("attn_q", c.embedding, queries, bias: true)
            try linear("attn_k", c.embedding, layer.keyWidth, bias: true)
            try linear("attn_v", c.embedding, layer.valueWidth, bias: true)
        }
    }

    mutating func attentionOutput(_ layer: ModelSizes.Layer, bias: Bool = false) throws(LlamaError) {
        try linear("attn_output", layer.heads * layer.mixSize, c.embedding, bias: bias)
    }

    /// The three matrices of a gated network.
    mutating func feedForward(_ layer: ModelSizes.Layer, bias: Bool = false) throws(LlamaError) {
        try linear("ffn_gate", c.embedding, layer.feedForward, bias: bias)
        try linear("ffn_up", c.embedding, layer.feedForward, bias: bias)
        try linear("ffn_down", layer.feedForward, c.embedding, bias: bias)
    }

    /// What divides the angles of rotations, if the file has it.
    ///
    /// - Parameter longAndShort: whether it may have factors for long contexts and others for short ones; `nil`: as its keys
    ///   say.
    mutating func rotationFactors(longAndShort: Bool? = nil) throws(LlamaError) {
        let names =
            longAndShort ?? c.hasLongAndShortFactors
            ? ["rope_factors_long.weight", "rope_factors_short.weight"] : ["rope_freqs.weight"]
        let pairs = c.rotations.lazy.compactMap { $0 }.first.map { $0.dimensions / 2 }
        for name in names { try optionalVector(name, pairs ?? c.headSize / 2) }
    }

    /// The router and, in one tensor each, the three matrices of all experts.
    ///
    /// - Parameters:
    ///   - width: of one expert's hidden units.
    ///   - bias: whether router and matrices must have biases.
    mutating func experts(_ routing: ExpertRouting, width: Int, bias: Bool = false) throws(LlamaError) {
        try matrix("ffn_gate_inp.weight", Shape(c.embedding, routing.count))
        try matrix("ffn_gate_exps.weight", Shape(c.embedding, width, routing.count))
        try matrix("ffn_up_exps.weight", Shape(c.embedding, width, routing.count))
        try matrix("ffn_down_exps.weight", Shape(width, c.embedding, routing.count))
        guard bias else { return }
        try vector("ffn_gate_inp.bias", routing.count)
        for (name, rows) in [("gate", width), ("up", width), ("down", c.embedding)] {
            try vectors("ffn_\(name)_exps.bias", Shape(rows, routing.count))
        }
    }

    /// The expert that all tokens go through.
    mutating func sharedExpert(width: Int) throws(LlamaError) {
        try matrix("ffn_gate_shexp.weight", Shape(c.embedding, width))
        try matrix("ffn_up_shexp.weight", Shape(c.embedding, width))
        try matrix("ffn_down_shexp.weight", Shape(width, c.embedding))
    }

    // MARK: single weights

    /// The weight of a norm over `count` values.
    ///
    /// - Parameter bias: whether there must be one.
    mutating func norm(_ name: String, _ count: Int, bias: Bool = false) throws(LlamaError) {
        try vector(name + ".weight", count)
        if bias { try vector(name + ".bias", count) }
    }

    /// - Parameter bias: whether there may be one.
    mutating func linear(_ name: String, _ columns: Int, _ rows: Int, bias: Bool) throws(LlamaError) {
        try matrix(name + ".weight", Shape(columns, rows))
        if bias { try optionalVector(name + ".bias", rows) }
    }

    mutating func matrix(_ name: String, _ shape: Shape) throws(LlamaError) {
        guard has(name) else { throw .missingTensor(file: file.path, name: fullName(name), expected: shape) }
        try optionalMatrix(name, shape)
    }

    /// A norm's weight or a bias: added to or multiplied with activations as it is, so it must be F32.
    mutating func vector(_ name: String, _ count: Int) throws(LlamaError) {
        guard has(name) else { throw .missingTensor(file: file.path, name: fullName(name), expected: Shape(count)) }
        try optionalVector(name, count)
    }

    mutating func optionalVector(_ name: String, _ count: Int) throws(LlamaError) {
        try optionalVectors(name, Shape(count))
    }

    /// A vector for each expert, in one tensor.
    mutating func vectors(_ name: String, _ shape: Shape) throws(LlamaError) {
        guard has(name) else { throw .missingTensor(file: file.path, name: fullName(name), expected: shape) }
        try optionalVectors(name, shape)
    }

    private mutating func optionalVectors(_ name: String, _ shape: Shape) throws(LlamaError) {
        try optionalMatrix(name, shape)
        guard let info = file.tensor(named: fullName(name)), info.type != .f32 else { return }
        throw .unsupported(
            file: file.path, what: "type of '\(info.name)'", found: info.type.name, supported: "F32 vectors")
    }

    mutating func optionalMatrix(_ name: String, _ shape: Shape) throws(LlamaError) {
        guard let info = file.tensor(named: fullName(name)) else { return }
        guard info.shape == shape else {
            throw .wrongShape(file: file.path, name: info.name, found: info.shape, expected: shape)
        }
        guard Self.formats.contains(info.type) else {
            throw .unsupported(
                file: file.path, what: "type of '\(info.name)'", found: info.type.name,
                supported: Self.formats.map(\.name).joined(separator: ", "))
        }
        table[info.name] = LlamaWeights.Weight(info: info, tensor: file.values(of: info))
    }

    func checkAllUsed() throws(LlamaError) {
        let left = file.tensors.map(\.name).filter { table[$0] == nil }
        if !left.isEmpty { throw .unusedTensors(file: file.path, architecture: c.sizes.architecture, names: left) }
    }

    private func has(_ name: String) -> Bool { file.tensor(named: fullName(name)) != nil }

    private func fullName(_ name: String) -> String { block.map { "blk.\($0).\(name)" } ?? name }
}
