import GRDB
import GRDBSQLite

/// What a file of some version must have before anything of it is read: nothing in a stranger's trace runs.
extension TraceStore {
    /// Makes a connection deaf to what the file's own schema would call.
    static func distrust(_ db: Database) throws {
        try db.execute(sql: "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON")
    }

    /// Checks that tables are tables with all their columns, and that views are those of Quipu: a view is run as if it
    /// were a query of ours. Other tables and views may be there, but no triggers where the file is written to.
    ///
    /// - Parameters:
    ///   - database: `main`, or what another file is attached as.
    ///   - allowsTriggers: whether the file is only read.
    /// - Throws: `TraceError.damaged`.
    static func checkSchema(
        of path: String, _ db: Database, in database: String = "main", allowsTriggers: Bool
    ) throws {
        let version = try Int.fetchOne(db, sql: "PRAGMA \(database).user_version") ?? 0
        func damage(_ name: String, _ column: String, _ found: String, _ expected: String) -> TraceError {
            .damaged(
                TraceDamage(
                    path: path, table: "sqlite_schema", row: "name \(name)", column: column, found: found,
                    expected: expected))
        }
        guard version > 0 else {
            throw TraceError.damaged(
                TraceDamage(
                    path: path, table: "PRAGMA user_version", row: "", column: "user_version", found: "\(version)",
                    expected: "1 to \(Schema.migrations.count)"))
        }
        guard version <= Schema.migrations.count else {
            throw TraceError.newerSchema(path: path, found: version, supported: Schema.migrations.count)
        }
        var found: [String: (type: String, sql: String, isVirtual: Bool)] = [:]
        let objects = try Row.fetchCursor(
            db, sql: "SELECT type, name, coalesce(sql, ''), coalesce(rootpage, 0) FROM \(database).sqlite_schema")
        while let object = try objects.next() {
            let values = Array(object.databaseValues)
            guard case .string(let type) = values[0].storage, case .string(let name) = values[1].storage,
                case .string(let sql) = values[2].storage
            else { continue }
            if type == "trigger", !allowsTriggers {
                throw damage(name, "type", "a trigger", "none: what is in the file would run when it is written to")
            }
            if type == "table" || type == "view" {
                found[name] = (type, sql, type == "table" && values[3] == 0.databaseValue)
            }
        }
        for object in try SchemaObject.all(version: version) {
            guard let own = found[object.name] else {
                throw damage(object.name, "name", "nothing of this name", "a \(object.type)")
            }
            guard own.type == object.type, !own.isVirtual else {
                throw damage(object.name, "type", "a \(own.isVirtual ? "virtual table" : own.type)", "a \(object.type)")
            }
            if object.type == "view" {
                guard object.isMade(by: own.sql) else {
                    throw damage(object.name, "sql", "another view", "the view that Quipu makes")
                }
            } else {
                let columns = try SchemaObject.columns(of: object.name, db.sqliteConnection, in: database)
                // What SQLite computes may be stored in a copy that another program made.
                for column in object.columns where !columns.contains(column) && !columns.contains(column.stored) {
                    throw damage(object.name, "sql", "no column \(column.name)", "a table with this column")
                }
            }
        }
    }
}

extension TraceStore {
    var version: Int { get throws { try database.read { try Int.fetchOne($0, sql: "PRAGMA user_version") ?? 0 } } }

    /// Whether traces of the file's version have a table; whatever else has the name in an earlier one is no table of ours.
    public func has(_ table: String) throws -> Bool {
        let version = try version
        return try SchemaObject.all(version: version).contains { $0.name == table && $0.type == "table" }
    }
}

/// A table or view as the migrations make it.
private struct SchemaObject: Sendable {
    let name: String
    let type: String
    let sql: String
    /// Of a table.
    let columns: [Column]

    struct Column: Hashable {
        let name: String
        /// 0 of what is stored, 2 of what SQLite computes.
        let hidden: Int

        var stored: Column { Column(name: name, hidden: 0) }
    }

    /// What a file of the newest version has.
    private static let newest = Result { try made(version: Schema.migrations.count) }

    static func all(version: Int) throws -> [SchemaObject] {
        try version == Schema.migrations.count ? newest.get() : made(version: version)
    }

    /// Whether a statement makes the same, spaces aside.
    func isMade(by statement: String) -> Bool {
        func words(_ sql: String) -> [Substring] { sql.split(whereSeparator: \.isWhitespace) }
        return statement == sql || words(statement) == words(sql)
    }

    /// - Parameter name: a table of ours.
    static func columns(of name: String, _ connection: OpaquePointer?, in database: String) throws -> [Column] {
        try rows("PRAGMA \(database).table_xinfo(\(name))", connection).map {
            Column(name: $0[1], hidden: Int($0[6]) ?? 0)
        }
    }

    private static func made(version: Int) throws -> [SchemaObject] {
        var connection: OpaquePointer?
        defer { sqlite3_close(connection) }
        try check(sqlite3_open(":memory:", &connection), connection)
        for sql in Schema.migrations.prefix(version) {
            try check(sqlite3_exec(connection, sql, nil, nil, nil), connection)
        }
        let objects = try rows("SELECT name, type, sql FROM sqlite_schema WHERE type IN ('table', 'view')", connection)
        return try objects.map {
            SchemaObject(
                name: $0[0], type: $0[1], sql: $0[2], columns: try columns(of: $0[0], connection, in: "main"))
        }
    }

    /// By SQLite alone: GRDB looks into each statement, which would take most of the time that opening a trace takes.
    private static func rows(_ sql: String, _ connection: OpaquePointer?) throws -> [[String]] {
        var statement: OpaquePointer?
        defer { sqlite3_finalize(statement) }
        try check(sqlite3_prepare_v2(connection, sql, -1, &statement, nil), connection)
        var rows: [[String]] = []
        while true {
            let code = sqlite3_step(statement)
            if code == SQLITE_DONE { return rows }
            try check(code, connection, expected: SQLITE_ROW)
            rows.append(
                (0..<sqlite3_column_count(statement)).map {
                    sqlite3_column_text(statement, $0).map { String(cString: $0) } ?? ""
                })
        }
    }

    private static func check(_ code: Int32, _ connection: OpaquePointer?, expected: Int32 = SQLITE_OK) throws {
        guard code != expected else { return }
        throw DatabaseError(
            resultCode: ResultCode(rawValue: code), message: String(cString: sqlite3_errmsg(connection)))
    }
}
