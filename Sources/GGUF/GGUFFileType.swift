/// What `general.file_type` says a model was quantised to. The tensors themselves may be of several types.
///
/// Source: llama.cpp `enum llama_ftype` and `llama_model_ftype_name`.
public enum GGUFFileType: UInt32, CaseIterable, Sendable {
    case f32 = 0
    case f16 = 1
    case q4_0 = 2
    case q4_1 = 3
    case q8_0 = 7
    case q5_0 = 8
    case q5_1 = 9
    case q2_K = 10
    case q3_K_S = 11
    case q3_K_M = 12
    case q3_K_L = 13
    case q4_K_S = 14
    case q4_K_M = 15
    case q5_K_S = 16
    case q5_K_M = 17
    case q6_K = 18
    case iq2_xxs = 19
    case iq2_xs = 20
    case q2_K_S = 21
    case iq3_xs = 22
    case iq3_xxs = 23
    case iq1_s = 24
    case iq4_nl = 25
    case iq3_s = 26
    case iq3_m = 27
    case iq2_s = 28
    case iq2_m = 29
    case iq4_xs = 30
    case iq1_m = 31
    case bf16 = 32
    case tq1_0 = 36
    case tq2_0 = 37
    case mxfp4_moe = 38
    case nvfp4 = 39
    case q1_0 = 40
    case q2_0 = 41

    /// The bit that llama.cpp sets when the type was guessed from the tensors.
    public static let guessedBit: UInt32 = 1024

    /// The type of a `general.file_type` number, guessed or not; `nil` for numbers unknown or removed.
    public init?(id: Int) {
        guard let bits = UInt32(exactly: id) else { return nil }
        self.init(rawValue: bits & ~Self.guessedBit)
    }

    /// The short name that files and commands use, such as `Q4_K_M`.
    public var name: String { "\(self)".uppercased() }

    /// The name that llama.cpp prints when it loads a model, such as `Q4_K - Medium`.
    public var longName: String {
        switch self {
        case .f32: "all F32"
        case .q2_K: "Q2_K - Medium"
        case .q2_K_S: "Q2_K - Small"
        case .q3_K_S: "Q3_K - Small"
        case .q3_K_M: "Q3_K - Medium"
        case .q3_K_L: "Q3_K - Large"
        case .q4_K_S: "Q4_K - Small"
        case .q4_K_M: "Q4_K - Medium"
        case .q5_K_S: "Q5_K - Small"
        case .q5_K_M: "Q5_K - Medium"
        case .tq1_0: "TQ1_0 - 1.69 bpw ternary"
        case .tq2_0: "TQ2_0 - 2.06 bpw ternary"
        case .iq1_s: "IQ1_S - 1.5625 bpw"
        case .iq1_m: "IQ1_M - 1.75 bpw"
        case .iq2_xxs: "IQ2_XXS - 2.0625 bpw"
        case .iq2_xs: "IQ2_XS - 2.3125 bpw"
        case .iq2_s: "IQ2_S - 2.5 bpw"
        case .iq2_m: "IQ2_M - 2.7 bpw"
        case .iq3_xxs: "IQ3_XXS - 3.0625 bpw"
        case .iq3_xs: "IQ3_XS - 3.3 bpw"
        case .iq3_s: "IQ3_S - 3.4375 bpw"
        case .iq3_m: "IQ3_S mix - 3.66 bpw"
        case .iq4_nl: "IQ4_NL - 4.5 bpw"
        case .iq4_xs: "IQ4_XS - 4.25 bpw"
        case .mxfp4_moe: "MXFP4 MoE"
        default: name
        }
    }
}
