import Tensors

/// Writes GGUF files.
///
/// A file appears under its name only when it is complete: it is written beside it under a temporary name, flushed to
/// the disk and renamed. So a model may even be written over the one that its tensors come from.
public struct GGUFWriter: Sendable {
    /// One tensor to write. Its values are asked for when its turn comes, so that a whole model need not fit in memory.
    public struct TensorEntry: Sendable {
        /// Unique in the file; at most 63 bytes of UTF-8.
        public let name: String
        /// Type and shape; contiguous.
        public let layout: Layout
        /// Dimensions to store; the shape's others must be 1.
        public let dimensionCount: Int
        let values: @Sendable () throws -> Tensor

        /// - Parameters:
        ///   - name: unique in the file.
        ///   - type: how the values are stored.
        ///   - shape: in elements, `ne0` first.
        ///   - dimensionCount: dimensions to store; as few as possible by default.
        ///   - values: makes the values: contiguous, of this type and shape.
        /// - Precondition: `ne0` is a whole number of the type's blocks.
        public init(
            name: String, type: TensorType, shape: Shape, dimensionCount: Int? = nil,
            values: @escaping @Sendable () throws -> Tensor
        ) {
            let significant = shape.significant.count
            let fewest = shape == Shape(1) ? 0 : significant
            let count = dimensionCount ?? significant
            precondition((fewest...4).contains(count), "\(count) dimensions for shape \(shape)")
            self.name = name
            layout = Layout(type, shape)
            self.dimensionCount = count
            self.values = values
        }

        /// - Precondition: as above.
        public init(name: String, _ tensor: Tensor, dimensionCount: Int? = nil) {
            self.init(name: name, type: tensor.type, shape: tensor.shape, dimensionCount: dimensionCount) { tensor }
        }

        /// A tensor of a file as it is.
        public init(_ info: TensorInfo, of file: GGUFFile) {
            self.init(name: info.name, type: info.type, shape: info.shape, dimensionCount: info.dimensionCount) {
                file.values(of: info)
            }
        }
    }

    /// When a split model's next part begins.
    public enum SplitLimit: Sendable {
        case tensors(Int)
        /// Bytes of tensor data, padding included. A larger tensor gets a part of its own.
        case bytes(Int)
    }

    /// The key-value pairs, in the order in which they are written.
    public var metadata: Metadata
    /// The tensors, in the order in which they are written.
    public var tensors: [TensorEntry]
    /// 2 or 3; the files differ in this number only.
    public var version: Int

    /// - Parameters:
    ///   - metadata: `general.alignment`, if present, is obeyed.
    ///   - tensors: in the order in which they are written.
    ///   - version: 2 or 3.
    public init(metadata: Metadata, tensors: [TensorEntry], version: Int = 3) {
        self.metadata = metadata
        self.tensors = tensors
        self.version = version
    }

    /// Writes one file.
    ///
    /// - Parameters:
    ///   - path: the file's name.
    ///   - overwrite: whether a file of that name is replaced, once the new one is complete.
    ///   - check: called when all is written and before the file gets its name; what it throws removes the file.
    /// - Throws: `GGUFError` if the path is taken, cannot be written, or the file would be one that `GGUFFile` refuses;
    ///   and whatever making a tensor's values throws. Nothing is left behind then.
    public func write(to path: String, overwrite: Bool = false, checking check: () throws -> Void = {}) throws {
        let plan = PartPlan(path: path, metadata: metadata, tensors: tensors)
        try Self.write([plan], version, overwrite: overwrite, checking: check)
    }

    /// Writes a split model, `PREFIX-00001-of-0000N.gguf` and so on, as llama.cpp's `gguf-split` does: the first part
    /// has the metadata, each part its number.
    ///
    /// - Returns: The paths, in order.
    /// - Throws: As `write(to:overwrite:checking:)`. Either all parts appear or, but for failing renames, none.
    @discardableResult
    public func write(splitAt limit: SplitLimit, toPrefix prefix: String, overwrite: Bool = false) throws -> [String] {
        let groups = groups(limit)
        precondition(groups.count <= Int(UInt16.max), "\(groups.count) parts; \"split.count\" is a u16")
        let plans = groups.enumerated().map { index, group in
            PartPlan(
                path: SplitName(prefix: prefix, number: index + 1, count: groups.count).path,
                metadata: metadata(ofPart: index, of: groups.count), tensors: group)
        }
        // Each part is checked when it is written; that no name is in two of them is checked here.
        try HeaderEncoder(metadata, tensors, version: version).check(path: plans[0].path)
        try Self.write(plans, version, overwrite: overwrite)
        return plans.map(\.path)
    }

    /// One file to be written.
    private struct PartPlan {
        let path: String
        let metadata: Metadata
        let tensors: [TensorEntry]
    }

    private static func write(
        _ plans: [PartPlan], _ version: Int, overwrite: Bool, checking check: () throws -> Void = {}
    ) throws {
        // Refused before the work, not after it; and unfinished files remove themselves when thrown away.
        var files: [OutputFile] = []
        for plan in plans { files.append(try OutputFile(path: plan.path, overwrite: overwrite)) }
        for (plan, file) in zip(plans, files) {
            let header = HeaderEncoder(plan.metadata, plan.tensors, version: version)
            try header.check(path: plan.path)
            try file.append(header.bytes)
            for entry in plan.tensors {
                try write(entry, to: file)
                try file.append([UInt8](repeating: 0, count: entry.layout.byteCount.padding(to: header.alignment)))
            }
            try file.flush()
        }
        try check()
        for file in files { try file.commit() }
    }

    private static func write(_ entry: TensorEntry, to file: OutputFile) throws {
        let tensor = try entry.values()
        guard tensor.layout == entry.layout else {
            throw GGUFError(
                file: file.path,
                .tensor(.values(tensor: entry.name, found: tensor.layout, expected: entry.layout)))
        }
        try tensor.withBytes { try file.append($0) }
    }

    /// The tensors of each part, in order; at least one part.
    private func groups(_ limit: SplitLimit) -> [[TensorEntry]] {
        let alignment = HeaderEncoder.alignment(of: metadata)
        var groups: [[TensorEntry]] = [[]]
        var bytes = 0
        for entry in tensors {
            let size = entry.layout.byteCount + entry.layout.byteCount.padding(to: alignment)
            let isFull =
                switch limit {
                case .tensors(let most): groups[groups.endIndex - 1].count >= most
                case .bytes(let most): bytes + size > most
                }
            if isFull, !groups[groups.endIndex - 1].isEmpty {
                groups.append([])
                bytes = 0
            }
            groups[groups.endIndex - 1].append(entry)
            bytes += size
        }
        return groups
    }

    private func metadata(ofPart index: Int, of count: Int) -> Metadata {
        let splitKeys = [SplitKey.number, SplitKey.count, SplitKey.tensorCount]
        // The alignment is each file's own.
        let kept = metadata.entries.filter {
            !splitKeys.contains($0.key) && (index == 0 || $0.key == Metadata.alignmentKey)
        }
        return Metadata(
            kept + [
                .init(key: SplitKey.number, value: .uint16(UInt16(index))),
                .init(key: SplitKey.count, value: .uint16(UInt16(count))),
                .init(key: SplitKey.tensorCount, value: .int32(Int32(tensors.count))),
            ])
    }
}
