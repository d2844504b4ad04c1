import GGUF
import Tensors
import Testing

/// The rules of the tensor records and of where their data lies.
@Suite struct TensorTests {
    /// One tensor record, and data enough for any of the tests.
    private func file(
        _ name: String = "weight", _ dimensions: [Int64] = [8], type: UInt32 = 0, offset: UInt64 = 0
    ) -> [UInt8] {
        var raw = RawGGUF(tensors: 1)
        raw.tensor(name, dimensions, type: type, offset: offset)
        raw.pad()
        raw.data(256)
        return raw.bytes
    }

    /// Where the fields of that record are: after the header of 24 bytes and the name.
    private let shapeOffset = 24 + 8 + 6

    @Test(arguments: [64, 65, 200])
    func longName(length: Int) throws {
        try expectRefusal(
            file(String(repeating: "n", count: length)), at: 24,
            .tensor(.nameTooLong(index: 0, byteCount: UInt64(length))), found: "a name of \(length) bytes",
            expected: "at most 63")
    }

    @Test(arguments: [0, 1, 63])
    func namesThatFit(length: Int) throws {
        let folder = try TemporaryFolder()
        let name = String(repeating: "n", count: length)
        let opened = try GGUFFile(path: folder.write(file(name)))
        #expect(opened.tensor(named: name)?.byteCount == 32)
    }

    @Test func duplicateName() throws {
        var raw = RawGGUF(tensors: 2)
        raw.tensor("weight")
        let start = raw.position
        raw.tensor("weight", offset: 32)
        raw.pad()
        raw.data(64)
        let folder = try TemporaryFolder()
        let path = try folder.write(raw.bytes)
        try expectRefusal(
            opening: path,
            GGUFError(file: path, offset: start, .tensor(.duplicateName("weight", file: path))),
            found: "the tensor \"weight\", which \(path) already has", expected: "each tensor once")
    }

    @Test(arguments: [5, .max] as [UInt32])
    func dimensionCount(count: UInt32) throws {
        var raw = RawGGUF(tensors: 1)
        raw.append("weight")
        raw.append(count)
        raw.append(bytes: [UInt8](repeating: 1, count: 100))
        try expectRefusal(
            raw.bytes, at: shapeOffset, .tensor(.dimensionCount(tensor: "weight", found: count)),
            found: "\(count) dimensions for tensor \"weight\"", expected: "at most 4")
    }

    @Test(arguments: [0, 1, 2, 3], [-1, .min] as [Int64])
    func negativeDimension(dimension: Int, extent: Int64) throws {
        var dimensions: [Int64] = [1, 1, 1, 1]
        dimensions[dimension] = extent
        try expectRefusal(
            file("weight", dimensions), at: shapeOffset + 4 + 8 * dimension,
            .tensor(.dimension(tensor: "weight", dimension: dimension, found: extent)),
            found: "\(extent) as ne\(dimension)", expected: "0 or more")
    }

    @Test(arguments: [[.max, 2], [1 << 32, 1 << 32], [1, 1 << 31, 1 << 31, 4], [0, .max, .max]] as [[Int64]])
    func tooManyElements(dimensions: [Int64]) throws {
        let shape = dimensions.map(Int.init)
        try expectRefusal(
            file("weight", dimensions), at: shapeOffset,
            .tensor(.tooManyElements(tensor: "weight", dimensions: shape)),
            found: shape.map(String.init).joined(separator: "x"), expected: "at most \(Int.max) elements")
    }

    @Test(arguments: [[.max], [1 << 62], [1 << 30, 1 << 31]] as [[Int64]])
    func tooManyBytes(dimensions: [Int64]) throws {
        let shape = Shape(dimensions.map(Int.init)).dimensions
        try expectRefusal(
            file("weight", dimensions), at: shapeOffset,
            .tensor(.tooManyBytes(tensor: "weight", type: .f32, dimensions: shape)), found: "type F32",
            expected: "at most \(Int.max) bytes")
    }

    /// The size itself fits, but not its padding; then, but not the sum with the tensor before.
    @Test func sizesThatOverflowTogether() throws {
        let extent = Int64.max
        try expectRefusal(
            file("weight", [extent], type: TensorType.i8.rawValue), at: shapeOffset,
            .tensor(.tooManyBytes(tensor: "weight", type: .i8, dimensions: [Int(extent), 1, 1, 1])),
            found: "\(extent)x1x1x1", expected: "data sections of at most")

        var raw = RawGGUF(tensors: 2)
        raw.tensor("first", [1 << 62], type: TensorType.i8.rawValue)
        let start = raw.position
        raw.tensor("second", [1 << 62], type: TensorType.i8.rawValue, offset: 1 << 62)
        raw.pad()
        try expectRefusal(
            raw.bytes, at: start + 8 + 6,
            .tensor(.tooManyBytes(tensor: "second", type: .i8, dimensions: [1 << 62, 1, 1, 1])),
            found: "tensor \"second\"", expected: "data sections of at most")
    }

    @Test(arguments: [43, 1000, .max, -1, .min] as [Int32])
    func unknownType(id: Int32) throws {
        try expectRefusal(
            file(type: UInt32(bitPattern: id)), at: shapeOffset + 12,
            .tensor(.unknownType(tensor: "weight", id: id)), found: "type \(id) for tensor \"weight\"",
            expected: "0 to 42")
    }

    @Test(
        arguments: [
            (4, "Q4_2"), (5, "Q4_3"), (31, "Q4_0_4_4"), (32, "Q4_0_4_8"), (33, "Q4_0_8_8"), (36, "IQ4_NL_4_4"),
            (37, "IQ4_NL_4_8"), (38, "IQ4_NL_8_8"),
        ] as [(UInt32, String)])
    func removedType(id: UInt32, name: String) throws {
        try expectRefusal(
            file("weight", [32], type: id), at: shapeOffset + 12,
            .tensor(.removedType(tensor: "weight", id: Int32(id), name: name)),
            found: "the format \(name) that ggml has removed", expected: "a current format")
    }

    @Test(arguments: TensorType.allCases.filter { $0.blockElements > 1 })
    func rowsOfPartialBlocks(type: TensorType) throws {
        let ne0 = type.blockElements * 3 - 1
        try expectRefusal(
            file("weight", [Int64(ne0), 2], type: type.rawValue), at: shapeOffset + 20,
            .tensor(.partialBlock(tensor: "weight", type: type, ne0: ne0)), found: "rows of \(ne0) elements",
            expected: "a multiple of its block of \(type.blockElements)")
    }

    /// The first tensor has 40 bytes, padded to 64.
    @Test(
        arguments: [
            (32, "overlaps the tensor before"), (0, "overlaps the tensor before"), (40, "is not aligned"),
            (63, "is not aligned"), (96, "leaves a gap"), (.max - 31, "leaves a gap"), (.max, "is not aligned"),
        ] as [(UInt64, String)])
    func secondOffset(offset: UInt64, meaning: String) throws {
        var raw = RawGGUF(tensors: 2)
        raw.tensor("first", [10])
        raw.tensor("second", [8], offset: offset)
        let end = raw.position
        raw.pad()
        raw.data(256)
        try expectRefusal(
            raw.bytes, at: end - 8,
            .tensor(.offset(tensor: "second", found: offset, expected: 64, alignment: 32)),
            found: "data offset \(offset) for tensor \"second\", which \(meaning)", expected: "64, right after")
    }

    @Test func firstOffset() throws {
        try expectRefusal(
            file(offset: 32), at: shapeOffset + 16,
            .tensor(.offset(tensor: "weight", found: 32, expected: 0, alignment: 32)), found: "data offset 32",
            expected: "0, right after")
    }

    /// The padding is part of the layout: tensors aligned to 32 are wrong in a file aligned to 64.
    @Test func offsetOfAnotherAlignment() throws {
        var raw = RawGGUF(tensors: 2, entries: 1)
        raw.entry("general.alignment", u32: 64)
        raw.tensor("first")
        raw.tensor("second", offset: 32)
        let end = raw.position
        raw.pad(to: 64)
        raw.data(128)
        try expectRefusal(
            raw.bytes, at: end - 8,
            .tensor(.offset(tensor: "second", found: 32, expected: 64, alignment: 64)), found: "is not aligned",
            expected: "padded to 64")
    }

    @Test func noDataSection() throws {
        var raw = RawGGUF(tensors: 1)
        raw.tensor("weight")
        let end = raw.position
        try #require(end % 32 != 0)
        try expectRefusal(
            raw.bytes, at: end,
            .header(.truncated(.padding(alignment: 32), needed: 32 - end % 32, left: 0)),
            found: "the padding to 32 before the tensor data", expected: "\(32 - end % 32) bytes")
    }

    @Test func dataCutShort() throws {
        var raw = RawGGUF(tensors: 1)
        raw.tensor("weight", [32, 4], type: TensorType.q4_1.rawValue)
        raw.pad()
        let end = raw.position + 80
        raw.data(79)
        try expectRefusal(
            raw.bytes, at: end - 1,
            .tensor(.dataTruncated(tensor: "weight", end: end, fileByteCount: end - 1)),
            found: "the end of the file at byte \(end - 1)", expected: "\"weight\" up to byte \(end)")
    }

    @Test(arguments: [[0], [0, 5], [5, 0, 3], [1, 1, 1, 0], []] as [[Int64]])
    func emptyAndScalarTensors(dimensions: [Int64]) throws {
        var raw = RawGGUF(tensors: 2)
        raw.tensor("odd", dimensions)
        raw.tensor("after", offset: dimensions.isEmpty ? 32 : 0)
        raw.pad()
        raw.data(64)
        let folder = try TemporaryFolder()
        let opened = try GGUFFile(path: folder.write(raw.bytes))
        let odd = opened.tensors[0]
        #expect(odd.dimensionCount == dimensions.count && odd.byteCount == (dimensions.isEmpty ? 4 : 0))
        #expect(odd.shape == Shape(dimensions.map(Int.init)))
        #expect(opened.values(of: odd).floats().count == odd.shape.count)
        #expect(opened.parameterCount == 8 + odd.shape.count)
    }
}
