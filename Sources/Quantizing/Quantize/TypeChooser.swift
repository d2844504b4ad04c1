import GGUF
import Quantization
import Tensors

/// Chooses the tensors' types one after another, in the plan's order, because some rules count.
///
/// Source: llama.cpp `llama_tensor_get_type`, `tensor_allows_quantization`, `tensor_type_fallback`.
struct TypeChooser {
    private let mix: QuantizationMix
    private let options: QuantizeOptions
    private let overrides: [(expression: Regex<AnyRegexOutput>, type: TensorType)]
    private let sizes: ModelSizes
    private let file: String
    private let hasImportance: Bool
    private let isTied: Bool
    private let attentionVCount: Int
    /// Tensors of each role that the mix has decided on.
    private var seen: [TensorRole: Int] = [:]

    init(
        _ mix: QuantizationMix, _ options: QuantizeOptions, sizes: ModelSizes, file: String, hasImportance: Bool,
        names: [String]
    ) throws(QuantizeProblem) {
        self.mix = mix
        self.options = options
        self.sizes = sizes
        self.file = file
        self.hasImportance = hasImportance
        var overrides: [(Regex<AnyRegexOutput>, TensorType)] = []
        for override in options.overrides {
            guard let expression = try? Regex(override.pattern) else { throw .expression(override.pattern) }
            overrides.append((expression, override.type))
        }
        self.overrides = overrides
        let roles = names.map(TensorRole.init)
        isTied = !roles.contains(.output)
        attentionVCount = roles.count { $0 == .attentionV }
    }

    mutating func entry(_ tensor: TensorInfo) throws(QuantizeProblem) -> QuantizationPlan.Entry {
        guard isQuantizable(tensor) else {
            return .init(
                tensor: tensor, type: tensor.type, wanted: tensor.type, isQuantizable: false, needsImportance: false)
        }
        let (wanted, mayFallBack) = try wantedType(tensor)
        let type = mayFallBack ? try Self.fitting(wanted, tensor) : wanted
        guard type.rowBytes(tensor.shape.ne0) != nil else {
            throw .rowLength(tensor: tensor.name, length: tensor.shape.ne0, type: type)
        }
        return .init(
            tensor: tensor, type: type, wanted: wanted, isQuantizable: true,
            needsImportance: needsImportance(tensor, type))
    }

    func unusedOverrides(_ names: [String]) -> [TypeOverride] {
        zip(options.overrides, overrides).filter { _, override in
            !names.contains { $0.firstMatch(of: override.expression) != nil }
        }.map(\.0)
    }

    // MARK: which tensors

    private func isQuantizable(_ tensor: TensorInfo) -> Bool {
        let name = tensor.name
        return tensor.shape.significant.count > 1 && name.hasSuffix("weight")
            && !(name == "output.weight" && options.leavesOutput)
            && !Self.keptNames.contains(name) && !Self.keptParts.contains { name.contains($0) }
    }

    private static let keptNames: Set = ["position_embd.weight", "token_types.weight"]

    /// Parts of the names of matrices that are small, or whose errors would spoil much: norms, the choice of experts,
    /// states, positions. Source: llama.cpp `tensor_allows_quantization`.
    private static let keptParts = [
        "_norm.weight", "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight", "altup", "laurel", "per_layer_model_proj",
        "ssm_conv1d", "shortconv.conv.weight", "indexer.k_proj.weight", "indexer.q_proj.weight",
        "time_mix_first.weight", "time_mix_w0.weight", "time_mix_w1.weight", "time_mix_w2.weight",
        "time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight", "time_mix_a0.weight", "time_mix_a1.weight",
        "time_mix_a2.weight", "time_mix_g1.weight", "time_mix_g2.weight", "time_mix_decay_w1.weight",
        "time_mix_decay_w2.weight", "time_mix_lerp_fused.weight", "attn_rel_b.weight", ".position_embd",
        "sam.pos_embd", "sam.neck.", "sam.net_", ".rel_pos", ".patch_embd", ".patch_merger", "a.rvq.codebook",
        "mm.a.code_embd",
    ]

    /// Formats so small that without importances they are of no use; and Q2_K in the file type that is made of it.
    private func needsImportance(_ tensor: TensorInfo, _ type: TensorType) -> Bool {
        if [.output, .embedding].contains(TensorRole(name: tensor.name)) { return false }
        return switch type {
        case .iq3_xxs, .iq2_xxs, .iq2_xs, .iq2_s, .iq1_m, .iq1_s: true
        case .q2_K: mix.fileType == .q2_K_S
        default: false
        }
    }

    // MARK: which type

    private mutating func wantedType(
        _ tensor: TensorInfo
    ) throws(QuantizeProblem) -> (type: TensorType, mayFallBack: Bool) {
        let role = TensorRole(name: tensor.name)
        let override = overrides.first { tensor.name.firstMatch(of: $0.expression) != nil }?.type
        // The table of embeddings per layer is large enough to be named on its own.
        if role == .embedding, let type = options.embeddingType, override == nil || tensor.name == "token_embd.weight" {
            return (type, false)
        }
        if role == .output, let type = options.outputType { return (type, false) }
        guard mix.base.isQuantized else { return (mix.base, false) }
        if let override { return (override, true) }
        return (options.isPure ? mix.base : try mixedType(tensor, role), true)
    }

    private mutating func mixedType(_ tensor: TensorInfo, _ role: TensorRole) throws(QuantizeProblem) -> TensorType {
        if role == .output || (role == .embedding && isTied) {
            return options.outputType ?? (tensor.shape.ne0 % mix.base.blockElements == 0 ? mix.output : .q8_0)
        }
        let facts = MixRule.TensorFacts(
            index: try index(of: tensor, role), count: role == .attentionV ? attentionVCount : sizes.layers,
            isVolume: tensor.shape.ne2 > 1, hasImportance: hasImportance, sizes: sizes)
        seen[role, default: 0] += 1
        let type = mix.rules.first { $0.applies(to: role, at: facts) }?.type ?? mix.base
        let isUplifted = role == .attentionV && sizes.is70B && !mix.isTiny && [.q3_K, .q4_K].contains(type)
        return isUplifted ? .q5_K : type
    }

    /// The how-manieth of its role a tensor is; its layer where a layer has several, one for each expert.
    private func index(of tensor: TensorInfo, _ role: TensorRole) throws(QuantizeProblem) -> Int {
        guard sizes.experts > 1, !mix.isTiny, [.down, .gate, .up].contains(role) else { return seen[role, default: 0] }
        guard let layer = tensor.name.blockNumber, layer < sizes.layers else {
            throw .layer(file: file, tensor: tensor.name, layers: sizes.layers)
        }
        return layer
    }

    /// A type whose blocks divide the tensor's rows.
    ///
    /// - Throws: `QuantizeProblem.noFallback` if llama.cpp has none in its place.
    static func fitting(_ type: TensorType, _ tensor: TensorInfo) throws(QuantizeProblem) -> TensorType {
        let length = tensor.shape.ne0
        guard length % type.blockElements != 0 else { return type }
        let smaller: TensorType
        switch type {
        case .iq1_s, .iq1_m, .iq2_xxs, .iq2_xs, .iq2_s, .iq3_xxs, .iq3_s, .iq4_xs: smaller = .iq4_nl
        case .q2_0, .q2_K, .q3_K, .tq1_0, .tq2_0: smaller = .q4_0
        case .q4_K: smaller = .q5_0
        case .q5_K: smaller = .q5_1
        case .q6_K: smaller = .q8_0
        default:
            guard type.blockElements <= 32 else { throw .noFallback(tensor: tensor.name, length: length, type: type) }
            smaller = type
        }
        return length % smaller.blockElements == 0 ? smaller : .f16
    }
}
