import Tensors

/// An open GGUF model: its metadata, its tensors, and their values as mapped memory.
///
/// Opening reads and checks the headers only. A split model is opened by its first part; the others are found by name.
public struct GGUFFile: Sendable {
    /// The path that was opened.
    public let path: String
    /// The files, in order; one unless the model is split.
    public let parts: [MappedFile]
    /// Bytes from the start of each part to its data section.
    public let dataOffsets: [Int]
    /// 2 or 3; of a split model, the first part's.
    public let version: Int
    /// Bytes; of a split model, the first part's.
    public let alignment: Int
    /// Of a split model, the first part's: it has all but the bookkeeping.
    public let metadata: Metadata
    /// All tensors of all parts, in the files' order.
    public let tensors: [TensorInfo]
    private let indices: [String: Int]

    /// Bytes of all parts.
    public var byteCount: Int { parts.reduce(0) { $0 + $1.byteCount } }

    /// Elements of all tensors.
    public var parameterCount: Int { tensors.reduce(0) { $0 + $1.shape.count } }

    /// Opens a model and checks everything but the tensors' values.
    ///
    /// - Throws: `GGUFError` with the file, the byte, what is there and what should be. Everything that ggml and
    ///   llama.cpp's loader refuse is refused. A byte that is not UTF-8 is kept, see `String.storedBytes`.
    public init(path: String) throws(GGUFError) {
        let first = try Part(path: path, index: 0)
        let rest = try first.remainingParts()
        let parts = [first] + rest

        self.path = path
        self.parts = parts.map(\.file)
        dataOffsets = parts.map(\.header.dataOffset)
        version = first.header.version
        alignment = first.header.alignment
        metadata = first.header.metadata
        tensors = parts.flatMap(\.header.tensors)
        indices = try Self.indices(of: tensors, in: self.parts)
        if !rest.isEmpty { try first.checkTensorCount(tensors.count) }
    }

    /// - Throws: `GGUFError.FileProblem.changed` if a part was written to since it was opened.
    public func checkUnchanged() throws(GGUFError) { for part in parts { try part.checkUnchanged() } }

    /// - Complexity: O(1).
    public func tensor(named name: String) -> TensorInfo? { indices[name].map { tensors[$0] } }

    /// The values of one of this file's tensors, in the file's own memory.
    ///
    /// Only where a file's alignment is so small that values are not aligned for their type are they copied. With the
    /// usual 32 that never happens.
    public func values(of tensor: TensorInfo) -> Tensor {
        let layout = Layout(tensor.type, tensor.shape)
        let file = parts[tensor.part]
        if tensor.fileOffset % tensor.type.byteAlignment == 0 {
            return Tensor(layout, in: file, offset: tensor.fileOffset)
        }
        let copy = Buffer(byteCount: tensor.byteCount)
        file.withBytes(in: tensor.fileOffset..<tensor.fileOffset + tensor.byteCount) { bytes in
            copy.withMutableBytes(in: 0..<tensor.byteCount) { target in
                target.withUnsafeMutableBytes { target in bytes.withUnsafeBytes { target.copyMemory(from: $0) } }
            }
        }
        return Tensor(layout, in: copy)
    }

    /// The index of each name. Names are unique in each part; here they must be in all parts together.
    private static func indices(
        of tensors: [TensorInfo], in parts: [MappedFile]
    ) throws(GGUFError) -> [String: Int] {
        var indices: [String: Int] = [:]
        indices.reserveCapacity(tensors.count)
        for (index, tensor) in tensors.enumerated() {
            if let earlier = indices.updateValue(index, forKey: tensor.name) {
                throw GGUFError(
                    file: parts[tensor.part].path, offset: tensor.recordOffset,
                    .tensor(.duplicateName(tensor.name, file: parts[tensors[earlier].part].path)))
            }
        }
        return indices
    }
}

/// One file of a model, and llama.cpp's rules for how the parts of a split one belong together.
private struct Part {
    let file: MappedFile
    let header: GGUFHeader

    init(path: String, index: Int) throws(GGUFError) {
        file = try MappedFile(path: path)
        header = try GGUFHeader(reading: file, file: path, part: index)
    }

    /// Opens parts 2 and up; none if the model is not split.
    ///
    /// `self` is the part that the user named, which must be the first.
    func remainingParts() throws(GGUFError) -> [Part] {
        guard header.metadata[SplitKey.count] != nil else { return [] }
        let count = try integer(SplitKey.count, .uint16)
        guard count.value > 1 else { return [] }

        let name = SplitName(path: file.path)
        let number = try integer(SplitKey.number, .uint16)
        guard number.value == 0 else {
            let problem = GGUFError.SplitProblem.notFirst(number: number.value + 1, first: name?.part(1).path)
            throw GGUFError(file: file.path, offset: number.offset, .split(problem))
        }
        if let next = beginOfNextPart {
            throw GGUFError(file: file.path, offset: next, .split(.joined(count: count.value)))
        }
        guard let name, name.number == 1, name.count == count.value else {
            let expected = SplitName(prefix: "", number: 1, count: count.value)
            throw GGUFError(
                file: file.path, offset: count.offset, .split(.fileName(expectedEnding: expected.ending)))
        }
        var parts: [Part] = []
        for index in 1..<count.value { parts.append(try Self.open(name, index: index)) }
        return parts
    }

    /// Where another file begins right behind the last tensor; `nil` if none does.
    private var beginOfNextPart: Int? {
        let end = header.tensors.map { $0.fileOffset + $0.byteCount }.max() ?? header.dataOffset
        // With the padding of the last tensor, or without.
        return [end, end + end.padding(to: header.alignment)].first { start in
            start + 4 <= file.byteCount
                && file.withBytes(in: start..<start + 4) { $0.withUnsafeBytes { Array($0) == Array("GGUF".utf8) } }
        }
    }

    private static func open(_ name: SplitName, index: Int) throws(GGUFError) -> Part {
        let path = name.part(index + 1).path
        let part: Part
        do {
            part = try Part(path: path, index: index)
        } catch  where error.problem == .file(.missing) {
            throw GGUFError(file: path, .split(.missingPart(number: index + 1, count: name.count)))
        }
        let number = try part.integer(SplitKey.number, .uint16)
        guard number.value == index else {
            throw GGUFError(
                file: path, offset: number.offset, .split(.number(found: number.value, expected: index)))
        }
        return part
    }

    func checkTensorCount(_ found: Int) throws(GGUFError) {
        let count = try integer(SplitKey.tensorCount, .int32)
        guard found == count.value else {
            throw GGUFError(
                file: file.path, offset: count.offset, .split(.tensorCount(found: found, expected: count.value)))
        }
    }

    /// A required key of exactly this integer type, as llama.cpp demands.
    private func integer(_ key: String, _ type: GGUFValueType) throws(GGUFError) -> (value: Int, offset: Int) {
        guard let found = header.value(of: key) else {
            throw GGUFError(file: file.path, .split(.key(key, found: nil, expected: type)))
        }
        guard found.value.type == type, let value = found.value.integer else {
            throw GGUFError(
                file: file.path, offset: found.offset, .split(.key(key, found: found.value.type, expected: type)))
        }
        return (value, found.offset)
    }
}

extension TensorType {
    /// An alignment that is enough for the format's C struct: a struct's size is a multiple of its alignment, so the
    /// largest power of two that divides the size is. No field is larger than 8 bytes.
    fileprivate var byteAlignment: Int { min(1 << blockBytes.trailingZeroBitCount, 8) }
}
