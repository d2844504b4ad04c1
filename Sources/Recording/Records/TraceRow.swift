import GRDB

/// A row of one table, in the table's columns.
protocol TraceRow: Sendable {
    static var table: String { get }
    static var columns: [String] { get }
    var values: StatementArguments { get }
}

extension TraceRow {
    /// Inserts the row by a statement that the connection prepares once.
    func insert(_ db: Database) throws {
        let marks = Array(repeating: "?", count: Self.columns.count).joined(separator: ", ")
        let statement = try db.cachedStatement(
            sql: "INSERT INTO \(Self.table) (\(Self.columns.joined(separator: ", "))) VALUES (\(marks))")
        try statement.execute(arguments: values)
    }
}
