import Foundation
import TestSupport

/// One kind of input that comes from strangers, as a function of bytes. `make fuzz` looks for bytes that end the process or
/// break a promise; `FuzzTests` replays what is kept of them in `Tests/Fuzz/Corpus/NAME`.
public struct FuzzTarget: Sendable {
    public let name: String
    /// What the bytes of an input are.
    public let summary: String
    /// Whether errors show the input as it is. The program's door to the terminal (`Terminal.complain`) makes it fit for one.
    private let echoes: Bool
    private let body: @Sendable ([UInt8]) throws -> Void

    init(
        _ name: String, _ summary: String, echoes: Bool = false, _ body: @escaping @Sendable ([UInt8]) throws -> Void
    ) {
        (self.name, self.summary, self.echoes, self.body) = (name, summary, echoes, body)
    }

    public static let all: [FuzzTarget] = [
        .model, .tokenizer, .blocks, .trace, .address, .query, .step, .lesson, .template,
    ]

    /// Reads an input. An error is an answer; what it shows of a file must be fit for a terminal.
    public func run(_ bytes: [UInt8]) {
        do { try body(bytes) } catch {
            guard !echoes else { return }
            let text = "\(error)"
            for scalar in text.unicodeScalars where isRaw(scalar) {
                preconditionFailure(
                    "\(name): a raw U+\(String(scalar.value, radix: 16)) in the error: \(text.debugDescription)")
            }
        }
    }

    private func isRaw(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x0A: false
        case 0..<0x20, 0x7F..<0xA0, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}

/// Files that inputs are written to, in memory where the system has such a folder. One process, one folder.
enum Scratch {
    static let folder: URL = {
        let memory = URL(filePath: "/dev/shm")
        let parent =
            FileManager.default.isWritableFile(atPath: memory.path) ? memory : FileManager.default.temporaryDirectory
        let folder = parent.appending(path: "quipu-fuzz-\(ProcessInfo.processInfo.processIdentifier)")
        try! FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        atexit { try? FileManager.default.removeItem(at: Scratch.folder) }
        return folder
    }()

    static func write(_ bytes: [UInt8], to name: String) throws -> String {
        let url = folder.appending(path: name)
        try Data(bytes).write(to: url)
        return url.path
    }
}

/// Takes an input apart, byte by byte; zeros when nothing is left.
struct Cursor {
    private var bytes: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

    var isEmpty: Bool { bytes.isEmpty }
    mutating func byte() -> Int { Int(bytes.popFirst() ?? 0) }
    mutating func rest() -> [UInt8] { defer { bytes = [] }; return Array(bytes) }
    mutating func take(_ count: Int) -> [UInt8] {
        defer { bytes = bytes.dropFirst(count) }
        return Array(bytes.prefix(count))
    }
    mutating func choose<Element>(_ elements: [Element]) -> Element { elements[byte() % elements.count] }
    mutating func integer() -> Int64 {
        take(8).reduce(0) { $0 << 8 | Int64($1) }
    }
}
