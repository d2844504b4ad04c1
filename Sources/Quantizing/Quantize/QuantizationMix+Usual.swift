import GGUF

extension QuantizationMix {
    /// The file types that models are usually offered in, larger ones first.
    ///
    /// None is for models trained for it, as ternary ones are, and none needs an importance matrix. Types of grids, such
    /// as IQ3_S, are left out because they take as long as all of these together.
    public static let usual: [QuantizationMix] = types.compactMap { mix(for: $0) }

    private static let types: [GGUFFileType] = [
        .f16, .q8_0, .q6_K, .q5_1, .q5_K_M, .q5_K_S, .q5_0, .q4_1, .q4_K_M, .q4_K_S, .iq4_nl, .q4_0, .iq4_xs, .q3_K_L,
        .q3_K_M, .q3_K_S, .q2_K,
    ]
}
