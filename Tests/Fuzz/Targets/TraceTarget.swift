import Foundation
import GRDB
import Recording
import TestSupport

extension FuzzTarget {
    /// A trace whose rows the input changes, read as the commands do. `scripts/mutate_traces.py` does it with the program.
    static let trace = FuzzTarget("trace", "changes of a trace: table, column, row, value") { bytes in
        let path = try Scratch.write(TraceBase.shared.bytes, to: "trace.db")
        try TraceBase.shared.change(path, with: bytes)
        try readAll(of: path)
    }

    private static func readAll(of path: String) throws {
        let store = try TraceStore.open(path: path)
        for run in try store.runs() {
            _ = try store.tokens(of: run)
            _ = try store.sizes(of: run)
            _ = try store.sampling(of: run)
            _ = try store.firstBroken(of: run)
            for pass in try store.passes(of: run) {
                _ = try store.candidates(after: pass)
                _ = try store.inputNames(of: pass)
                for operation in try store.operations(of: run, step: pass.step) {
                    _ = try store.inputs(of: operation)
                    _ = try store.users(of: operation)
                    // What is refused here is no reason to leave the others unread.
                    do { _ = try store.values(of: operation, in: run) } catch let error as TraceError { _ = "\(error)" }
                }
            }
        }
    }
}

/// A small trace and what its schema offers to change.
private struct TraceBase {
    let bytes: [UInt8]
    private let tables: [(name: String, columns: [String])]

    static let shared = try! TraceBase()

    private init() throws {
        let path = try Self.record()
        bytes = Array(try Data(contentsOf: URL(filePath: path)))
        let database = try DatabaseQueue(path: path)
        tables = try database.read { db in
            try String.fetchAll(
                db, sql: "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            ).map { table in
                (table, try db.columns(in: table).map(\.name))
            }
        }
    }

    private static func record() throws -> String {
        let folder = try TemporaryFolder()
        let made = DispatchSemaphore(value: 0)
        Task.detached {
            _ = try await Recorded(prompt: "Once", generate: 1, Capture(.all), in: folder)
            made.signal()
        }
        made.wait()
        let path = Scratch.folder.appending(path: "base.db").path
        try FileManager.default.copyItem(atPath: folder.path("trace.db"), toPath: path)
        return path
    }

    /// Statements that SQLite refuses change nothing.
    func change(_ path: String, with bytes: [UInt8]) throws {
        var configuration = Configuration()
        configuration.foreignKeysEnabled = false
        let database = try DatabaseQueue(path: path, configuration: configuration)
        defer { try? database.close() }
        var input = Cursor(bytes)
        if input.byte() & 1 != 0 {
            try database.writeWithoutTransaction { db in
                try db.execute(
                    sql: """
                        PRAGMA writable_schema = ON;
                        UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')');
                        PRAGMA writable_schema = RESET
                        """)
            }
        }
        try database.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA synchronous = OFF; PRAGMA ignore_check_constraints = ON")
            for _ in 0..<8 where !input.isEmpty { statement(from: &input, in: db) }
        }
    }

    private func statement(from input: inout Cursor, in db: Database) {
        let table = tables[input.byte() % tables.count]
        let column = input.choose(table.columns)
        let (verb, offset) = (input.byte(), input.byte())
        let row = "rowid = (SELECT rowid FROM \"\(table.name)\" LIMIT 1 OFFSET \(offset))"
        let rows = verb & 0x80 != 0 ? "1" : row
        switch verb & 7 {
        case 0: try? db.execute(sql: "DELETE FROM \"\(table.name)\" WHERE \(rows)")
        default:
            let sql = "UPDATE OR REPLACE \"\(table.name)\" SET \"\(column)\" = ? WHERE \(rows)"
            try? db.execute(sql: sql, arguments: [value(verb & 7, from: &input)])
        }
    }

    private func value(_ kind: Int, from input: inout Cursor) -> DatabaseValue {
        switch kind {
        case 1: (Int64(input.byte()) - 128).databaseValue
        case 2: input.integer().databaseValue
        case 3: Double(bitPattern: UInt64(bitPattern: input.integer())).databaseValue
        case 4: String(decoding: input.take(input.byte()), as: UTF8.self).databaseValue
        case 5: Data(input.take(input.byte())).databaseValue
        case 6: (Int64(1) << Int64(input.byte() % 64)).databaseValue
        default: .null
        }
    }
}
