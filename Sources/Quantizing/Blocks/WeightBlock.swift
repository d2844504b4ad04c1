import GGUF
import Quantization
import Tensors

/// Why a block or a weight cannot be shown.
public enum BlockProblem: InputProblem, Sendable, Equatable {
    case notDescribable(file: String, tensor: String, type: TensorType)
    case outside(file: String, tensor: String, what: String, found: Int, count: Int)
    case shapes(tensor: String, found: Shape, file: String, expected: Shape, reference: String)
    case missing(file: String, tensor: String)
    case unknownFormat(name: String, known: [String])
    case formatNotDescribable(type: TensorType, known: [String])
    case noSample(file: String)
    case nothingToAudit(file: String, types: [TensorType])
}

extension BlockProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notDescribable(let file, let tensor, let type):
            "\(file): tensor '\(tensor)' is \(type), whose blocks cannot be taken apart. "
                + "`quipu inspect --bytes` shows its bytes."
        case .outside(let file, let tensor, let what, let found, let count):
            "\(file): tensor '\(tensor)' has \(what)s 0 to \(count - 1); \(what) \(found) is outside"
        case .shapes(let tensor, let found, let file, let expected, let reference):
            "tensor '\(tensor)' has shape \(found) in \(file) and \(expected) in \(reference); are they the same model?"
        case .missing(let file, let tensor):
            "\(file) has no tensor '\(tensor)'; are the two files the same model?"
        case .unknownFormat(let name, let known):
            "there is no format '\(name)'" + Self.hint(name, known) + " Known are \(known.joined(separator: ", "))"
        case .formatNotDescribable(let type, let known):
            "blocks of \(type) cannot be taken apart; those of \(known.joined(separator: ", ")) can"
        case .noSample(let file):
            "\(file): no matrix of 1024 or more weights that are finite and not all zero; leave the model out to see the "
                + "format on made-up weights"
        case .nothingToAudit(let file, let types):
            "\(file): no tensor has blocks with scales to audit; its types are "
                + types.map(\.name).joined(separator: ", ")
        }
    }
}

extension BlockProblem {
    /// A mix is a file of several formats; any other name may be mistyped.
    private static func hint(_ name: String, _ known: [String]) -> String {
        if let mix = GGUFFileType.allCases.first(where: { $0.name == name.uppercased() }) {
            let main = known.filter { mix.name.hasPrefix($0) }.max { $0.count < $1.count }
            return ": it is a mix of several, which `quipu quantize` makes"
                + (main.map { "; most of its tensors are \($0), so see `quipu explain format \($0)`" } ?? "") + "."
        }
        return nearest(to: name, in: known, limit: 1).first.map { ". Did you mean \($0)?" } ?? "."
    }
}

/// One block of a tensor in a file, taken apart.
public struct WeightBlock: Sendable {
    public let file: String
    public let tensor: TensorInfo
    public let row: Int
    /// Index in the row.
    public let block: Int
    /// Bytes from the start of the file (of a split model, of the tensor's part) to the block.
    public let fileOffset: Int
    public let description: BlockDescription

    /// Column of the block's first weight.
    public var firstColumn: Int { block * tensor.type.blockElements }

    /// - Throws: `BlockProblem` if the tensor's type cannot be taken apart or has no such row or block.
    public init(row: Int, block: Int, of tensor: TensorInfo, in file: GGUFFile) throws {
        guard let format = BlockFormats.describableFormat(for: tensor.type) else {
            throw BlockProblem.notDescribable(file: file.path, tensor: tensor.name, type: tensor.type)
        }
        let perRow = tensor.shape.ne0 / tensor.type.blockElements
        for (what, found, count) in [("row", row, tensor.shape.rows), ("block", block, perRow)] {
            guard (0..<count).contains(found) else {
                throw BlockProblem.outside(
                    file: file.path, tensor: tensor.name, what: what, found: found, count: count)
            }
        }
        (self.file, self.tensor, self.row, self.block) = (file.path, tensor, row, block)
        let start = (row * perRow + block) * tensor.type.blockBytes
        fileOffset = tensor.fileOffset + start
        let values = file.values(of: tensor)
        description = values.source.withBytes(
            in: values.offset + start..<values.offset + start + tensor.type.blockBytes, format.describe)
    }

    /// The block that holds a column.
    ///
    /// - Throws: `BlockProblem` if the tensor's type cannot be taken apart or has no such row or column.
    public init(row: Int, column: Int, of tensor: TensorInfo, in file: GGUFFile) throws {
        guard (0..<tensor.shape.ne0).contains(column) else {
            throw BlockProblem.outside(
                file: file.path, tensor: tensor.name, what: "column", found: column, count: tensor.shape.ne0)
        }
        try self.init(row: row, block: column / tensor.type.blockElements, of: tensor, in: file)
    }

    /// The same weights in another file.
    ///
    /// - Throws: `BlockProblem` if the other file does not have the tensor in this shape, or it cannot be decoded.
    public func values(in reference: GGUFFile) throws -> [Float] {
        let row = try reference.decodedRow(self.row, counterpartOf: tensor, in: file)
        return Array(row[firstColumn..<firstColumn + tensor.type.blockElements])
    }
}

extension GGUFFile {
    /// This file's tensor of the same name and shape as another file's.
    package func counterpart(of tensor: TensorInfo, in file: String) throws -> TensorInfo {
        guard let other = self.tensor(named: tensor.name) else {
            throw BlockProblem.missing(file: path, tensor: tensor.name)
        }
        guard other.shape == tensor.shape else {
            throw BlockProblem.shapes(
                tensor: tensor.name, found: tensor.shape, file: file, expected: other.shape, reference: path)
        }
        return other
    }

    /// A row of this file's tensor of the same name and shape as another file's.
    package func decodedRow(_ number: Int, counterpartOf info: TensorInfo, in file: String) throws -> [Float] {
        let other = try counterpart(of: info, in: file)
        guard BlockFormats.format(for: other.type) != nil else {
            throw BlockProblem.notDescribable(file: path, tensor: other.name, type: other.type)
        }
        return values(of: other).decodedRow(number)
    }
}
