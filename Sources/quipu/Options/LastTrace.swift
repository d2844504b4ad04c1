import ArgumentParser
import Foundation
import Recording

/// Remembers the last trace written, so that commands can do without naming it.
enum LastTrace {
    static let help = ArgumentHelp("A trace file. (default: the last one written)")

    private static var note: URL {
        let environment = ProcessInfo.processInfo.environment
        let base = environment["XDG_STATE_HOME"].flatMap { $0.isEmpty ? nil : $0 }.map { URL(fileURLWithPath: $0) }
            ?? FileManager.default.homeDirectoryForCurrentUser.appending(path: ".local/state")
        return base.appending(path: "quipu/last-trace")
    }

    /// A convenience only: where it cannot be written, commands ask for the path.
    static func remember(_ path: String) {
        let absolute = URL(fileURLWithPath: path).standardizedFileURL.path
        try? FileManager.default.createDirectory(at: note.deletingLastPathComponent(), withIntermediateDirectories: true)
        try? Data((absolute + "\n").utf8).write(to: note, options: .atomic)
    }

    static func open(_ path: String?) throws -> TraceStore {
        if let path { return try TraceStore.open(path: path) }
        guard let text = try? String(contentsOf: note, encoding: .utf8) else {
            throw InputError("no trace was named, and none was written before; run `quipu trace MODEL --prompt \"…\"`")
        }
        return try TraceStore.open(path: text.trimmingCharacters(in: .newlines))
    }
}
