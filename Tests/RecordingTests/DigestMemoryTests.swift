import Foundation
import GGUF
import Recording
import TestSupport
import Testing

/// A file's digest is remembered by what the file system says of the file.
@Suite struct DigestMemoryTests {
    /// A model in a folder of its own, and a memory that keeps digests of files `settled` seconds old.
    private func withModel(settled: Int = -1, _ body: (URL, DigestMemory) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "quipu-digest-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let model = folder.appending(path: "model.gguf")
        try FileManager.default.copyItem(at: URL(filePath: TinyModel.stories.path), to: model)
        try body(model, DigestMemory(folder: folder, least: 0, settled: settled))
    }

    @Test func aChangedFileIsHashedAgain() throws {
        try withModel { model, memory in
            let first = memory.hexDigest(of: try GGUFFile(path: model.path))
            #expect(first == (try GGUFFile(path: model.path).hexDigest()))
            #expect(memory.hexDigest(of: try GGUFFile(path: model.path)) == first)

            // Longer than a tick of the file system's clock.
            Thread.sleep(forTimeInterval: 0.05)
            let times = try FileManager.default.attributesOfItem(atPath: model.path)[.modificationDate] as? Date
            let handle = try FileHandle(forUpdating: model)
            let last = try handle.seekToEnd() - 1
            try handle.seek(toOffset: last)
            let byte = try #require(try handle.read(upToCount: 1)).first!
            try handle.seek(toOffset: last)
            try handle.write(contentsOf: [byte ^ 1])
            try handle.close()
            // Size and time of modification are what they were.
            try FileManager.default.setAttributes([.modificationDate: times!], ofItemAtPath: model.path)
            let second = memory.hexDigest(of: try GGUFFile(path: model.path))
            #expect(second != first)
            #expect(second == (try GGUFFile(path: model.path).hexDigest()))
        }
    }

    /// The remembered digest is used: one that was forged comes back.
    @Test func whatIsRememberedIsNotReadAgain() throws {
        try withModel { model, memory in
            let digest = memory.hexDigest(of: try GGUFFile(path: model.path))
            let file = model.deletingLastPathComponent().appending(path: "digests.json")
            let forged = try String(contentsOf: file, encoding: .utf8).replacing(digest, with: "forged")
            try forged.write(to: file, atomically: true, encoding: .utf8)
            #expect(memory.hexDigest(of: try GGUFFile(path: model.path)) == "forged")
        }
    }

    @Test func aFileJustWrittenIsNotRemembered() throws {
        try withModel(settled: 60) { model, memory in
            _ = memory.hexDigest(of: try GGUFFile(path: model.path))
            let file = model.deletingLastPathComponent().appending(path: "digests.json")
            #expect(!FileManager.default.fileExists(atPath: file.path))
        }
    }
}
