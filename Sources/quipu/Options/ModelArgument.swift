import ArgumentParser
import Foundation
import GGUF

/// Which model a command works on.
enum ModelArgument {
    static let help = ArgumentHelp("A .gguf file; of a split model, its first part. Without one, $QUIPU_MODEL.")

    /// - Throws: `InputError` if none was named, `GGUFError` if it cannot be read.
    static func open(_ path: String?) throws -> GGUFFile {
        let fallback = ProcessInfo.processInfo.environment["QUIPU_MODEL"] ?? ""
        guard let path = path ?? (fallback.isEmpty ? nil : fallback) else {
            throw InputError("no model was named; give a path to a .gguf file, or set QUIPU_MODEL to one")
        }
        return try GGUFFile(path: path)
    }
}
