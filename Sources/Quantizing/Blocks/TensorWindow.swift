import GGUF
import Quantization
import Tensors

/// Some values of a tensor in a file, of whatever type it is.
public struct TensorWindow: Sendable {
    public let tensor: TensorInfo
    /// Counted through all dimensions but the first.
    public let rows: Range<Int>
    public let columns: Range<Int>
    /// Bytes from the start of the file (of a split model, of the tensor's part) to the block with the first value.
    public let fileOffset: Int
    /// `[row][column]`. All types but F64 and the integers give single precision.
    public let values: [[Double]]

    public var isSingle: Bool { BlockFormats.format(for: tensor.type) != nil }

    /// - Parameters:
    ///   - rows: and `columns`, by their first and how many; fewer where the tensor ends.
    /// - Throws: `BlockProblem` if the tensor has no such row or column.
    public init(
        of tensor: TensorInfo, in file: GGUFFile, row: Int, rows: Int, column: Int, columns: Int
    ) throws(BlockProblem) {
        for (what, found, count) in [("row", row, tensor.shape.rows), ("column", column, tensor.shape.ne0)] {
            guard (0..<count).contains(found) else {
                throw .outside(file: file.path, tensor: tensor.name, what: what, found: found, count: count)
            }
        }
        let values = file.values(of: tensor)
        let type = tensor.type
        self.tensor = tensor
        self.rows = row..<row + min(rows, tensor.shape.rows - row)
        self.columns = column..<column + min(columns, tensor.shape.ne0 - column)
        // Whole blocks are decoded, then cut.
        let first = column / type.blockElements
        let blocks = first..<(self.columns.upperBound + type.blockElements - 1) / type.blockElements
        let cut = column - first * type.blockElements
        func start(_ row: Int) -> Int { row * values.layout.rowBytes + first * type.blockBytes }
        fileOffset = tensor.fileOffset + start(row)
        let count = self.columns.count
        self.values = self.rows.map { row in
            let from = values.offset + start(row)
            let decoded = values.source.withBytes(in: from..<from + blocks.count * type.blockBytes) {
                Self.decoded($0, type)
            }
            return Array(decoded[cut..<cut + count])
        }
    }

    private static func decoded(_ bytes: RawSpan, _ type: TensorType) -> [Double] {
        if let format = BlockFormats.format(for: type) { return format.values(of: bytes).map(Double.init) }
        func plain<Value: BitwiseCopyable>(_: Value.Type, _ number: (Value) -> Double) -> [Double] {
            stride(from: 0, to: bytes.byteCount, by: type.blockBytes).map {
                number(bytes.unsafeLoadUnaligned(fromByteOffset: $0, as: Value.self))
            }
        }
        switch type {
        case .f64: return plain(Double.self) { $0 }
        case .i8: return plain(Int8.self, Double.init)
        case .i16: return plain(Int16.self, Double.init)
        case .i32: return plain(Int32.self, Double.init)
        case .i64: return plain(Int64.self, Double.init)
        default: preconditionFailure("\(type) is neither a format nor a plain number")
        }
    }
}
