import Quantizing

/// The result of `inspect --values`: values of a tensor, of whatever type it is.
public struct ValuesReport: Report {
    let tensor: String
    let type: String
    let shape: [Int]
    let fileOffset: Int
    /// Values that share a block; 1 of plain numbers.
    let blockElements: Int
    let firstRow: Int
    let firstColumn: Int
    let values: Values

    /// As exactly as the type has them.
    enum Values: Encodable {
        case single([[Float]])
        case double([[Double]])

        func encode(to encoder: any Encoder) throws {
            switch self {
            case .single(let rows): try rows.encode(to: encoder)
            case .double(let rows): try rows.encode(to: encoder)
            }
        }

        var rows: [[Float]] {
            switch self {
            case .single(let rows): rows
            case .double(let rows): rows.map { $0.map(Float.init) }
            }
        }
    }

    private enum CodingKeys: CodingKey {
        case tensor, type, shape, fileOffset, blockElements, firstRow, firstColumn, values
    }

    public init(_ window: TensorWindow) {
        tensor = window.tensor.name
        type = window.tensor.type.name
        shape = window.tensor.shape.significant
        fileOffset = window.fileOffset
        blockElements = window.tensor.type.blockElements
        (firstRow, firstColumn) = (window.rows.lowerBound, window.columns.lowerBound)
        values = window.isSingle ? .single(window.values.map { $0.map(Float.init) }) : .double(window.values)
    }

    public func page(_ style: Style) -> String {
        let rows = values.rows
        var lines = [
            style.bold(tensor) + "  \(type) \(shape.map(String.init).joined(separator: "x"))",
            "columns \(firstColumn) to \(firstColumn + (rows.first?.count ?? 0) - 1) of \(shape.first ?? 1)",
        ]
        for (number, row) in rows.enumerated() { lines += NumberGrid.lines("row \(firstRow + number)", row, style) }
        return lines.joined(separator: "\n")
    }
}
