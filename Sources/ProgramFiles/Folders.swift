import Foundation
import GGUF

/// Folders and small files that the program writes on its own account.
public enum Folders {
    /// Makes a folder and those above it.
    ///
    /// - Parameter advice: what to do where that fails.
    /// - Throws: `FileProblem` that names the folder, and the one that stands in the way.
    public static func make(_ folder: URL, advice: String) throws(FileProblem) {
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        } catch {
            throw FileProblem(path: folder.path, action: .made, reason: obstacle(to: folder, error), advice: advice)
        }
    }

    /// Writes a file, and the folders above it, as a whole or not at all.
    ///
    /// - Parameter advice: what to do where that fails.
    public static func write(_ data: Data, to file: URL, advice: String) throws(FileProblem) {
        try make(file.deletingLastPathComponent(), advice: advice)
        try replace(file.path, with: data, advice: advice)
    }

    /// Writes a file beside its name and gives it the name when it is complete: whatever happens, the name stands for a
    /// whole file, the new one or what was there.
    public static func replace(_ path: String, with data: Data, advice: String) throws(FileProblem) {
        let target = URL(filePath: path).resolvingSymlinksInPath().path
        if let words = PathKind(at: target).words {
            throw FileProblem(path: path, action: .written, reason: "it is \(words)", advice: advice)
        }
        let partial = PartialName.path(for: target)
        do {
            try data.write(to: URL(filePath: partial), options: [])
            guard rename(partial, target) == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        } catch {
            unlink(partial)
            throw FileProblem(path: path, action: .written, reason: FileProblem.reason(of: error), advice: advice)
        }
    }

    /// Which folder above the one asked for did not let it be made.
    private static func obstacle(to folder: URL, _ error: any Error) -> String {
        var above = folder.standardizedFileURL
        var isFolder: ObjCBool = false
        while !FileManager.default.fileExists(atPath: above.path, isDirectory: &isFolder), above.path != "/" {
            above.deleteLastPathComponent()
        }
        guard isFolder.boolValue else { return "\(above.path) is a file, not a folder" }
        return FileProblem.reason(of: error) + (above.path == folder.path ? "" : " in \(above.path)")
    }
}

/// A folder for one command's work, under `$TMPDIR` or `/tmp`.
public struct ScratchFolder: Sendable {
    public let url: URL

    /// - Parameter purpose: a part of its name.
    public init(_ purpose: String) throws(FileProblem) {
        let parent = FileManager.default.temporaryDirectory
        Self.removeLeftovers(in: parent)
        url = parent.appending(path: "quipu-\(purpose)-\(getpid())-\(UUID().uuidString)")
        try Folders.make(url, advice: "Set TMPDIR to a folder that can be written to.")
    }

    public func path(_ name: String) -> String { url.appending(path: name).path }

    /// Removes what killed processes left. Others' folders stay: the system does not let them be removed.
    private static func removeLeftovers(in parent: URL) {
        let pattern = /quipu-[a-z]+-(?<id>[0-9]+)-[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}/
        for name in (try? FileManager.default.contentsOfDirectory(atPath: parent.path)) ?? [] {
            guard let match = name.wholeMatch(of: pattern), let id = pid_t(match.id), !PartialName.isRunning(id) else {
                continue
            }
            try? FileManager.default.removeItem(at: parent.appending(path: name))
        }
    }

    /// Removes it with all that is in it.
    public func remove() { try? FileManager.default.removeItem(at: url) }
}
