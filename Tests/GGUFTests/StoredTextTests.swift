import Foundation
import GGUF
import Tensors
import Testing

/// Bytes that are not UTF-8 are kept, shown escaped, and written again as they were.
@Suite struct StoredTextTests {
    /// An invalid byte, a surrogate, an overlong form, a value past the last scalar, an unfinished sequence, and scalars
    /// that stand for bytes themselves.
    static let texts: [(bytes: [UInt8], shown: String)] = [
        ([0x61, 0xff, 0x62], #"a\xFFb"#), ([0xed, 0xa0, 0x80], #"\xED\xA0\x80"#), ([0xc0, 0x80], #"\xC0\x80"#),
        ([0xf4, 0x90, 0x80, 0x80], #"\xF4\x90\x80\x80"#), ([0x61, 0x62, 0xe2, 0x82], #"ab\xE2\x82"#),
        ([0xf4, 0x8f, 0xbf, 0xbf, 0x61, 0xff], #"\xF4\x8F\xBF\xBFa\xFF"#),
        ([0xf4, 0x8f, 0xbe, 0x80], #"\xF4\x8F\xBE\x80"#), (Array("\u{10FF7F}é".utf8), "\u{10FF7F}é"),
        ([0x80], #"\x80"#),
        ([], ""), (Array("日本語 e\u{301}".utf8), "日本語 e\u{301}"),
    ]

    @Test(arguments: texts)
    func bytesComeBack(bytes: [UInt8], shown: String) {
        let text = String(storedBytes: bytes)
        #expect(text.storedBytes == bytes)
        #expect(text.showingBytes() == shown)
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func randomBytesComeBack(seed: UInt64) {
        var state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
        let bytes = (0..<Int(seed % 17)).map { index -> UInt8 in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            // Mostly lead and continuation bytes near the end of Unicode, where sequences begin and break.
            let near: [UInt8] = [0xf4, 0x8f, 0xbe, 0xbf, 0x80, 0xff, 0x61, 0xc3]
            return index % 5 == 4 ? UInt8(truncatingIfNeeded: state >> 40) : near[Int(state >> 33) % near.count]
        }
        let text = String(storedBytes: bytes)
        #expect(text.storedBytes == bytes)
        #expect(String(storedBytes: text.storedBytes) == text)
    }

    /// Key, value, element and tensor name each have a byte that is not UTF-8; a copy is the same file.
    @Test func aFileKeepsItsBytes() throws {
        var raw = RawGGUF(tensors: 1, entries: 2)
        raw.append(string: [0x6b, 0xff])
        raw.append(GGUFValueType.string.rawValue)
        raw.append(string: [0xc3, 0x28])
        raw.array("words", .string, count: 2)
        raw.append(string: [0xfe])
        raw.append("valid")
        raw.append(string: Array("blk.0.x".utf8) + [0x80])
        raw.append(UInt32(1))
        raw.append(Int64(8))
        raw.append(TensorType.f32.rawValue)
        raw.append(UInt64(0))
        raw.pad()
        raw.data(32)
        let folder = try TemporaryFolder()
        let file = try GGUFFile(path: folder.write(raw.bytes))
        #expect(file.metadata.entries[0].key.showingBytes() == #"k\xFF"#)
        #expect(file.metadata.entries[0].value.string?.showingBytes() == #"\xC3("#)
        #expect(file.metadata["words"]?.array?.strings?.map { $0.showingBytes() } == [#"\xFE"#, "valid"])
        #expect(file.tensors[0].name.showingBytes() == #"blk.0.x\x80"#)

        let copy = folder.path("copy.gguf")
        let words = try #require(file.metadata["words"]?.array?.values)
        // Of values, so that the array is encoded again.
        let metadata = Metadata([
            file.metadata.entries[0], .init(key: "words", value: .array(GGUFArray(.string, words))),
        ])
        try GGUFWriter(metadata: metadata, tensors: file.tensors.map { .init($0, of: file) }).write(to: copy)
        #expect(try Data(contentsOf: URL(filePath: copy)) == Data(raw.bytes))
    }

    /// The limit counts bytes of the file.
    @Test func aLongNameOfBytesIsAccepted() throws {
        for (count, opens) in [(63, true), (64, false)] {
            var raw = RawGGUF(tensors: 1)
            raw.append(string: [UInt8](repeating: 0xff, count: count))
            raw.append(UInt32(1))
            raw.append(Int64(8))
            raw.append(TensorType.f32.rawValue)
            raw.append(UInt64(0))
            raw.pad()
            raw.data(32)
            let folder = try TemporaryFolder()
            let path = try folder.write(raw.bytes)
            #expect(((try? GGUFFile(path: path)) != nil) == opens, "\(count) bytes")
        }
    }
}
