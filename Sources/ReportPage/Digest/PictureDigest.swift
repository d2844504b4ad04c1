import Operations
import Recording
import Tensors

/// A tensor as a heat map: a cell is the number of largest magnitude of those it stands for.
///
/// Column c of C stands for elements `c * width / C ..< (c + 1) * width / C` (integer division); rows alike.
public struct PictureDigest: Encodable, Sendable {
    let rows: Int
    let columns: Int
    /// Elements of a row, and rows, of the tensor.
    let width: Int
    let height: Int
    /// What cells are multiplied by: a power of two.
    let scale: Double
    /// Row by row, F16 in base64; NaN where nothing was captured.
    let cells: String

    static let maxColumns = 64
    static let maxRows = 48
    /// Cells of all pictures of a pass together.
    private static let budget = 340_000
    private static let sizes = [
        (64, 48), (48, 48), (32, 48), (32, 32), (32, 16), (16, 16), (16, 8), (8, 8), (8, 4), (4, 2), (2, 1),
    ]

    var isSampled: Bool { rows < height || columns < width }

    /// The pictures of a pass by the operation's index, as large as fits.
    static func all(
        of operations: [RecordedOperation], in run: RecordedRun, _ store: TraceStore
    ) throws -> [String: PictureDigest] {
        // Views show their source's; writes to the cache are the rows they copy; attention has a view of its own.
        let shown = operations.enumerated().filter { _, operation in
            !operation.isView && !operation.isWrite && !operation.isResult(of: .pattern) && operation.count > 0
        }
        let size = sizes.first { columns, rows in
            shown.reduce(0) { $0 + Swift.min($1.element.width, columns) * Swift.min($1.element.height, rows) } <= budget
        }
        guard let size else { return [:] }
        var pictures: [String: PictureDigest] = [:]
        for (index, operation) in shown {
            do {
                let values = try store.values(of: operation, in: run)
                pictures["\(index)"] = PictureDigest(
                    values.all, width: operation.width, columns: size.0, rows: size.1)
            } catch TraceError.notCaptured {
                continue
            }
        }
        return pictures
    }

    init(_ values: [Float?], width: Int, columns maxColumns: Int, rows maxRows: Int) {
        self.width = width
        height = values.count / width
        columns = Swift.min(width, maxColumns)
        rows = Swift.min(height, maxRows)
        var extremes = [Float](repeating: .nan, count: rows * columns)
        for row in 0..<rows {
            for column in 0..<columns {
                var extreme = Float.nan
                for i in row * height / rows..<(row + 1) * height / rows {
                    for j in column * width / columns..<(column + 1) * width / columns {
                        guard let value = values[i * width + j], !value.isNaN else { continue }
                        if extreme.isNaN || value.magnitude > extreme.magnitude { extreme = value }
                    }
                }
                extremes[row * columns + column] = extreme
            }
        }
        let largest = extremes.reduce(0) { $1.isFinite ? Swift.max($0, $1.magnitude) : $0 }
        let unit = largest > 0 ? Float(sign: .plus, exponent: largest.exponent, significand: 1) : 1
        scale = Double(unit)
        cells = Packed.base64(extremes.map { Half.f16($0 / unit) })
    }
}

extension RecordedOperation {
    /// Elements that belong together in a picture's row: a token's, heads side by side where they lie so.
    fileprivate var width: Int { kind == RoPE.kind ? shape.ne0 * shape.ne1 : shape.ne0 }
    fileprivate var height: Int { shape.count / width }
}
