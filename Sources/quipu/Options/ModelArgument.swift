import ArgumentParser
import EmbeddedModel
import Foundation
import GGUF
import LlamaModel
import ProgramFiles
import Recording
import Tensors
import Tokenization

/// Which model a command works on.
enum ModelArgument {
    static let help = ArgumentHelp(
        """
        A .gguf file; of a split model, its first part. The name micro-world-experts stands for a model with experts that \
        comes with the program. (default: $QUIPU_MODEL, or the embedded model)
        """)

    /// The model that the user prefers when none is named.
    static var preferred: String? {
        ProcessInfo.processInfo.environment["QUIPU_MODEL"].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The file; without a path the preferred one, or the embedded one, which is then said on standard error.
    ///
    /// - Throws: `GGUFError` if it cannot be read, `EmbeddedModelMissing`.
    static func open(_ path: String?) throws -> GGUFFile {
        if let path = path ?? preferred { return try GGUFFile(path: try located(path)) }
        let file = try GGUFFile(path: try EmbeddedModel.path())
        Terminal.complain("quipu: note: no model was named; this is the embedded one, \(EmbeddedModel.model)")
        return file
    }

    /// Where a model is that was named: by a path, or by the name of one that comes with the program.
    ///
    /// - Throws: `EmbeddedModelMissing`.
    static func located(_ name: String) throws -> String {
        if let start = PathKind.start(of: name, bytes: 16), start == Data("SQLite format 3\0".utf8) {
            return try model(ofTrace: name)
        }
        guard let file = EmbeddedModel.names[name], !FileManager.default.fileExists(atPath: name) else { return name }
        return try EmbeddedModel.path(of: file)
    }

    /// A trace knows its model: that of its newest run, which is then said on standard error.
    private static func model(ofTrace path: String) throws -> String {
        let run = try TraceStore.open(path: path).run()
        guard let model = run.currentModelPath() else {
            throw InputError(
                "\(path): found a trace, expected a model, and the trace's own, \(run.modelPath), is not there. "
                    + "Name a .gguf file.")
        }
        Terminal.complain("quipu: note: \(path) is a trace; this is the model of its newest run, \(model)")
        return model
    }

    /// How a model is named on the command line; `nil` if it is the one taken when none is named.
    static func typed(_ path: String) -> String? {
        let fallback = preferred ?? (try? EmbeddedModel.path())
        return path == fallback ? nil : Terminal.pathFromHere(path)
    }

    /// The model, ready to run. What is odd about its vocabulary is said on standard error.
    static func llama(_ path: String?) throws -> Llama {
        let file = try open(path)
        let model = try Llama(file: file)
        warn(about: model.vocabulary, of: file)
        return model
    }

    /// The tokenizer alone; the file need hold nothing else.
    static func tokenizer(_ path: String?) throws -> Tokenizer { try tokenizerAndFile(path).tokenizer }

    /// The same, and the file it is from.
    static func tokenizerAndFile(_ path: String?) throws -> (file: GGUFFile, tokenizer: Tokenizer) {
        let file = try open(path)
        let kind = FileKind(file)
        if kind != .keys, kind != .vocabulary, let words = kind.words, Vocabulary.problem(of: file.metadata) != nil {
            throw LlamaError.notAModel(file: file.path, words: words)
        }
        let tokenizer = try naming(file) { try Tokenizer(metadata: file.metadata) }
        warn(about: tokenizer.vocabulary, of: file)
        return (file, tokenizer)
    }

    /// A tokenizer knows metadata, not files; a message names the file.
    static func naming<Result>(_ file: GGUFFile, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as TokenizationError {
            throw InputError("\(file.path): \(error). `quipu inspect` still lists the file.")
        }
    }

    private static func warn(about vocabulary: Vocabulary, of file: GGUFFile) {
        for warning in vocabulary.warnings { Terminal.complain("quipu: \(file.path): warning: \(warning)") }
    }

    /// - Throws: `InputError` with the names that come near if the file has no such tensor.
    static func tensor(_ name: String, in file: GGUFFile) throws -> TensorInfo {
        if let info = file.tensor(named: name) { return info }
        if let info = file.tensors.first(where: { $0.name.showingBytes() == name }) { return info }
        let near = nearest(to: name, in: file.tensors.map(\.name))
        throw InputError(
            "\(file.path): there is no tensor '\(name)'."
                + (near.isEmpty ? "" : " Did you mean \(near.joined(separator: ", "))?")
                + " `quipu inspect --tensors` lists them.")
    }
}
