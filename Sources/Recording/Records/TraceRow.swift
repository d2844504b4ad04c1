import Foundation
import GRDB
import GRDBSQLite

/// A row of one table.
protocol TraceRow: Sendable {
    static var insertion: Insertion { get }

    /// Binds a value for each column of the insertion, in order.
    func bind(to row: RowBinder)
}

/// The statement that inserts into a table; its text is made once for a table, not for each row.
struct Insertion: Sendable {
    let sql: String
    let columnCount: Int

    init(into table: String, columns: [String]) {
        let marks = Array(repeating: "?", count: columns.count).joined(separator: ", ")
        sql = "INSERT INTO \(table) (\(columns.joined(separator: ", "))) VALUES (\(marks))"
        columnCount = columns.count
    }
}

extension TraceRow {
    /// Inserts the row by a statement that the connection prepares once.
    ///
    /// Values are bound by SQLite's own functions: a pass makes thousands of rows, and GRDB's arguments would take
    /// longer than SQLite itself.
    func insert(_ db: Database) throws {
        let statement = try db.cachedStatement(sql: Self.insertion.sql).sqliteStatement
        bind(to: RowBinder(statement: statement, columnCount: Self.insertion.columnCount))
        let result = sqlite3_step(statement)
        sqlite3_reset(statement)
        guard result == SQLITE_DONE else {
            throw DatabaseError(
                resultCode: ResultCode(rawValue: result),
                message: String(cString: sqlite3_errmsg(db.sqliteConnection)), sql: Self.insertion.sql)
        }
    }
}

/// Where a row's values go.
struct RowBinder {
    let statement: SQLiteStatement
    let columnCount: Int

    /// - Precondition: a value for each column.
    func bind<each Value: Bindable>(_ value: repeat each Value) {
        var column: Int32 = 0
        for value in repeat each value {
            column += 1
            value.bind(to: statement, column)
        }
        precondition(column == columnCount, "\(column) values for \(columnCount) columns")
    }
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
        withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else {
                sqlite3_bind_zeroblob(statement, column, 0)
                return
            }
            sqlite3_bind_blob64(statement, column, start, UInt64(bytes.count), copied)
        }
    }
}

extension Optional: Bindable where Wrapped: Bindable {
    func bind(to statement: SQLiteStatement, _ column: Int32) {
        if let self { self.bind(to: statement, column) } else { sqlite3_bind_null(statement, column) }
    }
}
