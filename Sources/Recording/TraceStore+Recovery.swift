import Foundation
import GRDB
import ProgramFiles

/// What a killed run leaves, and how the next reader finds it.
extension TraceStore {
    /// "Qipu": what the header of each trace has at byte 68, so that no other program's database is taken for one.
    static let applicationID = 0x5169_7075

    /// A file without a byte, as a run leaves it that was killed before its first write.
    static func isEmpty(_ path: String) -> Bool { PathKind.start(of: path, bytes: 1)?.isEmpty ?? false }

    /// A database without a table, as a run leaves it that was killed before it had made them.
    static func isBlank(_ db: Database) throws -> Bool {
        let id = try Int.fetchOne(db, sql: "PRAGMA application_id") ?? 0
        guard [0, applicationID].contains(id) else { return false }
        return try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_schema") == 0
    }

    /// Whether the file has nothing to lose: a run was killed before its first row.
    static func isLeftover(_ path: String) -> Bool {
        if isEmpty(path) { return true }
        return (try? looking(into: path, isBlank)) ?? false
    }

    /// What `body` reads of a database that may be anything: nothing of its own runs, and nothing of it changes.
    static func looking<Result>(into path: String, _ body: (Database) throws -> Result) throws -> Result {
        try checkHeader(of: path)
        var configuration = Configuration()
        configuration.readonly = true
        configuration.prepareDatabase(distrust)
        let database = try DatabaseQueue(path: path, configuration: configuration)
        defer { try? database.close() }
        return try database.read(body)
    }

    /// Opens a file for reading by `body`. If a writer was killed in the middle of a change that a journal can undo, SQLite
    /// undoes it first, for which the file is opened for writing once.
    static func recovering<Result>(_ path: String, _ body: () throws -> Result) throws -> Result {
        do {
            return try wrapping(path) {
                do { return try body() } catch let error as DatabaseError where isHotJournal(error) {
                    try undoChange(of: path)
                    return try body()
                }
            }
        } catch TraceError.database where hasUnreadableLog(path) {
            throw TraceError.unrecoveredLog(path: path)
        }
    }

    private static func isHotJournal(_ error: DatabaseError) -> Bool {
        [.SQLITE_READONLY_ROLLBACK, .SQLITE_READONLY_RECOVERY].contains(error.extendedResultCode)
    }

    private static func undoChange(of path: String) throws {
        guard !namesOtherJournals(path + "-journal") else { throw TraceError.foreignJournal(path: path) }
        var configuration = Configuration()
        configuration.prepareDatabase(distrust)
        let database = try DatabaseQueue(path: path, configuration: configuration)
        try database.read { _ = try Int.fetchOne($0, sql: "SELECT count(*) FROM sqlite_schema") }
        try database.close()
    }

    /// Whether a journal belongs to a change of several databases. SQLite would then remove a file whose name it has from
    /// the journal, which in a stranger's could be any. Such a journal ends with these eight bytes (SQLite's file format, 3).
    private static func namesOtherJournals(_ journal: String) -> Bool {
        guard let handle = FileHandle(forReadingAtPath: journal) else { return false }
        defer { try? handle.close() }
        guard let size = try? handle.seekToEnd(), size >= 8 else { return false }
        try? handle.seek(toOffset: size - 8)
        return (try? handle.read(upToCount: 8)) == Data([0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7])
    }

    /// SQLite reads a write-ahead log by way of a file that it makes beside it, and undoes a change in the file itself.
    private static func hasUnreadableLog(_ path: String) -> Bool {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        return ["-wal", "-journal"].contains { FileManager.default.fileExists(atPath: path + $0) }
            && !FileManager.default.isWritableFile(atPath: folder)
    }
}
