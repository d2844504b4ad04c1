import Tensors

/// Reads the tensor records. Tensors must lie in the order of their records without gaps, each padded to the alignment.
struct TensorParser {
    let part: Int
    let alignment: Int
    private var tensors: [TensorInfo] = []
    private var names: Set<String> = []
    /// Where the next tensor must begin in the data section.
    private var nextOffset = 0

    init(part: Int, alignment: Int) {
        self.part = part
        self.alignment = alignment
    }

    mutating func read(_ count: Int, from reader: inout ByteReader<some ByteSource>) throws(GGUFError) {
        tensors.reserveCapacity(count)
        for index in 0..<count {
            let start = reader.position
            let name = try readName(index, from: &reader)
            let shapeOffset = reader.position
            let (dimensionCount, shape) = try reader.shape(of: name)
            let type = try reader.tensorType(of: name, ne0: shape.ne0)
            guard let byteCount = Self.byteCount(of: shape, type), let next = end(of: byteCount) else {
                throw reader.error(
                    at: shapeOffset,
                    .tensor(.tooManyBytes(tensor: name, type: type, dimensions: shape.dimensions)))
            }
            let offset = try readOffset(of: name, from: &reader)
            nextOffset = next
            tensors.append(
                TensorInfo(
                    name: name, type: type, shape: shape, dimensionCount: dimensionCount, offset: offset,
                    fileOffset: 0, byteCount: byteCount, part: part, recordOffset: start))
        }
    }

    /// The tensors with their offsets in the file, which must hold all of their data (but not the last padding).
    func located(at dataOffset: Int, file: String, fileByteCount: Int) throws(GGUFError) -> [TensorInfo] {
        var located = tensors
        for index in located.indices {
            let tensor = located[index]
            let (fileOffset, overflow1) = dataOffset.addingReportingOverflow(tensor.offset)
            let (end, overflow2) = fileOffset.addingReportingOverflow(tensor.byteCount)
            guard !overflow1, !overflow2, end <= fileByteCount else {
                throw GGUFError(
                    file: file, offset: fileByteCount,
                    .tensor(
                        .dataTruncated(
                            tensor: tensor.name, end: overflow1 || overflow2 ? .max : end,
                            fileByteCount: fileByteCount)))
            }
            located[index].fileOffset = fileOffset
        }
        return located
    }

    private mutating func readName(
        _ index: Int, from reader: inout ByteReader<some ByteSource>
    ) throws(GGUFError) -> String {
        let start = reader.position
        let name = try reader.string(.tensorName(index))
        let byteCount = reader.position - start - MemoryLayout<UInt64>.size
        guard byteCount <= GGUFLimits.tensorNameBytes else {
            throw reader.error(at: start, .tensor(.nameTooLong(index: index, byteCount: UInt64(byteCount))))
        }
        guard names.insert(name).inserted else {
            throw reader.error(at: start, .tensor(.duplicateName(name, file: reader.file)))
        }
        return name
    }

    private func readOffset(
        of name: String, from reader: inout ByteReader<some ByteSource>
    ) throws(GGUFError) -> Int {
        let start = reader.position
        let offset = try reader.integer(UInt64.self, .tensorOffset(tensor: name))
        guard offset == nextOffset else {
            throw reader.error(
                at: start,
                .tensor(.offset(tensor: name, found: offset, expected: nextOffset, alignment: alignment)))
        }
        return nextOffset
    }

    /// Where the tensor after one of `byteCount` bytes must begin; `nil` if that overflows.
    private func end(of byteCount: Int) -> Int? {
        let (end, overflow) = nextOffset.addingReportingOverflow(byteCount)
        if overflow { return nil }
        let (padded, overflowOfPadding) = end.addingReportingOverflow(end.padding(to: alignment))
        return overflowOfPadding ? nil : padded
    }

    /// Bytes of the data; `nil` if the size or a stride overflows. A dimension of 0 makes it 0.
    private static func byteCount(of shape: Shape, _ type: TensorType) -> Int? {
        guard var bytes = type.rowBytes(max(shape.ne0, type.blockElements)) else { return nil }
        for dimension in 1..<4 {
            let (product, overflow) = bytes.multipliedReportingOverflow(by: max(shape[dimension], 1))
            if overflow { return nil }
            bytes = product
        }
        return shape.count == 0 ? 0 : bytes
    }
}

extension ByteReader {
    fileprivate mutating func shape(of name: String) throws(GGUFError) -> (dimensionCount: Int, shape: Shape) {
        let start = position
        let count = try integer(UInt32.self, .dimensionCount(tensor: name))
        guard count <= 4 else { throw error(at: start, .tensor(.dimensionCount(tensor: name, found: count))) }

        var dimensions: [Int] = []
        for index in 0..<Int(count) {
            let offset = position
            let extent = try integer(Int64.self, .dimension(tensor: name, index))
            guard extent >= 0 else {
                throw error(at: offset, .tensor(.dimension(tensor: name, dimension: index, found: extent)))
            }
            dimensions.append(Int(extent))
        }
        // Zeros count as ones here, a little stricter than ggml: no product of some of the dimensions overflows either.
        var elements = 1
        for extent in dimensions {
            let (product, overflow) = elements.multipliedReportingOverflow(by: max(extent, 1))
            if overflow {
                throw error(at: start, .tensor(.tooManyElements(tensor: name, dimensions: dimensions)))
            }
            elements = product
        }
        return (Int(count), Shape(dimensions))
    }

    fileprivate mutating func tensorType(of name: String, ne0: Int) throws(GGUFError) -> TensorType {
        let start = position
        let id = try integer(Int32.self, .tensorType(tensor: name))
        guard let type = TensorType(rawValue: UInt32(bitPattern: id)) else {
            if let removed = TensorType.removedName(id: UInt32(bitPattern: id)) {
                throw error(at: start, .tensor(.removedType(tensor: name, id: id, name: removed)))
            }
            throw error(at: start, .tensor(.unknownType(tensor: name, id: id)))
        }
        guard ne0 % type.blockElements == 0 else {
            throw error(at: start, .tensor(.partialBlock(tensor: name, type: type, ne0: ne0)))
        }
        return type
    }
}

extension TensorType {
    static var highestID: UInt32 { allCases.map(\.rawValue).max()! }
}
