import Foundation

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
        do {
            try data.write(to: file, options: .atomic)
        } catch {
            throw FileProblem(path: file.path, action: .written, reason: FileProblem.reason(of: error), advice: advice)
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
        url = FileManager.default.temporaryDirectory.appending(path: "quipu-\(purpose)-\(UUID().uuidString)")
        try Folders.make(url, advice: "Set TMPDIR to a folder that can be written to.")
    }

    public func path(_ name: String) -> String { url.appending(path: name).path }

    /// Removes it with all that is in it.
    public func remove() { try? FileManager.default.removeItem(at: url) }
}
