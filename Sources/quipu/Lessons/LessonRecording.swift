import EmbeddedModel
import Foundation
import GGUF
import Lessons
import LlamaModel
import ProgramFiles
import Recording

/// The trace that lessons are about: made once, and again when the model or the prompt is another.
enum LessonRecording {
    /// - Parameters:
    ///   - earlier: what the progress remembers.
    ///   - model: a model to change to.
    ///   - prompt: a prompt to change to.
    ///   - folder: where the trace is kept.
    static func prepared(
        for earlier: LessonProgress.Model?, model: String?, prompt: String?, course: Course, folder: URL
    ) throws -> LessonProgress.Model {
        let present = try present(earlier?.path)
        let named = try model ?? present ?? ModelArgument.preferred ?? EmbeddedModel.path()
        let path = absolute(try ModelArgument.located(named))
        let prompt = prompt ?? earlier?.prompt ?? course.prompt
        let (size, modified) = try stamp(path)
        if let earlier, earlier.path == path, earlier.prompt == prompt, earlier.size == size,
            earlier.modified == modified, FileManager.default.fileExists(atPath: earlier.trace)
        {
            return earlier
        }
        let digest = DigestMemory.shared.hexDigest(of: try GGUFFile(path: path))
        if let earlier, earlier.sha256 != digest, model == nil {
            Terminal.complain("quipu: note: \(path) is not the model it was; answers are computed on the new one")
        }
        try checkFits(path)
        let trace = folder.appending(path: name(digest, prompt, course.generate)).path
        if !FileManager.default.fileExists(atPath: trace) || !isFinished(trace) {
            try record(path, prompt, generate: course.generate, to: trace)
        }
        return .init(path: path, sha256: digest, size: size, modified: modified, prompt: prompt, trace: trace)
    }

    /// A path that still leads somewhere: a newer program has its embedded model at another path.
    private static func present(_ path: String?) throws -> String? {
        guard let path else { return nil }
        if FileManager.default.fileExists(atPath: path) { return path }
        guard URL(filePath: path).lastPathComponent == EmbeddedModel.model else {
            throw InputError(
                "\(path): the model of your lessons is no longer there. Say where it is: quipu lesson start --model FILE"
            )
        }
        return nil
    }

    /// The questions look at the first of several layers, whose operations have all tokens, and at blocks of 32.
    private static func checkFits(_ path: String) throws {
        let found = try ModelArgument.llama(path).configuration
        guard found.layers >= 2, found.embedding % 32 == 0 else {
            throw InputError(
                "\(path): found \(found.layers) layers of width \(found.embedding), expected two layers or more and a "
                    + "width of a multiple of 32. Choose another model for the lessons.")
        }
    }

    private static func absolute(_ path: String) -> String { URL(filePath: path).standardizedFileURL.path }

    private static func stamp(_ path: String) throws -> (size: Int, modified: Double) {
        // What is no model is told by who reads it.
        _ = try GGUFFile(path: path)
        let attributes = try FileManager.default.attributesOfItem(
            atPath: URL(filePath: path).resolvingSymlinksInPath().path)
        let modified = (attributes[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
        return (attributes[.size] as? Int ?? 0, modified.rounded(.down))
    }

    /// One trace for a model, a prompt and a count of tokens after it, so that going back to them finds it again.
    private static func name(_ digest: String, _ prompt: String, _ generate: Int) -> String {
        let hash = "\(generate) \(prompt)".utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        return "lesson-\(digest.prefix(8))-\(String(hash, radix: 16)).db"
    }

    private static func isFinished(_ path: String) -> Bool {
        (try? TraceStore.open(path: path).runs().last?.isComplete) == true
    }

    private static func record(_ model: String, _ prompt: String, generate: Int, to path: String) throws {
        try Folders.make(URL(filePath: path).deletingLastPathComponent(), advice: UserFolders.stateAdvice)
        Terminal.complain("quipu: recording a trace for the lessons, once")
        // A trace that was cut off is made again.
        for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
        let outcome = try OwnProgram.run([
            "trace", model, "--prompt", prompt, "--generate", "\(generate)", "--ignore-eos", "--capture", "all",
            "--output", path, "--json",
        ])
        guard outcome.status == 0 else {
            let said = outcome.errors.trimmingCharacters(in: .whitespacesAndNewlines)
            throw InputError(said.hasPrefix("quipu: ") ? String(said.dropFirst(7)) : said)
        }
    }
}
