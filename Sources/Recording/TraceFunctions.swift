import Foundation
import GRDB
import Tensors

/// SQL functions over the blobs of table `tensor`.
enum TraceFunctions {
    static func register(in db: Database) {
        for function in [f32, f16, row, dot] { db.add(function: function) }
    }

    /// `f32(blob, i)`: element i of a blob of F32; NULL outside.
    private static let f32 = DatabaseFunction("f32", argumentCount: 2, pure: true) {
        (arguments: [DatabaseValue]) -> (any DatabaseValueConvertible)? in
        guard let data = Data.fromDatabaseValue(arguments[0]), let i = Int.fromDatabaseValue(arguments[1]) else {
            return nil
        }
        return data.float(at: i).map { Double($0) }
    }

    /// `f16(blob, i)`: element i of a blob of F16; NULL outside.
    private static let f16 = DatabaseFunction("f16", argumentCount: 2, pure: true) {
        (arguments: [DatabaseValue]) -> (any DatabaseValueConvertible)? in
        guard let data = Data.fromDatabaseValue(arguments[0]), let i = Int.fromDatabaseValue(arguments[1]),
            i >= 0, i < data.count / 2
        else { return nil }
        let bits = UInt16(data[data.startIndex + 2 * i]) | UInt16(data[data.startIndex + 2 * i + 1]) << 8
        return Double(Half.float(f16: bits))
    }

    /// `row(blob, i, n)`: row i of a blob of F32 with n elements a row, as a JSON array; NULL outside.
    private static let row = DatabaseFunction("row", argumentCount: 3, pure: true) {
        (arguments: [DatabaseValue]) -> (any DatabaseValueConvertible)? in
        guard let data = Data.fromDatabaseValue(arguments[0]), let i = Int.fromDatabaseValue(arguments[1]),
            let n = Int.fromDatabaseValue(arguments[2]), i >= 0, n > 0, n <= data.count / 4, i < data.count / 4 / n
        else { return nil }
        let values = (0..<n).map { data.float(at: i * n + $0)! }
        return "[" + values.map { $0.isFinite ? "\($0)" : "null" }.joined(separator: ",") + "]"
    }

    /// `dot(a, b)`: Σ a[i]·b[i] in Double, of blobs of F32 or JSON arrays (as `row` makes them) of one length.
    private static let dot = DatabaseFunction("dot", argumentCount: 2, pure: true) {
        (arguments: [DatabaseValue]) -> (any DatabaseValueConvertible)? in
        guard let a = vector(arguments[0]), let b = vector(arguments[1]) else { return nil }
        guard a.count == b.count else {
            throw DatabaseError(message: "dot(a, b): a has \(a.count) elements, b has \(b.count)")
        }
        return zip(a, b).reduce(0.0) { $0 + $1.0 * $1.1 }
    }

    private static func vector(_ value: DatabaseValue) -> [Double]? {
        switch value.storage {
        case .blob(let data): (0..<data.count / 4).map { Double(data.float(at: $0)!) }
        case .string(let json): try? JSONDecoder().decode([Double].self, from: Data(json.utf8))
        default: nil
        }
    }
}

extension Data {
    /// Element `index` of little-endian F32 values.
    func float(at index: Int) -> Float? {
        guard index >= 0, index < count / 4 else { return nil }
        let start = startIndex + 4 * index
        let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(self[start + $1]) << (8 * UInt32($1)) }
        return Float(bitPattern: bits)
    }
}
