import Foundation
import GRDB
import Tensors

extension TraceStore {
    public enum SQLValue: Sendable, Hashable {
        case null
        case integer(Int64)
        case real(Double)
        case text(String)
        case blob(Data)
    }

    /// Runs one statement that only reads, and calls `body` for each row as it comes.
    ///
    /// - Throws: `TraceError` if it is not one, would write, or SQLite refuses it.
    public func query(
        _ sql: String, columns: ([String]) throws -> Void, row body: ([SQLValue]) throws -> Void
    ) throws {
        try TraceStore.wrapping(path) {
            try database.read { db in
                let statement = try self.statement(sql, db)
                try columns(statement.columnNames)
                let rows = try Row.fetchCursor(statement)
                while let row = try rows.next() {
                    try body(row.databaseValues.map(SQLValue.init))
                }
            }
        }
    }

    private func statement(_ sql: String, _ db: Database) throws -> Statement {
        let statements = try db.allStatements(sql: sql)
        let first: Statement?
        do {
            first = try statements.next()
        } catch let error as DatabaseError {
            let message = error.message ?? "\(error)"
            // What SQLite says of views before it says that nothing may be written.
            if message.hasPrefix("cannot modify") || message.hasPrefix("use DROP") {
                throw TraceError.notReading(path: path)
            }
            if error.resultCode.primaryResultCode != .SQLITE_ERROR { throw error }
            throw TraceError.database(path: path, message: message + (try Self.hint(for: message, db)))
        }
        guard let statement = first else {
            throw TraceError.database(path: path, message: "the statement is empty. Try \"SELECT * FROM run\".")
        }
        // What follows may name tables that only an earlier statement would make; whether it compiles is no matter.
        let hasMore = (try? statements.next() != nil) ?? true
        if hasMore { throw TraceError.severalStatements(path: path) }
        guard statement.isReadonly, statement.columnCount > 0 else { throw TraceError.notReading(path: path) }
        return statement
    }

    /// What there is instead of a table or column that is not there.
    private static func hint(for message: String, _ db: Database) throws -> String {
        if message.hasPrefix("no such table") {
            let names = try String.fetchAll(
                db,
                sql: """
                    SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'
                    ORDER BY type, name
                    """)
            return ". There are " + names.joined(separator: ", ") + "."
        }
        if let name = message.split(separator: "no such column: ").last, name.count < message.count {
            let columns = try Row.fetchAll(
                db,
                sql: """
                    SELECT t.name, c.name FROM sqlite_schema t, pragma_table_xinfo(t.name) c
                    ORDER BY t.type DESC, t.name, c.name
                    """
            ).compactMap { row in
                (String.fromDatabaseValue(row[0])).flatMap { table in
                    String.fromDatabaseValue(row[1]).map { (table: table, column: $0) }
                }
            }
            let bare = nearest(to: String(name), in: columns.map(\.column))
            let holders = columns.filter { bare.contains($0.column) }.map { "\($0.table).\($0.column)" }
            return holders.isEmpty
                ? ". `SELECT name FROM pragma_table_xinfo('op')` lists a table's columns."
                : ". Did you mean \(holders.prefix(4).joined(separator: ", "))?"
        }
        return ""
    }
}

extension TraceStore.SQLValue {
    init(_ value: DatabaseValue) {
        switch value.storage {
        case .null: self = .null
        case .int64(let integer): self = .integer(integer)
        case .double(let real): self = .real(real)
        case .string(let text): self = .text(text)
        case .blob(let data): self = .blob(data)
        }
    }
}
