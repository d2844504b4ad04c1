import Foundation
import TestSupport
import Testing

/// The files of the repository, as the rules see them.
enum SourceTree {
    struct File: Sendable, CustomTestStringConvertible {
        /// From the package's folder on.
        let path: String
        /// The folder under `Sources` that it is in; for `models`, the target.
        let module: String
        let text: String
        var testDescription: String { path }
    }

    /// Every Swift file of the program.
    static let files =
        swiftFiles(in: "Sources") { String($0.prefix { $0 != "/" }) }
        + swiftFiles(in: "models") { _ in "EmbeddedModel" }

    private static func swiftFiles(in folder: String, module: (String) -> String) -> [File] {
        let url = Places.package.appending(path: folder)
        let paths = FileManager.default.enumerator(atPath: url.path)!.compactMap { $0 as? String }
        return paths.filter { $0.hasSuffix(".swift") }.sorted().map { path in
            File(
                path: "\(folder)/\(path)", module: module(path),
                text: try! String(contentsOf: url.appending(path: path), encoding: .utf8))
        }
    }

    /// What git tracks; `nil` outside a checkout.
    static let tracked: [String]? = {
        let git = Process()
        git.executableURL = URL(filePath: "/usr/bin/env")
        git.arguments = ["git", "-C", Places.package.path, "ls-files", "-z"]
        let output = Pipe()
        git.standardOutput = output
        git.standardError = FileHandle.nullDevice
        guard (try? git.run()) != nil else { return nil }
        let data = (try? output.fileHandleForReading.readToEnd()) ?? nil
        git.waitUntilExit()
        guard git.terminationStatus == 0, let data else { return nil }
        return String(decoding: data, as: UTF8.self).split(separator: "\0").map(String.init)
    }()
}

/// Absolute paths of somebody's machine, where a file that others get must not have any.
enum MachinePaths {
    /// Folders in which people and build machines keep their work. Written in pieces, so that this file may hold them.
    private static let roots = ["home", "Users", "root", "work", "builds", "mnt", "private/var"].map { "/" + $0 + "/" }

    /// The paths found in `bytes`, binary or text.
    static func found(in bytes: Data) -> [String] {
        roots.flatMap { root -> [String] in
            var found: [String] = []
            var start = bytes.startIndex
            while let range = bytes.range(of: Data(root.utf8), in: start..<bytes.endIndex) {
                start = range.upperBound
                // `Tests/home/x` and a URL's `example.org/home/` are no absolute paths.
                let isInside = range.lowerBound > bytes.startIndex && isPathCharacter(bytes[range.lowerBound - 1])
                let follows = range.upperBound < bytes.endIndex && isPathCharacter(bytes[range.upperBound])
                if !isInside, follows {
                    found.append(String(decoding: bytes[range.lowerBound...].prefix(40), as: UTF8.self))
                }
            }
            return found
        }
    }

    private static func isPathCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"),
            UInt8(ascii: "~"), UInt8(ascii: "*"), UInt8(ascii: "}"), UInt8(ascii: ")"):
            true
        default: false
        }
    }
}
