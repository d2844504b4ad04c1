/// What inner loops are written for.
///
/// All sets give the same bits; they differ in speed. `Quantization` knows which ones this processor runs.
public enum InstructionSet: String, Sendable, Hashable, CaseIterable {
    /// The Swift code that the others are tested against.
    case reference
    /// C that any processor runs.
    case portable
    /// x86-64 with AVX2, FMA and F16C.
    case avx2
    /// AVX2 and products of bytes added up in 32 bits.
    case avxvnni
    /// x86-64 with AVX-512 (F, BW, VL, DQ) and VNNI.
    case avx512
    /// 64-bit ARM.
    case neon
    /// 64-bit ARM with dot products of bytes.
    case neondot
}
