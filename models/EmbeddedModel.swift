import ProgramFiles
import Tensors

/// The model that comes with the program, a version of it, a sibling of another kind, and the text to measure them on.
public enum EmbeddedModel {
    /// The GGUF file.
    public static let model = "micro-world-f16.gguf"
    /// The model trained on while rounded to Q2_K, all matrices in that format.
    public static let trainedRounded = "micro-world-qat-q2_k.gguf"
    /// A sibling of the model in deepseek2's architecture: experts and latent attention.
    public static let experts = "micro-world-experts-q8_0.gguf"
    /// Stories of pairs that training never showed, one a line.
    public static let heldOutText = "micro-world-held-out.txt"
    /// A tiny random llama as files were before GGUF, and the same weights in GGUF.
    public static let beforeGGUF = (old: "before-gguf.bin", new: "before-gguf.gguf")

    /// The models by the names that commands take for them.
    public static let names = [
        "micro-world": model, "micro-world-qat-q2_k": trainedRounded, "micro-world-experts": experts,
    ]

    private static let folder = ProgramFolder("models", target: "EmbeddedModel")

    /// The path of one of the files.
    ///
    /// - Throws: `EmbeddedModelMissing` if it is not there.
    public static func path(of name: String = model) throws(EmbeddedModelMissing) -> String {
        do { return try folder.path(of: name) } catch { throw EmbeddedModelMissing(cause: error) }
    }
}

/// The embedded model is not where it belongs; commands can do with another.
public struct EmbeddedModelMissing: InputProblem {
    public let cause: ProgramFileMissing

    public var description: String {
        "\(cause) Or name another model, or set QUIPU_MODEL to one."
    }
}
