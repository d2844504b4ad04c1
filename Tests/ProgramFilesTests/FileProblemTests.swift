import Foundation
import ProgramFiles
import TestSupport
import Testing

/// What the system refuses is said with path, reason and advice, in words that are not Foundation's.
@Suite struct FileProblemTests {
    private let bench: TemporaryFolder

    init() throws { bench = try TemporaryFolder() }

    @Test func aFileInTheWayOfAFolder() throws {
        let file = try bench.write("", to: "file")
        let folder = bench.url.appending(path: "file/a/b")
        let problem = try #require(throws: FileProblem.self) { try Folders.make(folder, advice: "Do this.") }
        #expect("\(problem)" == "\(folder.path): cannot be made: \(file) is a file, not a folder. Do this.")
        let same = try #require(throws: FileProblem.self) {
            try Folders.make(bench.url.appending(path: "file"), advice: "")
        }
        #expect(same.reason == "\(file) is a file, not a folder")
    }

    @Test func aFolderInTheWayOfAFile() throws {
        try FileManager.default.createDirectory(atPath: bench.path("taken"), withIntermediateDirectories: true)
        let problem = try #require(throws: FileProblem.self) {
            try Folders.write(Data(), to: bench.url.appending(path: "taken"), advice: "Do this.")
        }
        #expect(problem.path == bench.path("taken") && problem.action == .written)
        #expect(!problem.reason.contains("Foundation") && !problem.reason.contains("Error"), "\(problem)")
    }

    @Test func theFolderThatRefusesIsNamed() throws {
        // Nobody makes folders in /proc, not even root.
        let problem = try #require(throws: FileProblem.self) {
            try Folders.make(URL(filePath: "/proc/quipu/a"), advice: "")
        }
        #expect(problem.path == "/proc/quipu/a")
        #expect(problem.reason.hasSuffix(" in /proc"), "\(problem.reason)")
    }

    @Test(.enabled(if: geteuid() != 0, "root may write everywhere")) func permissionsAreNamed() throws {
        try FileManager.default.createDirectory(
            atPath: bench.path("closed"), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o555])
        let problem = try #require(throws: FileProblem.self) {
            try Folders.write(Data(), to: bench.url.appending(path: "closed/file"), advice: "")
        }
        #expect(problem.reason == "permission denied")
    }

    @Test(arguments: [
        (EACCES, "permission denied"), (ENOSPC, "no space left on device"), (EROFS, "read-only file system"),
    ])
    func reasonsAreTheSystems(code: Int32, words: String) {
        let cause = POSIXError(POSIXErrorCode(rawValue: code)!)
        #expect(FileProblem.reason(of: cause) == words)
        let wrapped = CocoaError(
            .fileWriteUnknown, userInfo: [NSUnderlyingErrorKey: cause, NSFilePathErrorKey: "/x/y"])
        #expect(
            FileProblem(wrapped).description == "/x/y: cannot be written: \(words). Check the path and its permissions."
        )
    }

    @Test func readingIsToldFromWriting() throws {
        let error = try #require(throws: CocoaError.self) {
            try String(contentsOfFile: bench.path("none"), encoding: .utf8)
        }
        let problem = FileProblem(error)
        #expect(problem.path == bench.path("none") && problem.action == .read)
        #expect(problem.reason == "no such file or directory")
        try Data([0xFF, 0xFE, 0xFF]).write(to: bench.url.appending(path: "binary"))
        let text = try #require(throws: CocoaError.self) {
            try String(contentsOfFile: bench.path("binary"), encoding: .utf8)
        }
        #expect(FileProblem.reason(of: text) == "it is not UTF-8 text")
    }

    @Test func scratchFoldersComeAndGo() throws {
        let scratch = try ScratchFolder("test")
        try Data([1]).write(to: URL(filePath: scratch.path("file")))
        #expect(scratch.url.lastPathComponent.hasPrefix("quipu-test-"))
        scratch.remove()
        #expect(!FileManager.default.fileExists(atPath: scratch.url.path))
    }
}
