import GGUF
import Tensors

/// Which format each tensor of a file type gets.
///
/// "Q4_K_M" is no format but a recipe: most tensors Q4_K, the sensitive ones more. The whole table is here; the first
/// rule that applies decides, else the tensor gets the base type. Source: llama.cpp `llama_tensor_get_type_impl`.
public struct QuantizationMix: Sendable {
    public let fileType: GGUFFileType
    /// The format of all tensors without a rule.
    public let base: TensorType
    /// What `output.weight` gets, or the token embeddings where they serve as output too, if rows allow the base type.
    let output: TensorType
    let rules: [MixRule]
    /// The smallest formats: llama.cpp counts tensors there and has other rules for models of experts.
    let isTiny: Bool
    /// All that a tensor may get.
    package var types: [TensorType] { [base, output] + rules.map(\.type) }

    private init(
        _ fileType: GGUFFileType, _ base: TensorType, output: TensorType = .q6_K, isTiny: Bool = false,
        _ rules: [MixRule] = []
    ) {
        self.fileType = fileType
        self.base = base
        self.output = output
        self.isTiny = isTiny
        self.rules = isTiny || base == .mxfp4 ? rules : [Self.ofEightExperts] + rules
    }

    /// The mix of a file type that can be written; `nil` for others.
    public static func mix(for fileType: GGUFFileType) -> QuantizationMix? {
        available.first { $0.fileType == fileType }
    }

    /// Small beside the experts, and shared by all of them.
    private static let ofEightExperts = MixRule(.attentionV, .attentionK, if: .eightExperts(true), use: .q8_0)
    /// Attention outputs of models of eight experts.
    private static let fiveBitOutput = MixRule(.attentionOutput, if: .eightExperts(true), use: .q5_K)
    private static let moreBits = MixRule(.attentionV, .down, if: .moreBits, use: .q6_K)

    /// Those of all file types that can be written.
    public static let available: [QuantizationMix] = [
        .init(.f32, .f32),
        .init(.f16, .f16),
        .init(.bf16, .bf16),
        // Early layers of a model may go astray in the plain formats, even with an importance matrix.
        .init(.q4_0, .q4_0, [.init(.down, if: .importance(true), .firstPart(8), use: .q4_1)]),
        .init(.q4_1, .q4_1),
        .init(.q5_0, .q5_0, [.init(.down, if: .importance(true), .firstPart(8), use: .q5_1)]),
        .init(.q5_1, .q5_1),
        .init(.q8_0, .q8_0, output: .q8_0),
        .init(
            .q2_K, .q2_K,
            [
                fiveBitOutput,
                .init(.attentionV, if: .grouped, use: .q4_K),
                .init(.attentionV, .down, .attentionOutput, use: .q3_K),
            ]),
        .init(
            .q2_K_S, .q2_K,
            [
                .init(.attentionV, if: .grouped, use: .q4_K),
                .init(.down, if: .firstPart(8), use: .q4_K),
            ]),
        .init(.q3_K_S, .q3_K, [fiveBitOutput]),
        .init(
            .q3_K_M, .q3_K,
            [
                fiveBitOutput,
                .init(.attentionV, if: .first(2), use: .q5_K),
                .init(.down, if: .firstPart(16), use: .q5_K),
                .init(.attentionV, .down, .attentionOutput, use: .q4_K),
            ]),
        .init(
            .q3_K_L, .q3_K,
            [
                .init(.attentionV, .down, use: .q5_K),
                .init(.attentionOutput, if: .eightExperts(false), use: .q5_K),
            ]),
        .init(
            .q4_K_S, .q4_K,
            [
                fiveBitOutput,
                .init(.attentionV, if: .first(4), use: .q5_K),
                .init(.down, if: .firstPart(8), use: .q5_K),
            ]),
        .init(.q4_K_M, .q4_K, [fiveBitOutput, moreBits]),
        .init(.q5_K_S, .q5_K),
        .init(.q5_K_M, .q5_K, [moreBits]),
        .init(.q6_K, .q6_K),
        .init(.iq4_nl, .iq4_nl, fourBitNonLinear),
        .init(.iq4_xs, .iq4_xs, fourBitNonLinear),
        .init(
            .iq3_xxs, .iq3_xxs, output: .q5_K,
            [
                fiveBitOutput,
                .init(.attentionV, if: .grouped, use: .q4_K),
                .init(.attentionV, if: .importance(false), use: .iq3_s),
                .init(.attentionQ, .attentionK, use: .iq2_s),
                .init(.attentionOutput, .embedding, use: .iq3_s),
                .init(.down, if: .importance(false), .firstPart(8), use: .q4_K),
                .init(.down, if: .importance(false), use: .q3_K),
            ]),
        .init(
            .iq3_xs, .iq3_s,
            [
                fiveBitOutput,
                .init(.attentionV, if: .grouped, use: .q4_K),
                .init(.attentionQ, .attentionK, use: .iq3_xxs),
                .init(.gate, .up, if: .middle, use: .iq3_xxs),
            ]),
        .init(.iq3_s, .iq3_s, [fiveBitOutput, .init(.attentionV, if: .grouped, use: .q4_K)]),
        .init(
            .iq3_m, .iq3_s,
            [
                fiveBitOutput,
                .init(.attentionV, .attentionOutput, use: .q4_K),
                .init(.down, if: .firstPart(8), use: .q4_K),
                .init(.down, if: .eightExperts(true), .moreBits, use: .q4_K),
            ]),
        .init(.iq2_xxs, .iq2_xxs, output: .q5_K, isTiny: true, tiny(.q2_K, embedding: .q2_K)),
        .init(.iq2_xs, .iq2_xs, output: .q5_K, isTiny: true, tiny(.q2_K, embedding: .q2_K)),
        .init(.iq2_s, .iq2_xs, output: .q5_K, isTiny: true, tiny(.iq3_s, embedding: .iq3_s, attentionOutput: .iq3_s)),
        .init(.iq2_m, .iq2_s, output: .q5_K, isTiny: true, tiny(.iq3_s, embedding: .iq3_s, attentionOutput: .iq3_s)),
        .init(.iq1_s, .iq1_s, output: .q5_K, isTiny: true, tiny(.q2_K, embedding: .q2_K, attentionOutput: .iq2_xxs)),
        .init(.iq1_m, .iq1_m, output: .q5_K, isTiny: true, tiny(.q2_K, embedding: .q2_K, attentionOutput: .iq2_xxs)),
        .init(.tq1_0, .tq1_0, [.init(.embedding, use: .q4_K)]),
        .init(.tq2_0, .tq2_0, [.init(.embedding, use: .q4_K)]),
        .init(.q1_0, .q1_0),
        .init(.q2_0, .q2_0, [.init(.embedding, use: .q4_K)]),
        .init(.mxfp4_moe, .mxfp4, output: .q8_0, [.init(if: .isVolume, use: .mxfp4), .init(use: .q8_0)]),
    ]

    private static let fourBitNonLinear: [MixRule] = [
        fiveBitOutput,
        .init(.attentionV, if: .grouped, use: .q5_K),
        .init(.down, if: .importance(false), .firstPart(8), use: .q5_K),
    ]

    /// IQ1 and IQ2: what is sensitive gets `better`.
    private static func tiny(
        _ better: TensorType, embedding: TensorType, attentionOutput: TensorType? = nil
    ) -> [MixRule] {
        [
            .init(.embedding, use: embedding),
            .init(.attentionV, if: .grouped, use: .q4_K),
            .init(.attentionV, if: .experts(atLeast: 4), use: .q4_K),
            .init(.attentionV, use: better),
            .init(.attentionK, if: .eightExperts(true), use: .q4_K),
            .init(.down, if: .firstPart(8), use: better),
            fiveBitOutput,
        ] + (attentionOutput.map { [.init(.attentionOutput, use: $0)] } ?? [])
    }
}

extension QuantizationMix {
    /// A file type by the name llama.cpp's tools use, in any case, its alias, or its number.
    ///
    /// - Returns: `nil` if there is none.
    public static func named(_ text: String) -> QuantizationMix? {
        let name = text.uppercased()
        let aliases = ["Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"]
        return available.first {
            $0.fileType.name == aliases[name] ?? name || String($0.fileType.rawValue) == name
        }
    }
}
