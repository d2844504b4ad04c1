import ComputeGraph
import Foundation
import GRDB
import LlamaModel
import Tensors

/// A run as a reader sees it.
public struct RecordedRun: Sendable {
    /// The file it is in.
    public let trace: String
    public let id: Int
    public let prompt: String
    public let capture: String
    public let isComplete: Bool
    public let modelID: Int
    public let modelPath: String
    /// SHA-256 of the model's bytes, lower-case hexadecimal; `nil` if the run was cut off before it was known.
    public let modelDigest: String?
    public let steps: Int
    /// Names the run, wherever its file is; `nil` in traces of earlier versions.
    public let uuid: String?
    /// The run that this one is a changed repetition of.
    public let parent: RunReference?

    /// Where the model's file is: where it was, or beside the trace if both have moved; `nil` if it is in neither.
    public func currentModelPath() -> String? {
        let folder = URL(fileURLWithPath: trace).deletingLastPathComponent()
        // Earlier versions wrote paths as typed, often from the trace's folder.
        let name = URL(fileURLWithPath: modelPath).lastPathComponent
        return [modelPath, folder.appending(path: modelPath).path, folder.appending(path: name).path].first {
            FileManager.default.fileExists(atPath: $0)
        }
    }
}

/// A token of a run as a reader sees it.
public struct RecordedToken: Sendable {
    public let position: Int
    public let id: Int
    public let piece: String
    /// `prompt` or `generated`.
    public let source: String
}

/// A forward evaluation as a reader sees it.
public struct RecordedPass: Sendable {
    public let id: Int
    public let step: Int
    public let firstPosition: Int
    public let tokens: Int
}

/// An operation as a reader sees it.
public struct RecordedOperation: Sendable {
    public let id: Int
    public let step: Int
    public let firstPosition: Int
    public let tokens: Int
    public let seq: Int
    public let name: String
    public let kind: String
    /// What its value is in the network; `nil` only of a trace that somebody else wrote.
    public let role: NodeRole?
    public let layer: Int?
    public let type: TensorType
    public let shape: Shape
    public let parameters: String
    public let nanoseconds: Int
    public let flops: Int
    public let bytesRead: Int
    public let bytesWritten: Int
    public let count: Int
    public let sum: Double?
    public let minimum: Double?
    public let maximum: Double?
    public let mean: Double?
    public let rms: Double?
    public let std: Double?
    public let zeros: Int
    public let nans: Int
    public let infinities: Int
}

/// One input of a recorded operation.
public struct RecordedInput: Sendable {
    public let slot: Int
    public let sourceOperation: Int?
    public let weightID: Int?
    public let name: String
    public let shape: Shape
}

extension TraceStore {
    /// All runs, oldest first.
    public func runs() throws -> [RecordedRun] {
        try fetch(
            """
            SELECT run.*, path, sha256, (SELECT count(*) FROM pass WHERE run_id = run.id) AS steps
            FROM run JOIN model ON model.id = run.model_id ORDER BY run.id
            """
        ) { row in
            let parentPath: String? = row["parent_path"]
            return RecordedRun(
                trace: path, id: row["id"], prompt: row["prompt"], capture: row["capture"],
                isComplete: row["complete"], modelID: row["model_id"], modelPath: row["path"],
                modelDigest: row["sha256"], steps: row["steps"], uuid: row["uuid"],
                parent: parentPath.map { RunReference(uuid: row["parent"], path: $0) })
        }
    }

    /// The tokens of a run, by position.
    public func tokens(of run: RecordedRun) throws -> [RecordedToken] {
        try fetch("SELECT * FROM token WHERE run_id = ? ORDER BY position", [run.id]) { row in
            RecordedToken(position: row["position"], id: row["token_id"], piece: row["piece"], source: row["source"])
        }
    }

    /// The passes of a run, by step.
    public func passes(of run: RecordedRun) throws -> [RecordedPass] {
        try fetch("SELECT * FROM pass WHERE run_id = ? ORDER BY step", [run.id]) { row in
            RecordedPass(
                id: row["id"], step: row["step"], firstPosition: row["first_position"], tokens: row["n_tokens"])
        }
    }

    /// The most probable next token after a step, and the position it follows; `nil` if the step did not get there.
    public func prediction(of run: RecordedRun, step: Int) throws -> (position: Int, Candidate)? {
        try fetch(
            """
            SELECT logit.* FROM logit JOIN pass ON pass.id = logit.pass_id
            WHERE pass.run_id = ? AND pass.step = ? AND lens_layer IS NULL AND rank = 0 ORDER BY position DESC LIMIT 1
            """, [run.id, step]
        ) { row in
            // A broken model's NaN is NULL.
            (
                row["position"] as Int,
                Candidate(
                    token: row["token_id"], piece: row["piece"], logit: row["logit"] ?? .nan,
                    probability: row["probability"] ?? .nan)
            )
        }.first
    }

    /// How the run's tokens were chosen.
    public func sampling(of run: RecordedRun) throws -> Sampler.Options {
        try fetch("SELECT sampling, seed FROM run WHERE id = ?", [run.id]) { row in
            let text: String = row["sampling"]
            let numbers = try JSONDecoder().decode([String: Double].self, from: Data(text.utf8))
            var options = Sampler.Options()
            options.temperature = numbers["temperature"].map { Float($0) } ?? options.temperature
            options.topK = numbers["top_k"].map { Int($0) } ?? options.topK
            options.topP = numbers["top_p"].map { Float($0) } ?? options.topP
            options.minP = numbers["min_p"].map { Float($0) } ?? options.minP
            options.seed = UInt64(bitPattern: row["seed"] as Int64)
            return options
        }[0]
    }

    /// Positions the run's cache had room for: rows of what keys are written to. `nil` if no operation was recorded.
    public func cacheCells(of run: RecordedRun) throws -> Int? {
        try fetch(
            """
            SELECT op.ne1 FROM op JOIN pass ON pass.id = op.pass_id
            WHERE pass.run_id = ? AND op.role = ? LIMIT 1
            """, [run.id, NodeRole(.keyCache).rawValue]
        ) { row -> Int in row["ne1"] }.first
    }

    /// The run with this id, or the newest.
    public func run(id: Int? = nil) throws -> RecordedRun {
        let all = try runs()
        guard let newest = all.last else { throw TraceError.noRun(path: path) }
        guard let id else { return newest }
        guard let run = all.first(where: { $0.id == id }) else {
            throw TraceError.noSuchRun(path: path, asked: id, runs: all.map(\.id))
        }
        return run
    }

    /// The operations of one step of a run, in order.
    public func operations(of run: RecordedRun, step: Int) throws -> [RecordedOperation] {
        try operations(of: run, step: step, where: "TRUE", [])
    }

    /// One operation of a step by its index in the graph; `nil` if the graph has fewer.
    public func operation(_ seq: Int, of run: RecordedRun, step: Int) throws -> RecordedOperation? {
        try operations(of: run, step: step, where: "op.seq = ?", [seq]).first
    }

    private func operations(
        of run: RecordedRun, step: Int, where condition: String, _ values: StatementArguments
    ) throws -> [RecordedOperation] {
        guard (0..<run.steps).contains(step) else {
            throw TraceError.noPass(path: path, step: step, steps: run.steps)
        }
        return try fetch(
            """
            SELECT op.*, pass.step, pass.first_position, pass.n_tokens FROM op JOIN pass ON pass.id = op.pass_id
            WHERE pass.run_id = ? AND pass.step = ? AND \(condition) ORDER BY op.seq
            """, [run.id, step] + values, RecordedOperation.init)
    }

    /// The inputs of an operation, in order.
    public func inputs(of operation: RecordedOperation) throws -> [RecordedInput] { try inputs(ofID: operation.id) }

    func inputs(ofID id: Int) throws -> [RecordedInput] {
        try fetch("SELECT * FROM op_input WHERE op_id = ? ORDER BY slot", [id]) { row in
            RecordedInput(
                slot: row["slot"], sourceOperation: row["source_op_id"], weightID: row["weight_id"], name: row["name"],
                shape: Shape(row["ne0"], row["ne1"], row["ne2"], row["ne3"]))
        }
    }

    /// The operation that an address names.
    public func operation(_ address: TensorAddress, run: RecordedRun, step: Int) throws -> RecordedOperation {
        let all = try operations(of: run, step: step)
        let matches = all.filter { $0.name == address.name }
        guard !matches.isEmpty else {
            throw TraceError.noOperation(
                name: address.name, suggestions: nearest(to: address.name, in: all.map(\.name)))
        }
        guard let index = address.occurrence else { return matches.last! }
        guard matches.indices.contains(index) else {
            throw TraceError.noOccurrence(name: address.name, asked: index, count: matches.count)
        }
        return matches[index]
    }

    // MARK: SQL

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
                db, sql: "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY type, name")
            return ". There are " + names.joined(separator: ", ") + "."
        }
        if let name = message.split(separator: "no such column: ").last, name.count < message.count {
            let columns = try String.fetchAll(
                db,
                sql:
                    "SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c ORDER BY t.type DESC, 1"
            )
            let bare = nearest(to: String(name), in: columns.map { String($0.split(separator: ".")[1]) })
            let holders = columns.filter { column in bare.contains { column.hasSuffix("." + $0) } }
            return holders.isEmpty
                ? ". `SELECT name FROM pragma_table_info('op')` lists a table's columns."
                : ". Did you mean \(holders.prefix(4).joined(separator: ", "))?"
        }
        return ""
    }

    func fetch<Value>(
        _ sql: String, _ arguments: StatementArguments = [], _ transform: (Row) throws -> Value
    ) throws -> [Value] {
        try TraceStore.wrapping(path) {
            try database.read { db in try Row.fetchAll(db, sql: sql, arguments: arguments).map(transform) }
        }
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

extension RecordedOperation {
    init(_ row: Row) {
        let typeName: String = row["type"]
        id = row["id"]
        step = row["step"]
        firstPosition = row["first_position"]
        tokens = row["n_tokens"]
        seq = row["seq"]
        name = row["name"]
        kind = row["kind"]
        role = (row["role"] as String?).flatMap(NodeRole.init)
        layer = row["layer"]
        type = TensorType.allCases.first { $0.name == typeName } ?? .f32
        shape = Shape(row["ne0"], row["ne1"], row["ne2"], row["ne3"])
        parameters = row["params"]
        nanoseconds = row["ns"]
        flops = row["flops"]
        bytesRead = row["bytes_read"]
        bytesWritten = row["bytes_written"]
        count = row["n"]
        sum = row["sum"]
        minimum = row["min"]
        maximum = row["max"]
        mean = row["mean"]
        rms = row["rms"]
        std = row["std"]
        zeros = row["zeros"]
        nans = row["nan"]
        infinities = row["inf"]
    }
}

/// The names nearest to a mistyped one, by edit distance; none if all are far.
public func nearest(to name: String, in names: [String], limit: Int = 3) -> [String] {
    func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                (diagonal, row[j + 1]) = (row[j + 1], min(row[j + 1] + 1, row[j] + 1, diagonal + (x == y ? 0 : 1)))
            }
        }
        return row[b.count]
    }
    let wanted = Array(name.lowercased().utf8)
    var seen: Set<String> = []
    return names.filter { seen.insert($0).inserted }
        .map { ($0, distance(wanted, Array($0.lowercased().utf8))) }
        .filter { $0.1 <= max(2, wanted.count / 3) }
        .sorted { $0.1 < $1.1 }.prefix(limit).map(\.0)
}
