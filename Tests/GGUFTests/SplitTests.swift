import GGUF
import Tensors
import Testing

/// Models in several files, and llama.cpp's rules for them.
@Suite struct SplitTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// One part, put together by hand.
    private struct PartFile {
        var number: UInt16? = 0
        var count: UInt16? = 2
        var tensorCount: Int32? = 2
        var tensors = ["a"]

        /// Offsets of the values of the split keys.
        var numberOffset = 0
        var countOffset = 0
        var tensorCountOffset = 0
        /// Offset of the last tensor's record.
        var recordOffset = 0
        var bytes: [UInt8] = []

        init(
            number: UInt16? = 0, count: UInt16? = 2, tensorCount: Int32? = 2, tensors: [String] = ["a"]
        ) {
            let entries = [number == nil, count == nil, tensorCount == nil].filter { !$0 }.count
            var raw = RawGGUF(tensors: Int64(tensors.count), entries: Int64(entries))
            if let number { raw.entry("split.no", u16: number) }
            numberOffset = raw.position - 2
            if let count { raw.entry("split.count", u16: count) }
            countOffset = raw.position - 2
            if let tensorCount { raw.entry("split.tensors.count", i32: tensorCount) }
            tensorCountOffset = raw.position - 4
            for (index, name) in tensors.enumerated() {
                recordOffset = raw.position
                raw.tensor(name, offset: UInt64(32 * index))
            }
            if !tensors.isEmpty { raw.pad() }
            raw.data(32 * tensors.count)
            bytes = raw.bytes
        }
    }

    private func path(_ number: Int, of count: Int = 2) -> String {
        folder.path("model-0000\(number)-of-0000\(count).gguf")
    }

    private func write(_ part: PartFile, _ number: Int, of count: Int = 2) throws {
        try folder.write(part.bytes, to: "model-0000\(number)-of-0000\(count).gguf")
    }

    @Test func partsTogether() throws {
        try write(PartFile(count: 3, tensorCount: 4, tensors: []), 1, of: 3)
        try write(PartFile(number: 1, tensors: ["a", "b", "c"]), 2, of: 3)
        try write(PartFile(number: 2, count: nil, tensorCount: nil, tensors: ["d"]), 3, of: 3)
        let file = try GGUFFile(path: path(1, of: 3))
        #expect(file.parts.map(\.path) == [path(1, of: 3), path(2, of: 3), path(3, of: 3)])
        #expect(file.tensors.map(\.name) == ["a", "b", "c", "d"])
        #expect(file.tensors.map(\.part) == [1, 1, 1, 2])
        #expect(file.byteCount == file.parts.map(\.byteCount).reduce(0, +))
        #expect(file.parameterCount == 32 && file.dataOffsets.count == 3)
        #expect(file.metadata["split.count"] == .uint16(3))
        let d = try #require(file.tensor(named: "d"))
        #expect(d.fileOffset == file.dataOffsets[2])
        let stored: [UInt8] = file.values(of: d).withBytes { bytes in
            (0..<bytes.byteCount).map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
        }
        #expect(stored == Array(0..<32))
    }

    @Test(arguments: [0, 1] as [UInt16])
    func notReallySplit(count: UInt16) throws {
        let path = try folder.write(PartFile(number: nil, count: count, tensorCount: nil).bytes)
        #expect(try GGUFFile(path: path).parts.count == 1)
    }

    @Test func laterPartOpened() throws {
        let part = PartFile(number: 1)
        try write(part, 2)
        try expectRefusal(
            opening: path(2),
            GGUFError(file: path(2), offset: part.numberOffset, .split(.notFirst(number: 2, first: path(1)))),
            found: "part 2 of a split model", expected: "part 1")
        let error = #expect(throws: GGUFError.self) { try GGUFFile(path: path(2)) }
        #expect(error?.advice.contains("Open \(path(1))") == true)
    }

    @Test func missingPart() throws {
        try write(PartFile(), 1)
        try expectRefusal(
            opening: path(1), GGUFError(file: path(2), .split(.missingPart(number: 2, count: 2))),
            found: "no such file", expected: "part 2 of 2")
    }

    @Test(arguments: ["model.gguf", "model-00001-of-00003.gguf", "model-1-of-2.gguf", "-00001-of-00002.gguf"])
    func firstPartRenamed(name: String) throws {
        let part = PartFile()
        let path = try folder.write(part.bytes, to: name)
        // With nothing before the numbers but the folder, the name is still one that finds the others.
        let problem: GGUFError =
            name.hasPrefix("-")
            ? GGUFError(file: folder.path("-00002-of-00002.gguf"), .split(.missingPart(number: 2, count: 2)))
            : GGUFError(
                file: path, offset: part.countOffset, .split(.fileName(expectedEnding: "-00001-of-00002.gguf")))
        try expectRefusal(
            opening: path, problem, found: name.hasPrefix("-") ? "no such file" : "another ending",
            expected: name.hasPrefix("-") ? "part 2" : "\"-00001-of-00002.gguf\"")
    }

    @Test func wrongNumber() throws {
        let second = PartFile(number: 2, tensors: ["b"])
        try write(PartFile(), 1)
        try write(second, 2)
        try expectRefusal(
            opening: path(1),
            GGUFError(file: path(2), offset: second.numberOffset, .split(.number(found: 2, expected: 1))),
            found: "\"split.no\" of 2", expected: "\"split.no\" 1")
    }

    @Test func keysMissing() throws {
        try write(PartFile(number: nil), 1)
        try expectRefusal(
            opening: path(1),
            GGUFError(file: path(1), .split(.key("split.no", found: nil, expected: .uint16))),
            found: "no \"split.no\"", expected: "type u16")

        try write(PartFile(), 1)
        try write(PartFile(number: nil, tensors: ["b"]), 2)
        try expectRefusal(
            opening: path(1),
            GGUFError(file: path(2), .split(.key("split.no", found: nil, expected: .uint16))),
            found: "no \"split.no\"", expected: "type u16")

        try write(PartFile(tensorCount: nil), 1)
        try write(PartFile(number: 1, tensors: ["b"]), 2)
        try expectRefusal(
            opening: path(1),
            GGUFError(file: path(1), .split(.key("split.tensors.count", found: nil, expected: .int32))),
            found: "no \"split.tensors.count\"", expected: "type i32")
    }

    @Test func keyOfAnotherType() throws {
        var raw = RawGGUF(entries: 1)
        raw.entry("split.count", u32: 2)
        let path = try folder.write(raw.bytes)
        try expectRefusal(
            opening: path,
            GGUFError(
                file: path, offset: raw.position - 4,
                .split(.key("split.count", found: .uint32, expected: .uint16))),
            found: "type u32 for \"split.count\"", expected: "type u16")
    }

    @Test func tensorInTwoParts() throws {
        let second = PartFile(number: 1, tensors: ["b", "a"])
        try write(PartFile(tensorCount: 3), 1)
        try write(second, 2)
        try expectRefusal(
            opening: path(1),
            GGUFError(
                file: path(2), offset: second.recordOffset, .tensor(.duplicateName("a", file: path(1)))),
            found: "the tensor \"a\", which \(path(1)) already has", expected: "each tensor once")
    }

    @Test(arguments: [1, 3, -1] as [Int32])
    func wrongTensorCount(count: Int32) throws {
        let first = PartFile(tensorCount: count)
        try write(first, 1)
        try write(PartFile(number: 1, tensors: ["b"]), 2)
        try expectRefusal(
            opening: path(1),
            GGUFError(
                file: path(1), offset: first.tensorCountOffset,
                .split(.tensorCount(found: 2, expected: Int(count)))),
            found: "2 tensors in all parts", expected: "\(count), by \"split.tensors.count\"")
    }

    /// A fault in a later part is reported for that part.
    @Test func laterPartBroken() throws {
        try write(PartFile(), 1)
        try folder.write(RawGGUF(version: 1).bytes, to: "model-00002-of-00002.gguf")
        try expectRefusal(
            opening: path(1), GGUFError(file: path(2), offset: 4, .header(.version(1))), found: "version 1",
            expected: "version 2 or 3")
    }
}
