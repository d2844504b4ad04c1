import GGUF
import Tensors

/// What a tensor does in a model, as far as the choice of its format goes.
///
/// Source: llama.cpp `tensor_get_category`, which looks for parts of names in this order.
enum TensorRole: Sendable {
    case output, embedding, attentionV, attentionK, attentionQ, attentionOutput, up, gate, down, other

    init(name: String) {
        self =
            switch name {
            case "output.weight": .output
            case "token_embd.weight", "per_layer_token_embd.weight": .embedding
            default: Self.parts.first { name.contains($0.part) }?.role ?? .other
            }
    }

    /// Fused and compressed projections hold V, the most sensitive of the three.
    private static let parts: [(part: String, role: TensorRole)] = [
        ("attn_qkv.weight", .attentionV), ("attn_kv_b.weight", .attentionV), ("attn_v.weight", .attentionV),
        ("attn_k.weight", .attentionK), ("attn_q.weight", .attentionQ), ("attn_output.weight", .attentionOutput),
        ("ffn_up", .up), ("ffn_gate", .gate), ("ffn_down", .down),
    ]
}

/// One line of a mix: tensors of a role for which all conditions hold get a type.
struct MixRule: Sendable {
    /// Several at once, to say it once.
    let roles: [TensorRole]
    let conditions: [Condition]
    let type: TensorType

    init(_ roles: TensorRole..., if conditions: Condition..., use type: TensorType) {
        self.roles = roles
        self.conditions = conditions
        self.type = type
    }

    enum Condition: Sendable {
        /// Among the first so many tensors of the role.
        case first(Int)
        /// Among the first `layers / n`.
        case firstPart(Int)
        /// From `layers / 8` up to `7 * layers / 8`.
        case middle
        /// The first and last eighth, and every third layer between them (llama.cpp's `use_more_bits`).
        case moreBits
        /// At least four query heads share a key and value head.
        case grouped
        case importance(Bool)
        case experts(atLeast: Int)
        /// Models of eight experts, such as Mixtral, have rules of their own.
        case eightExperts(Bool)
        /// The weights of all experts in one tensor.
        case isVolume

        func holds(_ facts: TensorFacts) -> Bool {
            switch self {
            case .first(let count): facts.index < count
            case .firstPart(let part): facts.index < facts.count / part
            case .middle: facts.index >= facts.count / 8 && facts.index < 7 * facts.count / 8
            case .moreBits:
                facts.index < facts.count / 8 || facts.index >= 7 * facts.count / 8
                    || (facts.index - facts.count / 8) % 3 == 2
            case .grouped: facts.sizes.groupSize >= 4
            case .importance(let expected): facts.hasImportance == expected
            case .experts(let least): facts.sizes.experts >= least
            case .eightExperts(let expected): (facts.sizes.experts == 8) == expected
            case .isVolume: facts.isVolume
            }
        }
    }

    /// What the conditions ask of a tensor.
    struct TensorFacts {
        /// Which of the role's tensors, or which layer.
        let index: Int
        /// How many of the role there are.
        let count: Int
        let isVolume: Bool
        let hasImportance: Bool
        let sizes: ModelSizes
    }

    func applies(to role: TensorRole, at facts: TensorFacts) -> Bool {
        (roles.isEmpty || roles.contains(role)) && conditions.allSatisfy { $0.holds(facts) }
    }
}
