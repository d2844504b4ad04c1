import Foundation
import GGUF
import GRDB
import GRDBSQLite
import ProgramFiles

/// A trace file: one SQLite database with one run or several.
public final class TraceStore: Sendable {
    /// The file that is open.
    public let path: String
    let database: DatabaseQueue
    /// The trace that this one replaces when it is complete.
    public let replaced: String?

    public enum Creation: Sendable {
        /// The file must not exist.
        case new
        /// An existing trace is replaced.
        case replacing
        /// Runs are added to an existing trace.
        case appending
    }

    private init(path: String, database: DatabaseQueue, replaced: String? = nil) {
        self.path = path
        self.database = database
        self.replaced = replaced
    }

    // MARK: writing

    /// Opens a trace for writing, with the newest schema and a write-ahead log: killed at any moment, it stays readable.
    ///
    /// What replaces a trace is written beside it, and gets its name when it is closed: until then the earlier one stays.
    public static func create(path: String, _ creation: Creation = .new) throws -> TraceStore {
        let exists = PathKind(at: path) != .missing
        switch creation {
        case .new where exists:
            throw isLeftover(path) ? TraceError.leftover(path: path) : TraceError.exists(path: path)
        case .replacing where exists:
            try checkIsOurs(path)
            return try makeBeside(path)
        case .appending where exists: try checkIsOurs(path, isKept: true)
        default: try checkFolder(of: path)
        }
        do {
            return try make(path: path, isNew: creation != .appending || !exists)
        } catch TraceError.database(_, let message) where !exists {
            throw TraceError.unwritable(path: path, reason: message)
        }
    }

    /// Opens a trace that others are added to. A new one gets its name when it is closed.
    public static func createMerged(path: String) throws -> TraceStore {
        PathKind(at: path) == .missing ? try makeBeside(path) : try create(path: path, .appending)
    }

    /// A trace that replaces what is at `path`, or is to be seen there only when it is complete.
    private static func makeBeside(_ path: String) throws -> TraceStore {
        try checkFolder(of: path)
        let path = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        return try make(path: PartialName.path(for: path), isNew: true, replaced: path)
    }

    private static func make(path: String, isNew: Bool, replaced: String? = nil) throws -> TraceStore {
        try wrapping(path) {
            var configuration = Configuration()
            // The recorder makes its own references. To look each of them up would take longer than to write it.
            configuration.foreignKeysEnabled = false
            configuration.allowsUnsafeTransactions = true
            // Whoever looks at the trace meanwhile holds it for moments.
            configuration.busyMode = .timeout(patience)
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
            let store = TraceStore(
                path: path, database: try DatabaseQueue(path: path, configuration: configuration), replaced: replaced)
            try store.migrate()
            return store
        }
    }

    /// Throws unless the file is a trace, or a database without tables as a trace is when it begins: nothing else is
    /// replaced, nor gets our tables.
    ///
    /// - Parameter isKept: whether its rows stay, and so must be a trace's in full.
    private static func checkIsOurs(_ path: String, isKept: Bool = false) throws {
        if isEmpty(path) { return }
        try recovering(path) {
            try looking(into: path) { db in
                if try isBlank(db) { return }
                guard try isTrace(db, inFull: !isKept) else {
                    throw TraceError.notATrace(path: path, found: foreignDatabase)
                }
                if isKept { try checkSchema(of: path, db, allowsTriggers: false) }
            }
        }
    }

    private static let foreignDatabase = "a database without the tables of a trace"
    private static let blankDatabase = "a database without any table, as a run leaves it that was killed as it began"

    /// Whether the file is a trace by its header, or, of before it was said there, by its tables.
    ///
    /// - Parameter inFull: whether it then must have all tables of its version.
    private static func isTrace(_ db: Database, inFull: Bool = false) throws -> Bool {
        switch try Int.fetchOne(db, sql: "PRAGMA application_id") ?? 0 {
        case applicationID: return true
        case 0:
            guard try db.tableExists("run"), try db.viewExists("op") || db.tableExists("op"),
                try Int.fetchOne(db, sql: "PRAGMA user_version") != 0
            else { return false }
            guard inFull else { return true }
            do { try checkSchema(of: "", db, allowsTriggers: true) } catch TraceError.damaged { return false }
            return true
        default: return false
        }
    }

    /// Brings the schema up to date by the migrations that the file has not seen.
    private func migrate() throws {
        try database.write { db in
            let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
            guard version <= Schema.migrations.count else {
                throw TraceError.newerSchema(path: path, found: version, supported: Schema.migrations.count)
            }
            try db.execute(sql: "PRAGMA application_id = \(Self.applicationID)")
            for (number, sql) in zip(1..., Schema.migrations).dropFirst(max(0, version)) {
                try db.execute(sql: sql)
                try db.execute(sql: "PRAGMA user_version = \(number)")
            }
        }
    }

    /// Folds the write-ahead log into the file, so that one plain file is left, and closes it. If it replaces another, it
    /// now has its name.
    public func close() throws {
        try TraceStore.wrapping(path) { try database.writeWithoutTransaction(Self.takeStock) }
        try closeUnfinished()
        if let replaced {
            // A log of the earlier trace would be taken for one of the new.
            for ending in PartialName.databaseEndings { unlink(replaced + ending) }
            guard rename(path, replaced) == 0 else {
                throw TraceError.unwritable(path: replaced, reason: String(cString: strerror(errno)))
            }
        }
    }

    /// The same for a run that did not get to its end: what it was to replace stays.
    public func closeUnfinished() throws {
        try TraceStore.wrapping(path) {
            try database.writeWithoutTransaction(foldLog)
            try database.close()
        }
    }

    /// Seconds that a writer waits for readers.
    private static let patience = 2.0

    private func foldLog(_ db: Database) throws {
        let end = Date.now.addingTimeInterval(Self.patience)
        while true {
            do {
                return try db.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE")
            } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {
                // SQLite itself does not wait for readers here. Where one stays, the log stays beside the file, which
                // is as good, unless the file gets another name.
                if Date.now >= end {
                    if replaced == nil { return }
                    throw error
                }
                Thread.sleep(forTimeInterval: 0.01)
            }
        }
    }

    // MARK: reading

    /// Opens a trace for reading only.
    public static func open(path: String) throws -> TraceStore {
        guard PathKind(at: path) != .missing else { throw TraceError.missing(path: path) }
        try checkHeader(of: path)
        return try recovering(path) {
            var configuration = Configuration()
            configuration.readonly = true
            configuration.prepareDatabase { db in
                // Who reads a trace reads no other file.
                sqlite3_limit(db.sqliteConnection, SQLITE_LIMIT_ATTACHED, 0)
                try distrust(db)
                TraceFunctions.register(in: db)
                if try isBlank(db) { throw TraceError.notATrace(path: path, found: blankDatabase) }
                guard try isTrace(db) else { throw TraceError.notATrace(path: path, found: foreignDatabase) }
                try checkSchema(of: path, db, allowsTriggers: true)
                try addRoles(db)
            }
            return TraceStore(path: path, database: try DatabaseQueue(path: path, configuration: configuration))
        }
    }

    /// Of a trace of an earlier version, which is read as it is.
    private static func addRoles(_ db: Database) throws {
        let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        guard version < Schema.firstWithRoles else { return }
        try db.execute(sql: Schema.rolesBeside(version: version))
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
    static func checkHeader(of path: String) throws {
        if let found = PathKind(at: path).words { throw TraceError.notATrace(path: path, found: found) }
        guard let start = PathKind.start(of: path, bytes: 16) else {
            throw TraceError.database(path: path, message: "cannot be read; check its permissions")
        }
        if start.isEmpty { throw TraceError.notATrace(path: path, found: "an empty file") }
        if start.starts(with: Data("GGUF".utf8)) {
            throw TraceError.model(path: path)
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
