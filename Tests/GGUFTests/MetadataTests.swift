import GGUF
import Testing

/// The rules of the key-value pairs.
@Suite struct MetadataTests {
    @Test func emptyKey() throws {
        var raw = RawGGUF(entries: 1)
        let start = raw.position
        raw.entry("", u32: 1)
        try expectRefusal(
            raw.bytes + [0], at: start, .metadata(.emptyKey(index: 0)), found: "an empty key for metadata entry 0",
            expected: "a name")
    }

    @Test func duplicateKey() throws {
        var raw = RawGGUF(entries: 2)
        raw.entry("some.key", u32: 1)
        let start = raw.position
        raw.entry("some.key", u32: 1)
        try expectRefusal(
            raw.bytes, at: start, .metadata(.duplicateKey("some.key")), found: "\"some.key\" a second time",
            expected: "each key once")
    }

    @Test(arguments: [13, 255, .max, -1, .min] as [Int32])
    func unknownType(id: Int32) throws {
        var raw = RawGGUF(entries: 1)
        raw.append("some.key")
        let start = raw.position
        raw.append(id)
        raw.append(UInt64(0))
        try expectRefusal(
            raw.bytes, at: start, .metadata(.unknownType(key: "some.key", id: id)), found: "value type \(id)",
            expected: "0 to 12")
    }

    @Test func unknownElementType() throws {
        var raw = RawGGUF(entries: 1)
        raw.key("some.key", .array)
        let start = raw.position
        raw.append(UInt32(77))
        raw.append(UInt64(0))
        try expectRefusal(
            raw.bytes, at: start, .metadata(.unknownType(key: "some.key", id: 77)), found: "value type 77",
            expected: "0 to 12")
    }

    @Test func nestedArray() throws {
        var raw = RawGGUF(entries: 1)
        raw.key("some.key", .array)
        let start = raw.position
        raw.append(GGUFValueType.array.rawValue)
        raw.append(UInt64(0))
        try expectRefusal(
            raw.bytes, at: start, .metadata(.nestedArray(key: "some.key")), found: "an array of arrays",
            expected: "numbers, booleans or strings")
    }

    @Test(arguments: [(1 << 30) + 1, 1 << 62, .max] as [UInt64])
    func hugeArray(count: UInt64) throws {
        var raw = RawGGUF(entries: 1)
        raw.array("some.key", .uint8, count: count)
        try expectRefusal(
            raw.bytes, at: raw.position - 8, .header(.arrayTooLong(key: "some.key", found: count)),
            found: "an array of \(count) elements", expected: "at most 1073741824")
    }

    @Test(arguments: [(.uint8, 1), (.float64, 8), (.string, 8)] as [(GGUFValueType, Int)])
    func arrayLongerThanTheFile(type: GGUFValueType, size: Int) throws {
        var raw = RawGGUF(entries: 1)
        raw.array("some.key", type, count: 1 << 30)
        try expectRefusal(
            raw.bytes, at: raw.position,
            .header(.truncated(.value(key: "some.key"), needed: size << 30, left: 0)),
            found: "after 0 bytes for the value of \"some.key\"", expected: "\(size << 30) bytes")
    }

    @Test(arguments: [(1 << 30) + 1, 1 << 63, .max] as [UInt64])
    func hugeString(length: UInt64) throws {
        var raw = RawGGUF(entries: 1)
        raw.key("some.key", .string)
        let start = raw.position
        raw.append(length)
        try expectRefusal(
            raw.bytes, at: start, .header(.stringTooLong(.value(key: "some.key"), found: length)),
            found: "a string of \(length) bytes", expected: "at most 1073741824")
    }

    @Test func keyLongerThanTheFile() throws {
        var raw = RawGGUF(entries: 1)
        raw.append(UInt64(100))
        raw.append(bytes: Array("short key".utf8))
        try expectRefusal(
            raw.bytes, at: raw.position - 9, .header(.truncated(.key(0), needed: 100, left: 9)),
            found: "after 9 bytes for the key of metadata entry 0", expected: "100 bytes")
    }

    @Test(arguments: [0, 3, 33, .max] as [UInt32])
    func alignmentNoPowerOfTwo(alignment: UInt32) throws {
        var raw = RawGGUF(entries: 1)
        raw.entry("general.alignment", u32: alignment)
        try expectRefusal(
            raw.bytes, at: raw.position - 4, .metadata(.alignment(alignment)),
            found: "\(alignment) for \"general.alignment\"", expected: "a power of two")
    }

    @Test func alignmentOfAnotherType() throws {
        var raw = RawGGUF(entries: 1)
        raw.entry("general.alignment", i32: 32)
        try expectRefusal(
            raw.bytes, at: raw.position - 4, .metadata(.alignmentType(.int32)),
            found: "type i32 for \"general.alignment\"", expected: "type u32")
    }

    /// A key is shown without what it might do to a terminal, and not in full if it is endless.
    @Test(arguments: [("\u{1b}", "\\u{1B}"), ("\u{202e}", "\\u{202E}"), ("\u{2028}", "\\u{2028}")])
    func keysAreShownSafely(control: String, shown: String) throws {
        var raw = RawGGUF(entries: 1)
        raw.append(control + "[2J" + String(repeating: "é", count: 500))
        raw.append(Int32(99))
        raw.append(UInt64(0))
        let folder = try TemporaryFolder()
        let path = try folder.write(raw.bytes)
        let error = try #require(throws: GGUFError.self) { try GGUFFile(path: path) }
        #expect(error.found == "value type 99 for \"\(shown)[2J" + String(repeating: "é", count: 76) + "…\"")
    }

    /// Any byte but 0 is true, as in C; types are told apart though their numbers are equal.
    @Test func values() throws {
        var raw = RawGGUF(entries: 4)
        raw.key("yes", .bool)
        raw.append(UInt8(2))
        raw.key("no", .bool)
        raw.append(UInt8(0))
        raw.array("flags", .bool, count: 3)
        raw.append(bytes: [0, 255, 1])
        raw.array("words", .string, count: 4)
        for word in ["", "a", "日本語", "e\u{301}"] { raw.append(word) }
        let folder = try TemporaryFolder()
        let metadata = try GGUFFile(path: folder.write(raw.bytes)).metadata

        #expect(metadata["yes"] == .bool(true) && metadata["no"]?.bool == false)
        #expect(metadata["flags"]?.array?.values == [.bool(false), .bool(true), .bool(true)])
        #expect(metadata["flags"]?.array?.integers == nil && metadata["flags"]?.array?.numbers == nil)
        let words = try #require(metadata["words"]?.array)
        #expect(words.count == 4 && words.elementType == .string && words.integers == nil)
        #expect(words.strings?.map { Array($0.utf8).count } == [0, 1, 9, 3])
        #expect(words.prefix(2) == [.string(""), .string("a")])
        #expect(words.prefix(9).count == 4)
        #expect(words == GGUFArray(.string, ["", "a", "日本語", "e\u{301}"].map { .string($0) }))
        #expect(metadata["absent"] == nil)
    }
}
