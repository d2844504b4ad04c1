import Foundation
import GGUF
import Tensors
import Testing

/// GGUF bytes put together by hand, independent of the writer, so that they can be wrong in any way.
struct RawGGUF {
    private(set) var bytes: [UInt8] = []

    /// The offset of whatever is appended next.
    var position: Int { bytes.count }

    init(magic: String = "GGUF", version: UInt32 = 3, tensors: Int64 = 0, entries: Int64 = 0) {
        bytes += Array(magic.utf8)
        append(version)
        append(tensors)
        append(entries)
    }

    mutating func append(_ integer: some FixedWidthInteger) {
        withUnsafeBytes(of: integer.littleEndian) { bytes += $0 }
    }

    mutating func append(bytes more: [UInt8]) { bytes += more }

    mutating func append(_ string: String) { append(string: Array(string.utf8)) }

    mutating func append(string: [UInt8]) {
        append(UInt64(string.count))
        bytes += string
    }

    /// A key and its value type; the value is to follow.
    mutating func key(_ name: String, _ type: GGUFValueType) {
        append(name)
        append(type.rawValue)
    }

    mutating func entry(_ name: String, u32 value: UInt32) {
        key(name, .uint32)
        append(value)
    }

    mutating func entry(_ name: String, u16 value: UInt16) {
        key(name, .uint16)
        append(value)
    }

    mutating func entry(_ name: String, i32 value: Int32) {
        key(name, .int32)
        append(value)
    }

    /// The head of an array; its elements are to follow.
    mutating func array(_ name: String, _ type: GGUFValueType, count: UInt64) {
        key(name, .array)
        append(type.rawValue)
        append(count)
    }

    mutating func tensor(
        _ name: String, _ dimensions: [Int64] = [8], type: UInt32 = TensorType.f32.rawValue, offset: UInt64 = 0
    ) {
        append(name)
        append(UInt32(dimensions.count))
        for extent in dimensions { append(extent) }
        append(type)
        append(offset)
    }

    mutating func pad(to alignment: Int = 32) {
        while bytes.count % alignment != 0 { bytes.append(0) }
    }

    mutating func data(_ count: Int) { bytes += (0..<count).map { UInt8(truncatingIfNeeded: $0) } }
}

/// A folder that goes away with the test.
final class TemporaryFolder {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "quipu-gguf-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    var names: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: url.path).sorted() }
    }

    func path(_ name: String) -> String { url.appending(path: name).path }

    func bytes(of name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path(name)))) }

    @discardableResult
    func write(_ bytes: [UInt8], to name: String = "model.gguf") throws -> String {
        try Data(bytes).write(to: URL(filePath: path(name)))
        return path(name)
    }
}

/// Opens a file of these bytes and expects exactly this refusal, and a description that has all its facts.
func expectRefusal(
    _ bytes: [UInt8], at offset: Int, _ problem: GGUFError.Problem, found: String, expected: String,
    location: SourceLocation = #_sourceLocation
) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(bytes)
    try expectRefusal(
        opening: path, GGUFError(file: path, offset: offset, problem), found: found, expected: expected,
        location: location)
}

func expectRefusal(
    opening path: String, _ refusal: GGUFError, found: String, expected: String,
    location: SourceLocation = #_sourceLocation
) throws {
    let thrown = #expect(throws: GGUFError.self, sourceLocation: location) { try GGUFFile(path: path) }
    let error = try #require(thrown, sourceLocation: location)
    #expect(error == refusal, sourceLocation: location)

    let description = error.description
    #expect(description.hasPrefix(refusal.file), sourceLocation: location)
    if let offset = refusal.offset {
        #expect(description.contains(", byte \(offset): "), sourceLocation: location)
    }
    #expect(description.contains("found \(error.found), expected \(error.expected). "), sourceLocation: location)
    #expect(error.found.contains(found), "\(error.found)", sourceLocation: location)
    #expect(error.expected.contains(expected), "\(error.expected)", sourceLocation: location)
    #expect(error.advice.hasSuffix("."), sourceLocation: location)
}
