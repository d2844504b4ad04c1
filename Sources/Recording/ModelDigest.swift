import Foundation
import GGUF
import ProgramFiles

extension GGUFFile {
    /// SHA-256 over the bytes of all parts in order, in lower-case hexadecimal.
    public func hexDigest() -> String {
        let hash = SHA256()
        for part in parts { part.withBytes(in: 0..<part.byteCount) { hash.update($0) } }
        return hash.hexDigest()
    }
}

/// Digests of large files, remembered from one command to the next: reading a model of 5 GB for its hash takes longer than
/// most questions about it.
///
/// A digest holds as long as the file has the same stamp. What has just been written could be written again within the
/// clock's resolution, so its digest is not kept. A folder that cannot be written to costs time only, and is reported.
public struct DigestMemory: Sendable {
    private let file: URL
    /// Bytes from which remembering pays.
    private let least: Int
    /// Seconds after its last change at which a file is believed to have got its content.
    private let settled: Int
    private let report: Reporter

    /// Told that a digest could not be kept, and why.
    public typealias Reporter = @Sendable (FileProblem) -> Void

    /// Who is told by `shared`. (default: nobody)
    @TaskLocal public static var reporter: Reporter = { _ in }

    private struct Entry: Codable {
        let stamps: [MappedFile.Stamp]
        let sha256: String
    }

    /// Of this user.
    public static var shared: DigestMemory { DigestMemory(folder: UserFolders.current.cache, report: reporter) }

    package init(folder: URL, least: Int = 32 << 20, settled: Int = 2, report: @escaping Reporter = { _ in }) {
        file = folder.appending(path: "digests.json")
        self.least = least
        self.settled = settled
        self.report = report
    }

    /// The digest of a model's file, computed unless it is known.
    public func hexDigest(of model: GGUFFile) -> String {
        guard model.byteCount >= least else { return model.hexDigest() }
        let (key, stamps) = (URL(filePath: model.path).standardizedFileURL.path, model.parts.map(\.stamp))
        if let known = entries()[key], known.stamps == stamps { return known.sha256 }
        let digest = model.hexDigest()
        let secondsAgo = Int(Date().timeIntervalSince1970) - stamps.map(\.changed).max()! / 1_000_000_000
        if secondsAgo > settled { remember(Entry(stamps: stamps, sha256: digest), key) }
        return digest
    }

    private func entries() -> [String: Entry] {
        (try? JSONDecoder().decode([String: Entry].self, from: Data(contentsOf: file))) ?? [:]
    }

    private func remember(_ entry: Entry, _ key: String) {
        var entries = entries()
        entries[key] = entry
        guard let data = try? JSONEncoder().encode(entries) else { return }
        do {
            try Folders.write(data, to: file, advice: UserFolders.cacheAdvice)
        } catch {
            report(error)
        }
    }
}
