import Foundation
import GRDB
import ProgramFiles

/// What merging one trace into another came to.
public struct MergedTrace: Sendable {
    public let path: String
    public let runsAdded: Int
    /// Runs that were there already.
    public let runsKnown: Int
    public internal(set) var rowsAdded: Int
    /// Rows of the trace that were there already.
    public internal(set) var rowsKnown: Int
}

extension TraceStore {
    /// Adds everything that another trace holds and this one does not, in one transaction: it happens as a whole or not at
    /// all, and a second time nothing is left to add.
    ///
    /// A model is the same if its bytes are, a run if its uuid is; rows below them by what tells them apart in their table.
    /// Of a run that is in both, the copy with more in it stays.
    ///
    /// - Throws: `TraceError` if the other file is no trace, or is this one.
    public func merge(_ path: String) throws -> MergedTrace {
        guard !Self.isSameFile(path, self.path) else { throw TraceError.sameTrace(path: path) }
        let source = try TraceStore.open(path: path)
        let isCurrent = try source.version == Schema.migrations.count
        try source.database.close()
        guard !isCurrent else { return try merging(path, named: path) }
        // An earlier version is brought up to date in a copy.
        return try TraceStore.wrapping(path) {
            let scratch = try ScratchFolder("merge")
            defer { scratch.remove() }
            let copy = scratch.path("trace.db")
            for suffix in ["", "-wal"] where FileManager.default.fileExists(atPath: path + suffix) {
                try FileManager.default.copyItem(atPath: path + suffix, toPath: copy + suffix)
            }
            try TraceStore.create(path: copy, .appending).close()
            return try merging(copy, named: path)
        }
    }

    private func merging(_ file: String, named path: String) throws -> MergedTrace {
        try TraceStore.wrapping(self.path) {
            try database.writeWithoutTransaction { db in
                try db.execute(sql: "ATTACH DATABASE ? AS source", arguments: [file])
                defer { try? db.execute(sql: "DETACH DATABASE source") }
                var result: MergedTrace?
                try db.inTransaction(.immediate) {
                    result = try Merge(db).run(named: path)
                    return .commit
                }
                return result!
            }
        }
    }

    /// Whether two paths lead to one file.
    public static func isSameFile(_ a: String, _ b: String) -> Bool {
        func identity(_ path: String) -> [Int]? {
            guard
                let facts = try? FileManager.default.attributesOfItem(
                    atPath: URL(fileURLWithPath: path).resolvingSymlinksInPath().path)
            else { return nil }
            return [facts[.systemNumber] as? Int ?? 0, facts[.systemFileNumber] as? Int ?? 0]
        }
        return identity(a) != nil && identity(a) == identity(b)
    }
}

/// The merge of the attached database `source` into `main`.
private struct Merge {
    private let db: Database
    /// Of the tables that both have: columns, and whether each may be NULL.
    private let tables: [(table: MergedTable, columns: [(name: String, isNullable: Bool)])]

    init(_ db: Database) throws {
        self.db = db
        tables = try MergedTable.all.compactMap { table in
            let isTable = "SELECT 1 FROM source.sqlite_schema WHERE type = 'table' AND name = ?"
            guard try Int.fetchOne(db, sql: isTable, arguments: [table.name]) != nil else { return nil }
            let columns = try Row.fetchAll(db, sql: "PRAGMA source.table_info(\(table.name))").map { row in
                (name: row["name"] as String, isNullable: row["notnull"] as Int == 0)
            }
            return (table, columns)
        }
    }

    func run(named path: String) throws -> MergedTrace {
        for family in IdentityFamily.allCases {
            try db.execute(
                sql: """
                    DROP TABLE IF EXISTS temp.new_\(family);
                    CREATE TEMP TABLE new_\(family) (old INTEGER PRIMARY KEY, new INTEGER NOT NULL, is_new INTEGER NOT NULL)
                    """)
        }
        try dropShorterRuns()
        try nameRuns()
        try nameModels()
        try namePasses()
        var merged = MergedTrace(
            path: path, runsAdded: try count("new_run WHERE is_new"), runsKnown: try count("new_run WHERE NOT is_new"),
            rowsAdded: 0, rowsKnown: 0)
        for (table, columns) in tables {
            try db.execute(sql: table.copying(columns))
            let added = db.changesCount
            merged.rowsAdded += added
            merged.rowsKnown += try count("source.\(table.name)") - added
        }
        return merged
    }

    private func count(_ rows: String) throws -> Int { try Int.fetchOne(db, sql: "SELECT count(*) FROM \(rows)")! }

    private func has(_ table: String) -> Bool { tables.contains { $0.table.name == table } }

    private var hasUUID: Bool {
        tables.contains { $0.table.name == "run" && $0.columns.contains { $0.name == "uuid" } }
    }

    // MARK: who is who

    /// What tells a run apart from all others: its uuid, or of an early version's runs everything that
    /// stays the same, and the nanoseconds of its first pass.
    private func identity(_ database: String) -> String {
        """
        coalesce(\(hasUUID ? "run.uuid" : "NULL"), run.created_at || char(0) || run.engine_version || char(0) || run.prompt || char(0) || run.seed
            || char(0) || run.capture || char(0) || run.sampling || char(0) || run.threads || char(0) || coalesce(
                (SELECT sum(ns) FROM \(database).op JOIN \(database).pass ON pass.id = pass_id
                    WHERE pass.run_id = run.id AND step = 0), ''))
        """
    }

    /// Runs that are in both, by their ids there and here.
    private var shared: String {
        """
        SELECT theirs.id AS old, ours.id AS new, theirs.complete > ours.complete AS is_longer
        FROM (SELECT run.id, complete, \(identity("source")) AS identity FROM source.run) AS theirs
            JOIN (SELECT run.id, complete, \(identity("main")) AS identity FROM main.run) AS ours USING (identity)
        """
    }

    private func nameRuns() throws {
        try db.execute(sql: "INSERT INTO new_run SELECT old, min(new), 0 FROM (\(shared)) GROUP BY old")
        try addRest(.run, of: "source.run")
    }

    /// The rest of a family gets numbers above all that are in use.
    private func addRest(_ family: IdentityFamily, of rows: String) throws {
        try db.execute(
            sql: """
                INSERT INTO new_\(family)
                    SELECT id, id + (SELECT coalesce(max(id), 0) FROM main.\(family)), 1 FROM \(rows)
                    WHERE id NOT IN (SELECT old FROM new_\(family))
                """)
    }

    private func nameModels() throws {
        try db.execute(
            sql: """
                INSERT INTO new_model
                    SELECT theirs.model_id, min(ours.model_id), 0 FROM new_run JOIN source.run AS theirs ON theirs.id = old
                        JOIN main.run AS ours ON ours.id = new WHERE NOT is_new GROUP BY theirs.model_id;
                INSERT INTO new_model
                    SELECT theirs.id, min(ours.id), 0 FROM source.model AS theirs JOIN main.model AS ours USING (sha256)
                    WHERE theirs.id NOT IN (SELECT old FROM new_model) GROUP BY theirs.id
                """)
        try addRest(.model, of: "source.model")
        try db.execute(
            sql: """
                INSERT INTO new_weight
                    SELECT theirs.id, ours.id, 0 FROM source.weight AS theirs
                        JOIN new_model ON new_model.old = theirs.model_id
                        JOIN main.weight AS ours ON ours.model_id = new_model.new AND ours.name = theirs.name
                """)
        try addRest(.weight, of: "source.weight")
    }

    private func namePasses() throws {
        let isNewRun = "run_id IN (SELECT old FROM new_run WHERE is_new)"
        if has("intervention") {
            try addRest(.intervention, of: "(SELECT * FROM source.intervention WHERE \(isNewRun))")
        }
        try db.execute(
            sql: """
                INSERT INTO new_pass
                    SELECT theirs.id, ours.id, 0 FROM source.pass AS theirs JOIN new_run ON old = theirs.run_id AND NOT is_new
                        JOIN main.pass AS ours ON ours.run_id = new AND ours.step = theirs.step
                """)
        try addRest(.pass, of: "source.pass")
        if has("graph") {
            try db.execute(
                sql: """
                    INSERT INTO new_graph
                        SELECT theirs.graph_id, min(ours.graph_id), 0 FROM new_pass
                            JOIN source.pass AS theirs ON theirs.id = old JOIN main.pass AS ours ON ours.id = new
                        WHERE NOT is_new AND theirs.graph_id IS NOT NULL GROUP BY theirs.graph_id
                    """)
            try addRest(.graph, of: "source.graph")
        }
        try db.execute(
            sql: """
                INSERT INTO new_op
                    SELECT theirs.id, ours.id, 0 FROM source.op AS theirs JOIN new_pass ON old = theirs.pass_id AND NOT is_new
                        JOIN main.op AS ours ON ours.pass_id = new AND ours.seq = theirs.seq
                """)
        try addRest(.op, of: "source.op")
    }

    // MARK: runs that went on

    /// Takes out of `main` what is there of runs that were cut off in it and are whole in `source`.
    private func dropShorterRuns() throws {
        try db.execute(
            sql: """
                DROP TABLE IF EXISTS temp.shorter;
                CREATE TEMP TABLE shorter AS SELECT DISTINCT new AS id FROM (\(shared)) WHERE is_longer
                """)
        guard try count("shorter") > 0 else { return }
        // The model's digest is known when a run is whole.
        try db.execute(
            sql: """
                UPDATE main.model SET sha256 = (
                    SELECT source.model.sha256 FROM (\(shared)) AS shared JOIN source.run ON source.run.id = shared.old
                        JOIN source.model ON source.model.id = source.run.model_id
                        JOIN main.run ON main.run.id = shared.new WHERE main.run.model_id = main.model.id)
                WHERE sha256 IS NULL AND id IN (SELECT model_id FROM main.run WHERE id IN shorter)
                """)
        let passes = "SELECT id FROM main.pass WHERE run_id IN shorter"
        let doomed: [IdentityFamily: String] = [
            .run: "SELECT id FROM shorter", .pass: passes, .op: "SELECT id FROM main.op WHERE pass_id IN (\(passes))",
            .intervention: has("intervention")
                ? "SELECT id FROM main.intervention WHERE run_id IN shorter" : "SELECT 0",
        ]
        for (table, _) in tables.reversed() {
            if let family = table.family, let ids = doomed[family] {
                try db.execute(sql: "DELETE FROM main.\(table.name) WHERE id IN (\(ids))")
            } else if let parent = table.references.first(where: { doomed[$0.family] != nil }) {
                try db.execute(
                    sql: "DELETE FROM main.\(table.name) WHERE \(parent.column) IN (\(doomed[parent.family]!))")
            }
        }
    }
}
