import Quantization
import Quantizing

/// The result of `explain weight`: from the bytes of the file to one value.
public struct WeightReport: Report {
    let file: String
    let tensor: String
    let type: String
    let shape: [Int]
    let row: Int
    let column: Int
    let block: Int
    /// Index of the weight in its block.
    let element: Int
    /// Bytes from the start of the file to the block.
    let blockOffset: Int
    /// Bytes from the start of the file to the byte with the lowest bits of the code, or of the index of its point.
    let byteOffset: Int
    let formula: String
    /// What the code is multiplied by: in a super-block the sub-block's.
    @OrNull var scale: Float?
    @OrNull var min: Float?
    let code: Int
    let value: Float
    let steps: [String]

    /// - Parameter column: one of the block's.
    public init(_ found: WeightBlock, column: Int) {
        let (block, index) = (found.description, column - found.firstColumn)
        let weight = block.elements[index]
        file = found.file
        tensor = found.tensor.name
        type = found.tensor.type.name
        shape = found.tensor.shape.significant
        (row, self.column, self.block, element) = (found.row, column, found.block, index)
        blockOffset = found.fileOffset
        byteOffset = found.fileOffset + weight.stored.parts[0].byte
        formula = block.formula
        (scale, min) = (block.subBlocks[weight.sub].scale, block.subBlocks[weight.sub].minimum)
        (code, value) = (weight.code, weight.value)
        steps = Self.way(to: found, column: column) + block.steps(of: index)
    }

    /// From the file to the block.
    private static func way(to found: WeightBlock, column: Int) -> [String] {
        let (tensor, type) = (found.tensor, found.tensor.type)
        let perRow = tensor.shape.ne0 / type.blockElements
        let rowBytes = perRow * type.blockBytes
        let start = "file: the tensor begins at byte \(tensor.fileOffset)"
        let row =
            "row: \(rowBytes) bytes each (\(perRow) x \(type.blockBytes)), so row \(found.row) begins at "
            + "\(tensor.fileOffset) + \(found.row) * \(rowBytes) = \(tensor.fileOffset + found.row * rowBytes)"
        let offset =
            "\(tensor.fileOffset + found.row * rowBytes) + \(found.block) * \(type.blockBytes) = \(found.fileOffset)"
        let block =
            type.blockElements == 1
            ? "number: \(type.blockBytes) bytes each, so column \(column) begins at \(offset)"
            : "block: column \(column) is weight \(column - found.firstColumn) of block \(found.block) (\(column) / "
                + "\(type.blockElements), rounded down), which begins at \(offset)"
        return [start, row, block]
    }

    public func page(_ style: Style) -> String {
        var lines = [
            style.bold("\(tensor), row \(row), column \(column)"),
            "\(type) \(shape.map(String.init).joined(separator: "x"))   " + style.accent(formula), "",
        ]
        for (number, step) in steps.enumerated() {
            let text =
                step
                .wrapped(to: style.width - 4, indent: "  ")
            lines += text.enumerated().map { ($0 == 0 ? "\(number + 1)".leftPadded(to: 2) + "  " : "    ") + $1 }
        }
        return (lines + ["", "value  " + style.bold("\(value)")]).joined(separator: "\n")
    }
}
