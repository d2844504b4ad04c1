import Foundation
import GGUF
import Tensors
import Testing

/// What is written can be read, and what cannot be read is not written.
@Suite struct WriterTests {
    private let folder: TemporaryFolder
    private var path: String { folder.path("model.gguf") }

    init() throws { folder = try TemporaryFolder() }

    /// Every value type, alone and in an array, with its extreme values.
    private static let values: [(String, GGUFValue)] = {
        let scalars: [[GGUFValue]] = [
            [.uint8(.max), .uint8(0)], [.int8(.min), .int8(.max)], [.uint16(.max)], [.int16(.min)], [.uint32(.max)],
            [.int32(.min)], [.float32(-0.1), .float32(.infinity), .float32(.leastNonzeroMagnitude)],
            [.bool(true), .bool(false)], [.string("grüße 👋"), .string(""), .string("a\0b")], [.uint64(.max)],
            [.int64(.min)], [.float64(.pi), .float64(-.infinity)],
        ]
        var values: [(String, GGUFValue)] = []
        for group in scalars {
            let type = group[0].type
            values += group.enumerated().map { ("\(type.name).\($0)", $1) }
            values.append(("\(type.name).array", .array(GGUFArray(type, group))))
            values.append(("\(type.name).empty", .array(GGUFArray(type, []))))
        }
        return values
    }()

    private static let metadata = Metadata(values.map { .init(key: $0.0, value: $0.1) })

    /// A tensor of each type whose bytes tell where they should be.
    private static func tensors() -> [(name: String, tensor: Tensor)] {
        TensorType.allCases.enumerated().map { index, type in
            let tensor = Tensor.zeros(type, Shape(type.blockElements * 3, index % 3 + 1, 1, index % 2 + 1))
            tensor.withMutableElements(of: UInt8.self) { out in
                for byte in 0..<out.count { out[byte] = UInt8(truncatingIfNeeded: byte &* 7 &+ index) }
            }
            return ("\(type.name).weight", tensor)
        }
    }

    private static func bytes(_ tensor: Tensor) -> [UInt8] {
        tensor.withBytes { bytes in
            (0..<bytes.byteCount).map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
        }
    }

    @Test func everyValueTypeIsTried() {
        #expect(Set(Self.values.map(\.1.type)) == Set(GGUFValueType.allCases))
    }

    @Test(arguments: [2, 3])
    func valuesComeBack(version: Int) throws {
        try GGUFWriter(metadata: Self.metadata, tensors: [], version: version).write(to: path)
        let file = try GGUFFile(path: path)
        #expect(file.version == version)
        #expect(file.metadata.entries == Self.metadata.entries)
        // And once more from what was read, whose arrays are still bytes.
        try GGUFWriter(metadata: file.metadata, tensors: [], version: version).write(to: folder.path("again.gguf"))
        #expect(try folder.bytes(of: "again.gguf") == folder.bytes(of: "model.gguf"))
    }

    /// NaN is not equal to itself; its bits are.
    @Test func bitsOfNaNComeBack() throws {
        let float = Float(bitPattern: 0x7fc1_2345)
        let double = Double(bitPattern: 0xfff8_0000_dead_beef)
        let metadata = Metadata([
            .init(key: "f", value: .float32(float)), .init(key: "d", value: .float64(double)),
        ])
        try GGUFWriter(metadata: metadata, tensors: []).write(to: path)
        let read = try GGUFFile(path: path).metadata
        guard case .float32(let readFloat)? = read["f"], case .float64(let readDouble)? = read["d"] else {
            Issue.record("\(read.entries)")
            return
        }
        #expect(readFloat.bitPattern == float.bitPattern && readDouble.bitPattern == double.bitPattern)
    }

    @Test(arguments: [nil, 1, 2, 4, 8, 16, 32, 64, 4096] as [UInt32?])
    func tensorsOfEveryTypeComeBack(alignment: UInt32?) throws {
        let alignmentEntry = alignment.map { Metadata.Entry(key: "general.alignment", value: .uint32($0)) }
        // An odd number of bytes in the header, so that small alignments put tensors at odd offsets.
        let metadata = Metadata([.init(key: "x", value: .string("y"))] + (alignmentEntry.map { [$0] } ?? []))
        let tensors = Self.tensors()
        let writer = GGUFWriter(metadata: metadata, tensors: tensors.map { .init(name: $0.name, $0.tensor) })
        try writer.write(to: path)

        let file = try GGUFFile(path: path)
        #expect(file.alignment == Int(alignment ?? 32))
        #expect(file.tensors.count == TensorType.allCases.count)
        #expect(file.dataOffsets[0] % file.alignment == 0)
        for (name, tensor) in tensors {
            let info = try #require(file.tensor(named: name))
            #expect(info.type == tensor.type && info.shape == tensor.shape)
            #expect(info.byteCount == tensor.layout.byteCount && info.offset % file.alignment == 0)
            #expect(info.fileOffset == file.dataOffsets[0] + info.offset && info.part == 0)
            #expect(info.bitsPerWeight == tensor.type.bitsPerWeight)
            #expect(Self.bytes(file.values(of: info)) == Self.bytes(tensor), "\(name)")
        }
        #expect(file.parameterCount == tensors.map(\.tensor.shape.count).reduce(0, +))
        #expect(try folder.names == ["model.gguf"])
    }

    /// Values are in the file's own memory, except where they would not be aligned for their type.
    @Test(arguments: [1, 2, 4, 32] as [UInt32])
    func misalignedFloatsAreReadable(alignment: UInt32) throws {
        let floats: [Float] = [1, -2, 3.5, 4, 5]
        let metadata = Metadata([
            .init(key: "general.alignment", value: .uint32(alignment)), .init(key: "pad", value: .uint8(0)),
        ])
        let entries = [
            GGUFWriter.TensorEntry(name: "odd", Tensor.zeros(.i8, Shape(3))),
            GGUFWriter.TensorEntry(name: "floats", .floats(floats, Shape(5))),
        ]
        try GGUFWriter(metadata: metadata, tensors: entries).write(to: path)
        let file = try GGUFFile(path: path)
        let info = try #require(file.tensor(named: "floats"))
        let values = file.values(of: info)
        #expect(values.floats() == floats)
        #expect((values.source === file.parts[0]) == (info.fileOffset % 4 == 0))
        #expect(alignment < 4 ? info.fileOffset % 4 != 0 : values.source === file.parts[0])
    }

    @Test func dimensionCounts() throws {
        let one = Tensor.floats([1], Shape(1))
        let row = Tensor.floats([1, 2, 3], Shape(3))
        let entries: [GGUFWriter.TensorEntry] = [
            .init(name: "scalar", one, dimensionCount: 0), .init(name: "one", one),
            .init(name: "row of four dimensions", row, dimensionCount: 4), .init(name: "row", row),
        ]
        try GGUFWriter(metadata: Metadata([]), tensors: entries).write(to: path)
        #expect(try GGUFFile(path: path).tensors.map(\.dimensionCount) == [0, 1, 4, 1])
    }

    @Test func existingFileIsKept() throws {
        try folder.write([1, 2, 3])
        let writer = GGUFWriter(metadata: Metadata([]), tensors: [])
        let error = #expect(throws: GGUFError.self) { try writer.write(to: path) }
        #expect(error == GGUFError(file: path, .file(.exists)))
        #expect(try folder.bytes(of: "model.gguf") == [1, 2, 3] && folder.names == ["model.gguf"])
        try writer.write(to: path, overwrite: true)
        #expect(try GGUFFile(path: path).byteCount == 24)
    }

    /// The old file stays mapped until its last tensor is gone.
    @Test func aFileCanBeWrittenOverItself() throws {
        let tensors = Self.tensors()
        try GGUFWriter(metadata: Self.metadata, tensors: tensors.map { .init(name: $0.name, $0.tensor) })
            .write(to: path)
        let before = try folder.bytes(of: "model.gguf")
        let file = try GGUFFile(path: path)
        try GGUFWriter(metadata: file.metadata, tensors: file.tensors.map { .init($0, of: file) })
            .write(to: path, overwrite: true)
        #expect(try folder.bytes(of: "model.gguf") == before && folder.names == ["model.gguf"])
        #expect(Self.bytes(file.values(of: file.tensors[5])) == Self.bytes(tensors[5].tensor))
    }

    private struct Interruption: Error {}

    @Test func nothingIsLeftBehindByAFailure() throws {
        let entries: [GGUFWriter.TensorEntry] = [
            .init(name: "good", .floats([1], Shape(1))),
            .init(name: "bad", type: .f32, shape: Shape(1)) { throw Interruption() },
        ]
        let writer = GGUFWriter(metadata: Metadata([]), tensors: entries)
        #expect(throws: Interruption.self) { try writer.write(to: path) }
        #expect(throws: Interruption.self) { try writer.write(splitAt: .tensors(1), toPrefix: folder.path("m")) }
        #expect(try folder.names.isEmpty)
    }

    @Test func otherValuesThanAnnounced() throws {
        let entry = GGUFWriter.TensorEntry(name: "w", type: .f32, shape: Shape(4)) { .zeros(.f32, Shape(5)) }
        let error = #expect(throws: GGUFError.self) {
            try GGUFWriter(metadata: Metadata([]), tensors: [entry]).write(to: path)
        }
        let problem = GGUFError.TensorProblem.values(
            tensor: "w", found: Layout(.f32, Shape(5)), expected: Layout(.f32, Shape(4)))
        #expect(error == GGUFError(file: path, .tensor(problem)))
        #expect(error?.description.contains("found values F32 5 for tensor \"w\", expected contiguous F32 4") == true)
        #expect(try folder.names.isEmpty)
    }

    /// The writer refuses with the reader's own words what the reader would refuse.
    @Test func unreadableFilesAreNotWritten() throws {
        let tensor = Tensor.floats([1], Shape(1))
        let unreadable: [(GGUFWriter, GGUFError.Problem)] = [
            (GGUFWriter(metadata: Metadata([]), tensors: [], version: 4), .header(.version(4))),
            (
                GGUFWriter(metadata: Metadata([.init(key: "", value: .uint32(1))]), tensors: []),
                .metadata(.emptyKey(index: 0))
            ),
            (
                GGUFWriter(
                    metadata: Metadata([.init(key: "general.alignment", value: .uint32(24))]), tensors: []),
                .metadata(.alignment(24))
            ),
            (
                GGUFWriter(
                    metadata: Metadata([]), tensors: [.init(name: "w", tensor), .init(name: "w", tensor)]),
                .tensor(.duplicateName("w", file: path))
            ),
            (
                GGUFWriter(
                    metadata: Metadata([]), tensors: [.init(name: String(repeating: "n", count: 64), tensor)]),
                .tensor(.nameTooLong(index: 0, byteCount: 64))
            ),
        ]
        for (writer, problem) in unreadable {
            let error = #expect(throws: GGUFError.self) { try writer.write(to: path) }
            #expect(error?.problem == problem && error?.file == path)
            #expect(try folder.names.isEmpty)
        }
        let twice = GGUFWriter(metadata: Metadata([]), tensors: [.init(name: "w", tensor), .init(name: "w", tensor)])
        #expect(throws: GGUFError.self) { try twice.write(splitAt: .tensors(1), toPrefix: folder.path("m")) }
        #expect(try folder.names.isEmpty)
    }

    @Test func folderThatDoesNotExist() throws {
        let path = folder.path("nowhere/model.gguf")
        let error = #expect(throws: GGUFError.self) {
            try GGUFWriter(metadata: Metadata([]), tensors: []).write(to: path)
        }
        #expect(error == GGUFError(file: path, .file(.system(call: "open", code: ENOENT))))
        #expect(error?.description.contains("errno \(ENOENT)") == true)
    }

    @Test func directoryIsNotOverwritten() throws {
        let error = #expect(throws: GGUFError.self) {
            try GGUFWriter(metadata: Metadata([]), tensors: []).write(to: folder.url.path, overwrite: true)
        }
        #expect(error == GGUFError(file: folder.url.path, .file(.directory)))
    }

    @Test(
        arguments: [
            (.tensors(1), TensorType.allCases.count), (.tensors(10), 4), (.tensors(1000), 1), (.bytes(1), 35),
            (.bytes(.max), 1),
        ] as [(GGUFWriter.SplitLimit, Int)])
    func splitModelsComeBack(limit: GGUFWriter.SplitLimit, partCount: Int) throws {
        let tensors = Self.tensors()
        let alignment = Metadata.Entry(key: "general.alignment", value: .uint32(64))
        let writer = GGUFWriter(
            metadata: Metadata(Self.metadata.entries + [alignment]),
            tensors: tensors.map { .init(name: $0.name, $0.tensor) })
        let paths = try writer.write(splitAt: limit, toPrefix: folder.path("m"))
        #expect(paths.count == partCount)
        #expect(try folder.names.map(folder.path) == paths)

        let file = try GGUFFile(path: paths[0])
        #expect(file.parts.map(\.path) == paths)
        #expect(file.metadata.entries.starts(with: Self.metadata.entries))
        #expect(file.metadata["split.count"] == .uint16(UInt16(partCount)))
        #expect(file.tensors.map(\.name) == tensors.map(\.name))
        for (info, (_, tensor)) in zip(file.tensors, tensors) {
            #expect(Self.bytes(file.values(of: info)) == Self.bytes(tensor) && info.fileOffset % 64 == 0)
        }
        // Joined again, but for the bookkeeping: the file that was never split.
        try writer.write(to: folder.path("whole.gguf"))
        let joined = GGUFWriter(
            metadata: Metadata(file.metadata.entries.filter { !$0.key.hasPrefix("split.") }),
            tensors: file.tensors.map { .init($0, of: file) })
        try joined.write(to: folder.path("joined.gguf"))
        #expect(try folder.bytes(of: "joined.gguf") == folder.bytes(of: "whole.gguf"))
    }
}
