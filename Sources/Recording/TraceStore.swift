import Foundation
import GRDB
import GRDBSQLite
import ProgramFiles

/// A trace file: one SQLite database with one run or several.
public final class TraceStore: Sendable {
    public let path: String
    let database: DatabaseQueue

    public enum Creation: Sendable {
        /// The file must not exist.
        case new
        /// An existing trace is replaced.
        case replacing
        /// Runs are added to an existing trace.
        case appending
    }

    private init(path: String, database: DatabaseQueue) {
        self.path = path
        self.database = database
    }

    // MARK: writing

    /// Opens a trace for writing, with the newest schema and a write-ahead log: killed at any moment, it stays readable.
    public static func create(path: String, _ creation: Creation = .new) throws -> TraceStore {
        let exists = FileManager.default.fileExists(atPath: path)
        switch creation {
        case .new where exists: throw TraceError.exists(path: path)
        case .replacing where exists:
            try checkIsOurs(path)
            for suffix in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: path + suffix) {
                try wrapping(path) { try FileManager.default.removeItem(atPath: path + suffix) }
            }
        case .appending where exists: try checkIsOurs(path, isKept: true)
        default: try checkFolder(of: path)
        }
        do {
            return try make(path: path, isNew: creation != .appending || !exists)
        } catch TraceError.database(_, let message) where !exists {
            throw TraceError.unwritable(path: path, reason: message)
        }
    }

    private static func make(path: String, isNew: Bool) throws -> TraceStore {
        try wrapping(path) {
            var configuration = Configuration()
            // The recorder makes its own references. To look each of them up would take longer than to write it.
            configuration.foreignKeysEnabled = false
            configuration.allowsUnsafeTransactions = true
            configuration.prepareDatabase { db in
                // A short log stays in the processor's cache. Waiting for the disk guards against power failures only,
                // and matters where there are earlier runs to lose.
                try db.execute(
                    sql: """
                        PRAGMA page_size = \(PageCount.pageBytes); PRAGMA journal_mode = WAL;
                        PRAGMA wal_autocheckpoint = \((4 << 20) / PageCount.pageBytes);
                        PRAGMA synchronous = \(isNew ? "OFF" : "NORMAL")
                        """)
                TraceFunctions.register(in: db)
                try distrust(db)
            }
            let store = TraceStore(path: path, database: try DatabaseQueue(path: path, configuration: configuration))
            try store.migrate()
            return store
        }
    }

    /// Throws unless the file is a trace, or a database without tables as a trace is when it begins: nothing else is
    /// replaced, nor gets our tables.
    ///
    /// - Parameter isKept: whether its rows stay, and so must be a trace's in full.
    private static func checkIsOurs(_ path: String, isKept: Bool = false) throws {
        try checkHeader(of: path)
        try wrapping(path) {
            var configuration = Configuration()
            configuration.readonly = true
            configuration.prepareDatabase(distrust)
            let database = try DatabaseQueue(path: path, configuration: configuration)
            defer { try? database.close() }
            let isOurs = try database.read { db in
                if try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_schema") == 0 { return true }
                guard try isTrace(db) else { return false }
                if isKept { try checkSchema(of: path, db, allowsTriggers: false) }
                return true
            }
            guard isOurs else { throw TraceError.notATrace(path: path, found: foreignDatabase) }
        }
    }

    private static let foreignDatabase = "a database without the tables of a trace"

    private static func isTrace(_ db: Database) throws -> Bool {
        try db.tableExists("run") && (db.viewExists("op") || db.tableExists("op"))
    }

    /// Brings the schema up to date by the migrations that the file has not seen.
    private func migrate() throws {
        try database.write { db in
            let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
            guard version <= Schema.migrations.count else {
                throw TraceError.newerSchema(path: path, found: version, supported: Schema.migrations.count)
            }
            for (number, sql) in zip(1..., Schema.migrations).dropFirst(max(0, version)) {
                try db.execute(sql: sql)
                try db.execute(sql: "PRAGMA user_version = \(number)")
            }
        }
    }

    /// Folds the write-ahead log into the file, so that one plain file is left, and closes it.
    public func close() throws {
        try TraceStore.wrapping(path) {
            try database.writeWithoutTransaction { db in
                try db.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE")
            }
            try database.close()
        }
    }

    // MARK: reading

    /// Opens a trace for reading only.
    public static func open(path: String) throws -> TraceStore {
        guard FileManager.default.fileExists(atPath: path) else { throw TraceError.missing(path: path) }
        try checkHeader(of: path)
        do {
            return try wrapping(path) {
                var configuration = Configuration()
                configuration.readonly = true
                configuration.prepareDatabase { db in
                    // Who reads a trace reads no other file.
                    sqlite3_limit(db.sqliteConnection, SQLITE_LIMIT_ATTACHED, 0)
                    try distrust(db)
                    TraceFunctions.register(in: db)
                    guard try isTrace(db) else { throw TraceError.notATrace(path: path, found: foreignDatabase) }
                    try checkSchema(of: path, db, allowsTriggers: true)
                    try addRoles(db)
                }
                return TraceStore(
                    path: path, database: try DatabaseQueue(path: path, configuration: configuration))
            }
        } catch TraceError.database where hasUnreadableLog(path) {
            throw TraceError.unrecoveredLog(path: path)
        }
    }

    /// Of a trace of an earlier version, which is read as it is.
    private static func addRoles(_ db: Database) throws {
        let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        guard version < Schema.firstWithRoles else { return }
        try db.execute(sql: Schema.rolesBeside(version: version))
    }

    /// SQLite reads a write-ahead log by way of a file that it makes beside it.
    private static func hasUnreadableLog(_ path: String) -> Bool {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        return FileManager.default.fileExists(atPath: path + "-wal")
            && !FileManager.default.isWritableFile(atPath: folder)
    }

    /// SQLite says only that it cannot open the file.
    static func checkFolder(of path: String) throws {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: folder, isDirectory: &isDirectory) else {
            throw TraceError.unwritable(path: path, reason: "there is no folder \(folder)")
        }
        guard isDirectory.boolValue else { throw TraceError.unwritable(path: path, reason: "\(folder) is no folder") }
        guard FileManager.default.isWritableFile(atPath: folder) else {
            throw TraceError.unwritable(path: path, reason: "the folder \(folder) may not be written to")
        }
    }

    /// The first bytes every SQLite file has; checked before SQLite sees the file, for a clearer message.
    private static func checkHeader(of path: String) throws {
        var isDirectory: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory.boolValue {
            throw TraceError.notATrace(path: path, found: "a directory")
        }
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw TraceError.database(path: path, message: "cannot be read; check its permissions")
        }
        defer { try? handle.close() }
        let start = try handle.read(upToCount: 16) ?? Data()
        if start.isEmpty { throw TraceError.notATrace(path: path, found: "an empty file") }
        if start.starts(with: Data("GGUF".utf8)) {
            throw TraceError.notATrace(path: path, found: "a GGUF model")
        }
        guard start == Data("SQLite format 3\0".utf8) else {
            throw TraceError.notATrace(path: path, found: "a file of another kind")
        }
    }

    /// Runs `body`, wording SQLite's own errors.
    static func wrapping<Result>(_ path: String, _ body: () throws -> Result) throws -> Result {
        do { return try body() } catch { throw worded(error, path) }
    }

    static func wrapping<Result>(_ path: String, _ body: () async throws -> Result) async throws -> Result {
        do { return try await body() } catch { throw worded(error, path) }
    }

    private static func worded(_ error: any Error, _ path: String) -> any Error {
        switch error {
        case let error as DatabaseError where error.resultCode.primaryResultCode == .SQLITE_CORRUPT:
            TraceError.corrupt(path: path)
        case let error as DatabaseError: TraceError.database(path: path, message: error.message ?? "\(error)")
        case let error as CocoaError: TraceError.database(path: path, message: FileProblem.reason(of: error))
        default: error
        }
    }
}
