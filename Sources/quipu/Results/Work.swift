import Foundation
import GGUF
import Presentation
import ProgramFiles
import Quantizing
import Recording
import Tokenization
import Measuring

/// Long work that falls apart into units, each of which gives a row.
///
/// Rows are kept as they come, where the user wants that, and what an earlier run has kept is not computed again. A row must
/// hold all that the result is made of, for the result is the same wherever rows are from.
final class Work<Row: Codable> {
    let command: String
    /// All units, by name.
    let names: [String]
    private let own: [Int]
    private let file: ResultsFile?
    private var rows: [Int: Row]

    /// - Parameters:
    ///   - models: those that are read; hashed only if there is a file to be known again.
    ///   - options: all that decides what the rows are: neither threads nor how they are shown.
    ///   - names: of the units, each another.
    convenience init(
        _ command: String, models: [GGUFFile], options: [String: String], names: [String], in target: ResultsTarget
    ) throws {
        guard let path = target.path else {
            self.init(command, names, own: Array(names.indices), in: nil, [:])
            return
        }
        let header = ResultsHeader(
            command: command, version: Quipu.version,
            models: models.map {
                .init(path: $0.path, bytes: $0.byteCount, sha256: DigestMemory.shared.hexDigest(of: $0))
            }, options: options, units: names.count, part: target.part)
        let file = try ResultsFile(path: path, header, target.opening)
        self.init(command, names, own: header.own, in: file, try file.rows(of: names, as: Row.self))
        if file.droppedTornLine {
            Terminal.complain("quipu: note: \(path) ended in part of a row, which is computed again")
        }
        if target.opening == .resuming, !rows.isEmpty {
            Terminal.complain("quipu: note: \(kept); \(missing.count) left")
        }
    }

    private init(_ command: String, _ names: [String], own: [Int], in file: ResultsFile?, _ rows: [Int: Row]) {
        self.command = command
        self.names = names
        self.own = own
        self.file = file
        self.rows = rows
    }

    /// Units whose rows this run has to compute, in order.
    var missing: [Int] { own.filter { rows[$0] == nil } }
    /// Units whose rows are there.
    var done: [Int] { own.filter { rows[$0] != nil } }

    /// Computes what is missing.
    func run(_ compute: (_ unit: Int) throws -> Row) throws {
        try preparing {
            for unit in missing { try keep(try compute(unit), unit) }
        }
    }

    /// What a run needs before its first row: stopped there too, it says what is kept.
    func preparing<Result>(_ body: () throws -> Result) throws -> Result {
        do { return try body() } catch let error as CancellationError {
            if file != nil { Terminal.complain("quipu: stopped. \(kept); the same command with --resume goes on") }
            throw error
        }
    }

    private func keep(_ row: Row, _ unit: Int) throws {
        if let file { try file.append(ResultsFile.Row(unit: unit, name: names[unit], row: row)) }
        rows[unit] = row
        try Task.checkCancellation()
    }

    /// The rows of all units, in order; `nil` if the work is a part of all, whose rows are nobody's result.
    ///
    /// - Precondition: none is missing.
    var result: [Row]? {
        guard own.count == names.count else { return nil }
        return own.map { rows[$0]! }
    }

    /// What a part comes to.
    var part: ResultsPartReport {
        ResultsPartReport(
            output: file!.path, command: command, part: file!.header.part!.description, rows: rows.count,
            allRows: names.count)
    }

    private var kept: String { "\(file!.path) holds \(rows.count) of \(own.count) rows" }
}

extension Work {
    /// Computes what is missing where a unit is a chunk of a text.
    ///
    /// - Parameter compute: is given what to tell of the share of the chunk that is done.
    func run(
        chunksOf text: ScoredText, verb: String,
        _ compute: (_ chunk: Int, _ progress: @escaping (Double) throws -> Void) throws -> Row
    ) throws {
        let size = Double(text.chunkSize)
        var done = Double(self.done.count)
        let total = done + Double(missing.count)
        let progress = WorkProgress(verb: verb, unit: "tokens", before: done * size)
        defer { progress.clear() }
        try run { chunk in
            let before = done
            done += 1
            return try compute(chunk) { try progress.update(done: (before + $0) * size, total: total * size) }
        }
    }
}

extension ScoredText {
    var chunkNames: [String] { chunks.indices.map { "chunk \($0)" } }

    /// What of a text decides about rows.
    var workOptions: [String: String] {
        let ids = chunks.joined().map { Int32($0) }
        return ["chunk": "\(chunkSize)", "chunks": "\(chunks.count)", "text": SHA256.workOption(of: ids.span.bytes)]
    }
}

extension ImportanceMatrix {
    /// What of an importance matrix decides about rows.
    static func workOption(_ path: String?) throws -> [String: String] {
        guard let path else { return [:] }
        let bytes = try InputFile.bytes(path)
        return ["imatrix": SHA256.workOption(of: bytes.span.bytes)]
    }
}

extension SHA256 {
    /// How an option of work names bytes that decide about its rows.
    static func workOption(of bytes: RawSpan) -> String {
        let hash = SHA256()
        hash.update(bytes)
        return "SHA-256 " + hash.hexDigest()
    }
}
