import Foundation
import TestSupport
import Testing

/// What a process left behind.
struct Outcome: Sendable {
    let status: Int32
    let output: String
    let errors: String

    /// The result as a JSON object; fails if it is anything but one document.
    func object(_ location: SourceLocation = #_sourceLocation) throws -> [String: Any] {
        let parsed = try JSONSerialization.jsonObject(with: Data(output.utf8))
        return try #require(parsed as? [String: Any], sourceLocation: location)
    }

    var lines: [Substring] { output.split(separator: "\n", omittingEmptySubsequences: false) }
}

/// A folder with a model (`model.gguf`) in which the built `quipu` runs as a user runs it.
final class Workbench: Sendable {
    let folder: TemporaryFolder

    init(_ model: String = TinyModel.stories.path) throws {
        folder = try TemporaryFolder()
        try FileManager.default.createSymbolicLink(atPath: folder.path("model.gguf"), withDestinationPath: model)
    }

    /// The executable beside the test bundle.
    static let binary =
        ProcessInfo.processInfo.environment["QUIPU_BINARY"]
        ?? Bundle.main.executableURL!.deletingLastPathComponent().appending(path: "quipu").path

    private var environment: [String: String] {
        let (tools, own) = (
            URL(filePath: Self.binary).deletingLastPathComponent().path, ProcessInfo.processInfo.environment
        )
        let used = [
            "PATH": tools + ":" + (own["PATH"] ?? "/usr/bin:/bin"), "HOME": folder.url.path,
            "XDG_STATE_HOME": folder.path("state"),
            // A busy machine must not add a note to what a test expects; those of progress ask for it.
            "QUIPU_PROGRESS_SECONDS": "3600",
        ]
        // What scripts/sanitize.sh says to the sanitizers.
        return used.merging(own.filter { $0.key.hasSuffix("SAN_OPTIONS") || $0.key == "LD_PRELOAD" }) { $1 }
    }

    /// Starts `quipu` without waiting for it.
    func start(_ arguments: [String], environment extra: [String: String] = [:], input: String? = nil) throws -> Run {
        try Run(
            Self.binary, arguments, environment: environment.merging(extra) { $1 }, directory: folder.url, input: input)
    }

    @discardableResult
    func quipu(_ arguments: String..., environment: [String: String] = [:], input: String? = nil) throws -> Outcome {
        try start(arguments, environment: environment, input: input).wait()
    }

    func quipu(_ arguments: [String], environment: [String: String] = [:]) throws -> Outcome {
        try start(arguments, environment: environment).wait()
    }

    /// A line of shell in the folder, with `quipu` on the path.
    func shell(_ line: String) throws -> Outcome {
        try Run("/bin/sh", ["-c", line], environment: environment, directory: folder.url, input: nil).wait()
    }

    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: folder.path(name)) }

    func bytes(_ name: String) throws -> Data { try Data(contentsOf: URL(filePath: folder.path(name))) }

    /// Puts a copy of a finished trace here: four tokens generated after "Once upon a time", all captured.
    func addTrace(_ name: String = "trace.db") throws {
        try? FileManager.default.removeItem(atPath: folder.path(name))
        try FileManager.default.copyItem(
            atPath: try Self.finished.get().folder.path("trace.db"), toPath: folder.path(name))
        try changeTrace(folder.path(name), "UPDATE model SET path = '\(folder.path("model.gguf"))'")
    }

    /// With `a.db` and `b.db`, traces of two prompts as long as each other, in which two names are exchanged.
    static func withPair(_ model: String = ScoringTests.micro) throws -> Workbench {
        let bench = try Workbench(model)
        for (name, prompt) in [("a", "Mia has the ball. Tom has the"), ("b", "Tom has the ball. Mia has the")] {
            let outcome = try bench.quipu("trace", "model.gguf", "-p", prompt, "-o", "\(name).db")
            #expect(outcome.status == 0, "\(outcome.errors)")
        }
        return bench
    }

    /// Puts `chat.gguf` here: the stories' model with a chat template, and tokens for roles.
    func addChatModel(_ template: String = ChatTests.template) throws {
        try TinyModel.stories.file().write(
            chatTemplate: template, tokens: ["<|system|>", "<|user|>", "<|assistant|>"], to: folder.path("chat.gguf"))
    }

    /// Puts `old.bin` here: the stories' model as a file from before GGUF.
    func addOldModel(_ old: LegacyModel = .ggjt(3)) throws {
        try Data(old.bytes(of: try TinyModel.stories.file())).write(to: URL(filePath: folder.path("old.bin")))
    }

    private static let finished = Result {
        let bench = try Workbench()
        let outcome = try bench.quipu("trace", "model.gguf", "--prompt", "Once upon a time", "--generate", "4")
        try #require(outcome.status == 0, "\(outcome.errors)")
        return bench
    }

    /// The cells of the one row that a statement gives.
    func row(_ statement: String, of trace: String) throws -> [String: Any] {
        let outcome = try quipu("sql", trace, statement, "--json")
        let rows = try #require(try outcome.object()["rows"] as? [[String: Any]])
        return try #require(rows.first, "\(statement): \(outcome.errors)")
    }
}

/// A started process. Its output goes to files, so that it never waits for a reader.
final class Run {
    let process = Process()
    private let folder: TemporaryFolder

    init(_ tool: String, _ arguments: [String], environment: [String: String], directory: URL, input: String?) throws {
        folder = try TemporaryFolder()
        try folder.write("", to: "out")
        try folder.write("", to: "err")
        try folder.write(input ?? "", to: "in")
        process.executableURL = URL(filePath: tool)
        process.arguments = arguments
        process.environment = environment
        process.currentDirectoryURL = directory
        process.standardInput = FileHandle(forReadingAtPath: folder.path("in"))
        process.standardOutput = FileHandle(forWritingAtPath: folder.path("out"))
        process.standardError = FileHandle(forWritingAtPath: folder.path("err"))
        try process.run()
    }

    func wait() throws -> Outcome {
        process.waitUntilExit()
        return Outcome(status: process.terminationStatus, output: try read("out"), errors: try read("err"))
    }

    private func read(_ name: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(filePath: folder.path(name))), as: UTF8.self)
    }
}

/// Expects one line of complaint with these parts and nothing on standard output.
func expectComplaint(
    _ outcome: Outcome, _ parts: String..., status: Int32 = 1, location: SourceLocation = #_sourceLocation
) {
    #expect(outcome.status == status, "\(outcome.errors)", sourceLocation: location)
    // Under --json the complaint is a document too, and nothing else is printed.
    if !outcome.output.isEmpty {
        let document = try? JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any]
        let error = document?["error"] as? [String: Any]
        #expect(document?.count == 1 && error?["status"] as? Int32 == status, sourceLocation: location)
        let message = error?["message"] as? String ?? "-"
        #expect(outcome.errors.contains(message.prefix(40)), "\(outcome.output)", sourceLocation: location)
    }
    let lines = outcome.errors.split(separator: "\n")
    if status == 1 {
        #expect(lines.count == 1 && outcome.errors.hasPrefix("quipu: "), "\(outcome.errors)", sourceLocation: location)
    }
    for part in parts { #expect(outcome.errors.contains(part), "\(outcome.errors)", sourceLocation: location) }
    #expect(!outcome.errors.contains("Backtrac"), "\(outcome.errors)", sourceLocation: location)
}
