import Foundation
import GGUF
import Testing

/// What the operating system has instead of a model.
@Suite struct FileTests {
    @Test func missingFile() throws {
        let path = try TemporaryFolder().path("model.gguf")
        try expectRefusal(
            opening: path, GGUFError(file: path, .file(.missing)), found: "no such file", expected: "a GGUF file")
    }

    @Test func directory() throws {
        let folder = try TemporaryFolder()
        let path = folder.url.path
        try expectRefusal(
            opening: path, GGUFError(file: path, .file(.directory)), found: "a directory", expected: "a GGUF file")
    }

    @Test func emptyFile() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write([])
        try expectRefusal(
            opening: path, GGUFError(file: path, .file(.empty)), found: "an empty file", expected: "a GGUF file")
    }

    /// Opening a pipe must not wait for somebody to write to it.
    @Test func pipe() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("model.gguf")
        try #require(mkfifo(path, 0o600) == 0)
        try expectRefusal(
            opening: path, GGUFError(file: path, .file(.notRegular)), found: "pipe", expected: "a regular file")
    }

    @Test func folderThatIsAFile() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write([0]) + "/model.gguf"
        try expectRefusal(
            opening: path, GGUFError(file: path, .file(.system(call: "open", code: ENOTDIR))), found: "errno \(ENOTDIR)",
            expected: "succeed")
    }

    @Test func noPermission() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(RawGGUF().bytes)
        try #require(chmod(path, 0) == 0)
        try withoutPrivileges {
            try expectRefusal(
                opening: path, GGUFError(file: path, .file(.noPermission)), found: "no permission",
                expected: "accessible")
        }
    }

    /// Root may read everything, so there the file system rights of an ordinary user are taken on meanwhile.
    private func withoutPrivileges(_ body: () throws -> Void) throws {
        guard geteuid() == 0 else { return try body() }
        #if os(Linux)
            // Unlike seteuid it changes this thread only; tests run in parallel.
            typealias SetFileSystemUser = @convention(c) (UInt32) -> Int32
            let symbol = try #require(dlsym(nil, "setfsuid"), "root may read everything, and there is no setfsuid")
            let setFileSystemUser = unsafeBitCast(symbol, to: SetFileSystemUser.self)
            _ = setFileSystemUser(65534)
            defer { _ = setFileSystemUser(0) }
            try body()
        #else
            try Test.cancel("root may read everything; run this test as another user")
        #endif
    }

    @Test(arguments: [
        ("hello, this is a text file", "a text file"), ("hi", "a text file"), ("lmgg\u{1}", "an unversioned GGML file"),
        ("fmgg\u{1}", "a GGMF file"), ("tjgg\u{3}", "a GGJT file"), ("algg\u{1}", "an old GGML LoRA adapter"),
        ("FUGG\0\0\0\u{3}", "a byte-swapped GGUF magic"), ("<!DOCTYPE html><html>", "an HTML or XML page"),
        ("version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"), ("PK\u{3}\u{4}....", "a zip archive"),
        ("SQLite format 3\0", "an SQLite database"), ("\u{8}\u{1}\0\0\0\0\0\0{\"__metadata__\"", "a safetensors file"),
        ("GGUE\u{3}\0\0\0", "\"GGUE\""), ("\0\u{1}\u{2}\u{3}\u{4}", "0x00 0x01 0x02 0x03"),
    ])
    func otherKindsOfFiles(text: String, kind: String) throws {
        let bytes = Array(text.utf8)
        try expectRefusal(
            bytes, at: 0, .header(.magic(Array(bytes.prefix(24)))), found: kind, expected: "the magic \"GGUF\"")
    }
}
