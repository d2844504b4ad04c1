import Foundation

/// Rows of long work, kept as they come: lines of JSON, of which the first is a `ResultsHeader`.
///
/// A row is one write, so that a run that is killed leaves whole rows, and part of a line at most after them.
public final class ResultsFile {
    /// What is done with a file that is there.
    public enum Opening: Sendable {
        /// It is left alone.
        case new
        case resuming
        case replacing
    }

    /// A row with what it is of.
    public struct Row<Content: Codable>: Codable {
        /// From 0, of all of the work.
        public let unit: Int
        public let name: String
        public let row: Content

        public init(unit: Int, name: String, row: Content) {
            (self.unit, self.name, self.row) = (unit, name, row)
        }
    }

    public let path: String
    public let header: ResultsHeader
    /// Whether part of a last line was dropped.
    public let droppedTornLine: Bool
    private let handle: FileHandle
    private var lines: [Data]

    /// Begins a file, or goes on with one.
    ///
    /// - Throws: `ResultsProblem` if the path is taken, the file is of other work, or another run is writing it; `FileProblem`
    ///   if the system does not let it be written.
    public init(path: String, _ header: ResultsHeader, _ opening: Opening) throws {
        (self.path, self.header) = (path, header)
        let kind = PathKind(at: path)
        if let words = kind.words {
            throw FileProblem(
                path: path, action: .written, reason: "it is \(words)", advice: "Name a file with --output.")
        }
        if kind == .regular { try Self.check(path, opening) }
        let descriptor = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | (opening == .new ? O_EXCL : 0), 0o666)
        guard descriptor >= 0 else {
            if errno == EEXIST { throw ResultsProblem.exists(path: path, isResults: false) }
            throw FileProblem(path: path, action: .written, reason: String(cString: strerror(errno)))
        }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        self.handle = handle
        // A file system without locks does without.
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK { throw ResultsProblem.busy(path: path) }
        let data = opening == .resuming ? try Self.reading(path) { try handle.readToEnd() ?? Data() } : Data()
        let whole = data.lastIndex(of: Self.newline).map { data[...$0] } ?? Data()
        (lines, droppedTornLine) = (Self.split(whole), whole.count < data.count)
        guard ftruncate(descriptor, off_t(whole.count)) == 0 else { throw Self.unwritable(path) }
        if let first = lines.first {
            try Self.header(first, path).check(header, path)
        } else {
            try append(try Self.encoder.encode(header))
        }
    }

    /// What was there when it was opened.
    ///
    /// - Parameter names: of all units.
    /// - Throws: `ResultsProblem.damaged`.
    public func rows<Content: Codable>(of names: [String], as type: Content.Type) throws -> [Int: Content] {
        var rows: [Int: Content] = [:]
        let own = Set(header.own)
        for (number, line) in lines.enumerated().dropFirst() {
            func damaged(_ reason: String) -> ResultsProblem {
                .damaged(path: path, line: number + 1, reason: reason)
            }
            let row: Row<Content>
            do { row = try Self.decoder.decode(Row<Content>.self, from: line) } catch {
                throw damaged("it is no row of `\(header.command)`")
            }
            guard own.contains(row.unit), names[row.unit] == row.name else {
                throw damaged("unit \(row.unit), '\(row.name)', is none of this work")
            }
            guard rows.updateValue(row.row, forKey: row.unit) == nil else {
                throw damaged("'\(row.name)' has a row before it")
            }
        }
        return rows
    }

    /// Adds a row, which stays whatever happens to the run.
    public func append<Content: Codable>(_ row: Row<Content>) throws { try append(try Self.encoder.encode(row)) }

    private func append(_ line: Data) throws {
        do { try handle.write(contentsOf: line + [Self.newline]) } catch {
            throw FileProblem(path: path, action: .written, reason: FileProblem.reason(of: error))
        }
    }

    // MARK: files

    static let newline = UInt8(ascii: "\n")

    /// Whether a path that is taken may be written to.
    private static func check(_ path: String, _ opening: Opening) throws {
        let isResults = try isResults(path) || isEmpty(path)
        switch opening {
        case .new: throw ResultsProblem.exists(path: path, isResults: isResults)
        case .resuming, .replacing: guard isResults else { throw ResultsProblem.notResults(path: path) }
        }
    }

    /// Whether it is a file of results.
    public static func isResults(_ path: String) throws -> Bool {
        guard PathKind(at: path) == .regular else { return false }
        guard let start = PathKind.start(of: path, bytes: 1 << 20) else {
            throw FileProblem(path: path, action: .read, reason: "it cannot be opened")
        }
        guard let end = start.firstIndex(of: newline) else { return false }
        return (try? decoder.decode(Mark.self, from: start[..<end])) != nil
    }

    /// Whether a run may have been killed at it before it wrote a line.
    private static func isEmpty(_ path: String) -> Bool { PathKind.start(of: path, bytes: 1)?.isEmpty ?? false }

    private struct Mark: Decodable { let quipuResults: Int }

    static func header(_ line: Data, _ path: String) throws -> ResultsHeader {
        guard let mark = try? decoder.decode(Mark.self, from: line) else {
            throw ResultsProblem.notResults(path: path)
        }
        guard mark.quipuResults == ResultsHeader.format else {
            throw ResultsProblem.format(path: path, found: mark.quipuResults)
        }
        guard let header = try? decoder.decode(ResultsHeader.self, from: line) else {
            throw ResultsProblem.damaged(path: path, line: 1, reason: "it does not say what the rows are of")
        }
        guard 0...ResultsHeader.mostUnits ~= header.units else {
            throw ResultsProblem.damaged(
                path: path, line: 1, reason: "it is of \(header.units) rows, expected 0 to \(ResultsHeader.mostUnits)")
        }
        return header
    }

    static func split(_ data: Data) -> [Data] {
        data.split(separator: newline, omittingEmptySubsequences: true).map { Data($0) }
    }

    static func reading<Result>(_ path: String, _ body: () throws -> Result) throws -> Result {
        do { return try body() } catch {
            throw FileProblem(path: path, action: .read, reason: FileProblem.reason(of: error))
        }
    }

    private static func unwritable(_ path: String) -> FileProblem {
        FileProblem(path: path, action: .written, reason: String(cString: strerror(errno)))
    }

    static let encoder = {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return encoder
    }()

    static let decoder = {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return decoder
    }()
}

extension ResultsHeader {
    /// - Throws: `ResultsProblem` if the file at `path`, which this is from, is not for the work that `wanted` says.
    fileprivate func check(_ wanted: ResultsHeader, _ path: String) throws(ResultsProblem) {
        if let first = differences(from: wanted).first {
            throw .otherWork(path: path, what: first.what, found: first.here, wanted: first.there)
        }
        guard part == wanted.part else {
            func words(_ part: ResultsPart?) -> String { part.map { "part \($0)" } ?? "the whole" }
            throw .otherPart(path: path, found: words(part), expected: words(wanted.part))
        }
    }
}
