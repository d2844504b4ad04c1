import Foundation
import GRDB
import GRDBSQLite

/// A row of one table.
protocol TraceRow {
    static var insertion: Insertion { get }

    /// Binds a value for each column of the insertion, in order.
    func bind(to row: RowBinder)
}

/// The statements that insert into a table, one row or `batch` rows at a time; their text is made once for a table.
struct Insertion: Sendable {
    let single: String
    let several: String
    let columnCount: Int
    let batch: Int

    /// - Parameter batch: rows of a statement where there are many; 1 for tables of few rows, or of rows that replace others.
    ///   To begin and end a statement takes as long as a row of numbers.
    init(into table: String, columns: [String], batch: Int = 1) {
        let row = "(" + Array(repeating: "?", count: columns.count).joined(separator: ", ") + ")"
        let values = "INTO \(table) (\(columns.joined(separator: ", "))) VALUES \(row)"
        single = "INSERT \(values)"
        // A statement that could be undone alone has SQLite copy each page before it changes it: a third of its time with
        // large rows. A row that is refused ends the run either way.
        several = batch == 1 ? single : "INSERT OR FAIL \(values)" + String(repeating: ", " + row, count: batch - 1)
        columnCount = columns.count
        self.batch = batch
    }
}

/// Values are bound by SQLite's own functions: a pass makes thousands of rows, and GRDB's arguments would take longer
/// than SQLite itself.
extension TraceRow {
    /// Inserts the row by a statement that the connection prepares once.
    func insert(_ db: Database) throws { try Self.insert([self], db) }

    static func insert(_ rows: [Self], _ db: Database) throws {
        let inBatches = rows.count / insertion.batch * insertion.batch
        try insert(rows[..<inBatches], insertion.batch, at: insertion.several, db)
        try insert(rows[inBatches...], 1, at: insertion.single, db)
    }

    /// - Precondition: whole groups of as many rows as the statement takes.
    private static func insert(_ rows: ArraySlice<Self>, _ group: Int, at sql: String, _ db: Database) throws {
        guard !rows.isEmpty else { return }
        let statement = try db.cachedStatement(sql: sql).sqliteStatement
        for first in stride(from: rows.startIndex, to: rows.endIndex, by: group) {
            for index in 0..<group {
                rows[first + index].bind(
                    to: RowBinder(
                        statement: statement, before: Int32(index * insertion.columnCount),
                        columnCount: insertion.columnCount))
            }
            let result = sqlite3_step(statement)
            sqlite3_reset(statement)
            guard result == SQLITE_DONE else {
                throw DatabaseError(
                    resultCode: ResultCode(rawValue: result),
                    message: String(cString: sqlite3_errmsg(db.sqliteConnection)), sql: sql)
            }
        }
    }
}

/// Where a row's values go.
struct RowBinder {
    let statement: SQLiteStatement
    /// Values of the rows before it in the statement.
    let before: Int32
    let columnCount: Int

    /// - Precondition: a value for each column.
    func bind<each Value: Bindable>(_ value: repeat each Value) {
        var column: Int32 = 0
        for value in repeat each value {
            column += 1
            value.bind(to: statement, before + column)
        }
        precondition(column == columnCount, "\(column) values for \(columnCount) columns")
    }
}

/// For tables with a row for each operation: without the generic code, which costs as much as SQLite does.
extension RowBinder {
    func set(_ column: Int32, _ value: Int) { sqlite3_bind_int64(statement, before + column, Int64(value)) }

    func set(_ column: Int32, _ value: Int?) {
        if let value { set(column, value) } else { sqlite3_bind_null(statement, before + column) }
    }

    func set(_ column: Int32, _ value: Double?) {
        if let value {
            sqlite3_bind_double(statement, before + column, value)
        } else {
            sqlite3_bind_null(statement, before + column)
        }
    }

    func set(_ column: Int32, _ value: String?) {
        if let value {
            value.bind(to: statement, before + column)
        } else {
            sqlite3_bind_null(statement, before + column)
        }
    }

    /// Text that stays where it is for good.
    func set(_ column: Int32, _ value: StaticString) {
        value.withUTF8Buffer { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                _ = sqlite3_bind_text(statement, before + column, $0.baseAddress, Int32($0.count), nil)
            }
        }
    }

    /// - Precondition: the bytes stay valid until the row is inserted.
    func set(_ column: Int32, _ value: UnsafeRawBufferPointer) { value.bind(to: statement, before + column, nil) }
}

/// A value that SQLite stores.
protocol Bindable {
    func bind(to statement: SQLiteStatement, _ column: Int32)
}

extension Int: Bindable {
    func bind(to statement: SQLiteStatement, _ column: Int32) { sqlite3_bind_int64(statement, column, Int64(self)) }
}

extension Int64: Bindable {
    func bind(to statement: SQLiteStatement, _ column: Int32) { sqlite3_bind_int64(statement, column, self) }
}

extension Bool: Bindable {
    func bind(to statement: SQLiteStatement, _ column: Int32) { sqlite3_bind_int64(statement, column, self ? 1 : 0) }
}

extension Double: Bindable {
    /// SQLite makes NULL of NaN.
    func bind(to statement: SQLiteStatement, _ column: Int32) { sqlite3_bind_double(statement, column, self) }
}

/// What tells SQLite to copy the bytes: `SQLITE_TRANSIENT`, a macro that Swift does not see.
private var copied: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }

extension String: Bindable {
    func bind(to statement: SQLiteStatement, _ column: Int32) {
        // With a length, so that text may hold zeros.
        sqlite3_bind_text(statement, column, self, Int32(utf8.count), copied)
    }
}

extension Data: Bindable {
    func bind(to statement: SQLiteStatement, _ column: Int32) {
        withUnsafeBytes { $0.bind(to: statement, column, copied) }
    }
}

extension UnsafeRawBufferPointer {
    func bind(to statement: SQLiteStatement, _ column: Int32, _ ownership: sqlite3_destructor_type?) {
        guard let baseAddress else {
            sqlite3_bind_zeroblob(statement, column, 0)
            return
        }
        sqlite3_bind_blob64(statement, column, baseAddress, UInt64(count), ownership)
    }
}

extension Optional: Bindable where Wrapped: Bindable {
    func bind(to statement: SQLiteStatement, _ column: Int32) {
        if let self { self.bind(to: statement, column) } else { sqlite3_bind_null(statement, column) }
    }
}
