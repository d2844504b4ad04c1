import GRDB

extension TraceStore {
    /// Tells SQLite how many rows an operation and a head have: for a position it then jumps from head to head, for a head
    /// from operation to operation, where it would read all rows. An index for each would take half as much as the file.
    static func takeStock(_ db: Database) throws {
        guard try Bool.fetchOne(db, sql: "SELECT EXISTS (SELECT 1 FROM attention_head)") ?? false else { return }
        try db.execute(sql: "PRAGMA analysis_limit = 1000; ANALYZE attention_head")
    }
}
