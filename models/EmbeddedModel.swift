import Foundation
import Tensors

/// The model that comes with the program, a version of it, and the text to measure both on.
///
/// SwiftPM puts them into a folder beside the executable, and they are found wherever the two lie together.
/// `Bundle.module` is not asked: it ends the process where the folder is missing, and knows the folder of the build.
public enum EmbeddedModel {
    /// The GGUF file.
    public static let model = "micro-world-f16.gguf"
    /// The model trained on while rounded to Q2_K, all matrices in that format.
    public static let trainedRounded = "micro-world-qat-q2_k.gguf"
    /// Stories of pairs that training never showed, one a line.
    public static let heldOutText = "micro-world-held-out.txt"

    /// The path of one of the files.
    ///
    /// - Throws: `EmbeddedModelMissing` if it is not there.
    public static func path(of name: String = model) throws(EmbeddedModelMissing) -> String {
        let path = folder.appending(path: name).path
        guard FileManager.default.fileExists(atPath: path) else { throw EmbeddedModelMissing(path: path) }
        return path
    }

    /// Where SwiftPM copies the resources of this target, seen from the executable itself, not from a link to it.
    private static let folder: URL = {
        #if os(Linux)
            let name = "quipu_EmbeddedModel.resources"
        #else
            let name = "quipu_EmbeddedModel.bundle"
        #endif
        let program = Bundle.main.executableURL ?? URL(filePath: CommandLine.arguments[0])
        return program.resolvingSymlinksInPath().deletingLastPathComponent().appending(path: name)
    }()
}

/// The program was separated from the files that belong to it.
public struct EmbeddedModelMissing: InputProblem {
    /// Where the file should be.
    public let path: String

    public var description: String {
        "\(path): found no such file, expected the embedded model's. Move the folder along with the program; or name a "
            + "model, or set QUIPU_MODEL to one."
    }
}
