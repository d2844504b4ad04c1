import Foundation
import GGUF
import GRDB
import Tensors

/// A row of a trace whose values are checked as they are read.
///
/// A trace may come from anybody: constraints may be gone, numbers may be text, and a shape may be larger than memory.
/// What passes here can be counted with: no value is negative where it counts something, and none is so large that sums
/// and products of a few overflow.
struct CheckedRow {
    let path: String
    let table: String
    /// Columns that say which row it is.
    let keys: [String]
    let row: Row

    /// Larger than any count, number of bytes or nanoseconds that a run can have; the sum of 4,096 still fits.
    static let largestCount = 1 << 50
    /// Elements along one dimension, and of a whole tensor.
    static let largestTensor = 1 << 42

    // MARK: values

    private func value(_ column: String) -> DatabaseValue { row[column] ?? .null }

    /// A whole number.
    func int(_ column: String, in range: ClosedRange<Int> = 0...largestCount) throws(TraceError) -> Int {
        guard let number = try optionalInt(column, in: range) else {
            throw damage(column, expected: Self.words(range))
        }
        return number
    }

    /// A whole number or NULL.
    func optionalInt(_ column: String, in range: ClosedRange<Int> = 0...largestCount) throws(TraceError) -> Int? {
        let value = value(column)
        if value.isNull { return nil }
        guard case .int64(let number) = value.storage, range.contains(Int(number)) else {
            throw damage(column, expected: Self.words(range))
        }
        return Int(number)
    }

    /// Any 64 bits, such as those of a seed.
    func bits(_ column: String) throws(TraceError) -> Int64 {
        guard case .int64(let number) = value(column).storage else {
            throw damage(column, expected: "a whole number")
        }
        return number
    }

    func bool(_ column: String) throws(TraceError) -> Bool { try int(column, in: 0...1) == 1 }

    func text(_ column: String) throws(TraceError) -> String {
        guard let text = try optionalText(column) else { throw damage(column, expected: "text") }
        return text
    }

    func optionalText(_ column: String) throws(TraceError) -> String? {
        let value = value(column)
        if value.isNull { return nil }
        guard case .string(let text) = value.storage else { throw damage(column, expected: "text") }
        return text
    }

    /// A number; NULL where it was none, for SQLite has no NaN.
    func real(_ column: String) throws(TraceError) -> Double? {
        switch value(column).storage {
        case .null: return nil
        case .double(let number): return number
        case .int64(let number): return Double(number)
        default: throw damage(column, expected: "a number")
        }
    }

    func blob(_ column: String) throws(TraceError) -> Data {
        guard case .blob(let data) = value(column).storage else { throw damage(column, expected: "a blob") }
        return data
    }

    /// Columns `ne0` to `ne3`: each at least 1, and together no more than a tensor can have.
    func shape() throws(TraceError) -> Shape {
        var (extents, count) = ([Int](), 1)
        for dimension in 0..<4 {
            let column = "ne\(dimension)"
            let extent = try int(column, in: 1...Self.largestTensor)
            guard extent <= Self.largestTensor / count else {
                let found = (0..<4).map { Self.words(value("ne\($0)")) }.joined(separator: " x ")
                throw damage("ne0 to ne3", found: found, expected: "at most \(Self.largestTensor) elements in all")
            }
            count *= extent
            extents.append(extent)
        }
        return Shape(extents)
    }

    func type(_ column: String = "type") throws(TraceError) -> TensorType {
        let name = try text(column)
        guard let type = TensorType.allCases.first(where: { $0.name == name }) else {
            throw damage(column, expected: "a type of ggml, such as f32")
        }
        return type
    }

    // MARK: what is wrong

    /// - Parameter found: `nil` for what the column holds.
    func damage(_ column: String, found: String? = nil, expected: String) -> TraceError {
        let which = keys.map { "\($0) \(Self.words(value($0)))" }.joined(separator: ", ")
        return .damaged(
            TraceDamage(
                path: path, table: table, row: which, column: column, found: found ?? Self.words(value(column)),
                expected: expected))
    }

    private static func words(_ range: ClosedRange<Int>) -> String {
        range.count == 1 ? "\(range.lowerBound)" : "a whole number from \(range.lowerBound) to \(range.upperBound)"
    }

    private static func words(_ value: DatabaseValue) -> String {
        switch value.storage {
        case .null: "NULL"
        case .int64(let number): "\(number)"
        case .double(let number): "\(number)"
        case .string(let text): "the text '\(text.prefix(40))\(text.count > 40 ? "…" : "")'"
        case .blob(let data): "a blob of \(data.count) bytes"
        }
    }
}

/// What is wrong in a trace, and where.
public struct TraceDamage: Sendable, Equatable {
    public let path: String
    public let table: String
    /// Which row: `op_id 7, chunk 0`; empty where it is the whole table.
    public let row: String
    public let column: String
    public let found: String
    public let expected: String

    public init(path: String, table: String, row: String, column: String, found: String, expected: String) {
        (self.path, self.table, self.row, self.column) = (path, table, row, column)
        (self.found, self.expected) = (found, expected)
    }

    /// An operation that contradicts others, or the model.
    public init(_ operation: RecordedOperation, in path: String, _ column: String, found: String, expected: String) {
        self.init(
            path: path, table: "op", row: "step \(operation.step), seq \(operation.seq), name \(operation.name)",
            column: column, found: found, expected: expected)
    }
}

extension TraceDamage: CustomStringConvertible {
    public var description: String {
        let row = row.isEmpty ? "" : ", row \(row)"
        let words =
            "\(path): the trace is damaged: table \(table)\(row), column \(column): found \(found), expected "
            + "\(expected). Get the file again, or trace again."
        return words.onOneLine
    }
}

extension TraceStore {
    /// Reads rows, each checked as `transform` takes what it needs.
    ///
    /// - Parameters:
    ///   - table: where the rows are from, as the complaint about a wrong value says.
    ///   - keys: columns that say which row it is.
    func fetch<Value>(
        _ table: String, by keys: [String], _ sql: String, _ arguments: StatementArguments = [],
        _ transform: (CheckedRow) throws -> Value
    ) throws -> [Value] {
        try TraceStore.wrapping(path) {
            try database.read { db in
                var values: [Value] = []
                let rows = try Row.fetchCursor(try db.cachedStatement(sql: sql), arguments: arguments)
                while let row = try rows.next() {
                    values.append(try transform(CheckedRow(path: path, table: table, keys: keys, row: row)))
                }
                return values
            }
        }
    }

    /// A row that contradicts others.
    func damaged(_ table: String, _ row: String, _ column: String, found: String, expected: String) -> TraceError {
        .damaged(
            TraceDamage(path: path, table: table, row: row, column: column, found: found, expected: expected))
    }
}
