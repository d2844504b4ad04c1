import GGUF
import Tensors
import Testing

/// Magic, version and counts; and files that end too early.
@Suite struct HeaderTests {
    @Test(arguments: [2, 3] as [UInt32])
    func currentVersionsWithNothingInThem(version: UInt32) throws {
        let folder = try TemporaryFolder()
        let file = try GGUFFile(path: folder.write(RawGGUF(version: version).bytes))
        #expect(file.version == version)
        #expect(file.alignment == 32)
        #expect(file.metadata.entries.isEmpty && file.tensors.isEmpty)
        #expect(file.byteCount == 24 && file.parameterCount == 0 && file.dataOffsets == [24])
    }

    @Test(arguments: [0, 1, 4, 65_535, 65_537] as [UInt32])
    func otherVersions(version: UInt32) throws {
        try expectRefusal(
            RawGGUF(version: version).bytes, at: 4, .header(.version(version)), found: "GGUF version \(version)",
            expected: "version 2 or 3")
    }

    @Test(arguments: [2, 3] as [UInt32])
    func otherByteOrder(version: UInt32) throws {
        try expectRefusal(
            RawGGUF(version: version.byteSwapped).bytes, at: 4,
            .header(.otherEndianness(version: version.byteSwapped)),
            found: "version \(version.byteSwapped), which is \(version) with its bytes swapped",
            expected: "little-endian")
    }

    @Test(arguments: [1, 1 << 40, .max, -1, .min] as [Int64])
    func tensorCount(count: Int64) throws {
        try expectRefusal(
            RawGGUF(tensors: count).bytes, at: 8, .header(.count(.tensorCount, found: count, limit: 0)),
            found: "\(count) as the number of tensors", expected: "0 to 0")
    }

    @Test(arguments: [1, 1 << 40, .max, -1, .min] as [Int64])
    func entryCount(count: Int64) throws {
        try expectRefusal(
            RawGGUF(entries: count).bytes, at: 16, .header(.count(.entryCount, found: count, limit: 0)),
            found: "\(count) as the number of metadata entries", expected: "0 to 0")
    }

    /// A count that the rest of the file could hold, but does not.
    @Test func oneEntryTooFew() throws {
        var raw = RawGGUF(entries: 2)
        raw.entry("a key with a rather long name", u32: 1)
        let start = raw.position
        raw.append(bytes: [1, 0, 0])
        try expectRefusal(
            raw.bytes, at: start, .header(.truncated(.key(1), needed: 8, left: 3)),
            found: "the end of the file after 3 bytes for the key of metadata entry 1", expected: "8 bytes")
    }

    /// Every length up to the last byte of data: each must be refused, for being cut short and nothing else.
    @Test func truncatedAtEveryByte() throws {
        let (raw, end) = everything()
        let folder = try TemporaryFolder()
        for length in 1..<end {
            let path = try folder.write(Array(raw.bytes.prefix(length)))
            let error = try #require(throws: GGUFError.self, "\(length) bytes") { try GGUFFile(path: path) }
            let offset = try #require(error.offset)
            #expect(offset <= length, "\(length) bytes: \(error)")
            switch error.problem {
            case .header(.truncated(_, let needed, let left)):
                #expect(left == length - offset && left < needed, "\(length) bytes: \(error)")
            case .header(.count(_, let found, let limit)):
                #expect(found > limit, "\(length) bytes: \(error)")
            case .tensor(.dataTruncated(_, let dataEnd, length)):
                #expect(offset == length && dataEnd <= end, "\(length) bytes: \(error)")
            default:
                Issue.record("\(length) bytes: \(error)")
            }
            #expect(error.description.hasPrefix("\(path), byte \(offset): found \(error.found), expected "))
        }
        // The padding after the last tensor may be missing, as for llama.cpp's loader.
        let complete = try GGUFFile(path: folder.write(Array(raw.bytes.prefix(end))))
        #expect(complete.tensors.map(\.name) == ["a", "b"] && complete.metadata.entries.count == 15)
        _ = try GGUFFile(path: folder.write(raw.bytes))
    }

    /// A file with every kind of field, and where its last tensor ends.
    private func everything() -> (raw: RawGGUF, end: Int) {
        var raw = RawGGUF(tensors: 2, entries: 15)
        for type in GGUFValueType.allCases {
            guard let size = type.byteCount else { continue }
            raw.key("a \(type.name)", type)
            raw.append(bytes: [UInt8](repeating: 1, count: size))
        }
        raw.key("a string", .string)
        raw.append("grüße")
        raw.array("an empty array", .float32, count: 0)
        raw.array("strings", .string, count: 2)
        raw.append("")
        raw.append("two")
        raw.array("numbers", .uint16, count: 3)
        raw.append(bytes: [1, 0, 2, 0, 3, 0])
        raw.tensor("a", [4, 2])
        raw.tensor("b", [32, 1, 1, 3], type: TensorType.q8_0.rawValue, offset: 32)
        raw.pad()
        raw.data(32 + 3 * 34)
        let end = raw.position
        raw.pad()
        return (raw, end)
    }
}
