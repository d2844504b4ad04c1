import Foundation

/// Where the tests find files.
public enum Places {
    /// The folder of `Package.swift`.
    public static let package = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    public static func fixture(_ name: String) -> String { package.appending(path: "Tests/Fixtures/\(name)").path }

    /// The model that comes with the program.
    public static let microWorld = package.appending(path: "models/micro-world-f16.gguf").path

    /// The real model that is too large to be committed: `$QUIPU_SMOLLM2`, or what `make model-smollm2` fetches.
    public static let smolLM2 =
        environment["QUIPU_SMOLLM2"] ?? package.appending(path: "downloads/SmolLM2-135M-Instruct.Q4_1.gguf").path

    /// Whether the tests of the real model run: if it is there, and also if it must be, to fail then.
    public static let runsSmolLM2 =
        environment["QUIPU_REQUIRE_SMOLLM2"] == "1" || FileManager.default.fileExists(atPath: smolLM2)

    public static let smolLM2Hint = "needs downloads/SmolLM2-135M-Instruct.Q4_1.gguf; `make model-smollm2` fetches it"

    /// Whether the tests were built with a sanitizer, whose memory is not bounded: scripts/sanitize.sh sets its options.
    public static let isSanitized = environment.keys.contains { $0.hasSuffix("SAN_OPTIONS") }

    private static let environment = ProcessInfo.processInfo.environment
}

/// A folder that goes away with its owner.
public final class TemporaryFolder: Sendable {
    public let url: URL

    public init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "quipu-tests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    public func path(_ name: String) -> String { url.appending(path: name).path }

    @discardableResult
    public func write(_ text: String, to name: String) throws -> String {
        try Data(text.utf8).write(to: URL(filePath: path(name)))
        return path(name)
    }
}
