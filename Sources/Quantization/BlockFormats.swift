import Tensors

/// The formats that can be decoded and multiplied. A new one is a file in `Blocks/` and a line here.
public enum BlockFormats {
    /// Every format, those of activations included, in no order that matters.
    public static let all: [any BlockFormat] = [
        FormatF32(),
        FormatF16(),
        FormatBF16(),
        FormatQ4_0(),
        FormatQ4_1(),
        FormatQ5_0(),
        FormatQ5_1(),
        FormatQ8_0(),
        FormatQ8_1(),
        FormatQ2_K(),
        FormatQ3_K(),
        FormatQ4_K(),
        FormatQ5_K(),
        FormatQ6_K(),
        FormatQ8_K(),
        FormatIQ4_NL(),
        FormatIQ4_XS(),
        FormatMXFP4(),
        FormatNVFP4(),
        FormatQ1_0(),
        FormatQ2_0(),
        FormatTQ1_0(),
        FormatTQ2_0(),
        FormatIQ2_XXS(),
        FormatIQ2_XS(),
        FormatIQ2_S(),
        FormatIQ3_XXS(),
        FormatIQ3_S(),
        FormatIQ1_S(),
        FormatIQ1_M(),
    ]

    /// The formats that weights are stored in: all but Q8_1 and Q8_K, which are for activations only.
    public static let weights = all.filter { $0.type != .q8_1 && $0.type != .q8_K }

    /// The format of a tensor type; `nil` if Quipu cannot decode it.
    public static func format(for type: TensorType) -> (any BlockFormat)? { byID[type] }

    /// The format that activations of this type are encoded with; `nil` if it is no activation type.
    public static func activationFormat(for type: TensorType) -> (any ActivationFormat)? {
        activationsByID[type]
    }

    private static let byID = Dictionary(uniqueKeysWithValues: all.map { ($0.type, $0) })
    private static let activationsByID = byID.compactMapValues { $0 as? any ActivationFormat }
}
