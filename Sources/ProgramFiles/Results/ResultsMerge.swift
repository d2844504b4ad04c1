import Foundation

extension ResultsFile {
    /// What a part gave to the whole.
    public struct MergedPart: Sendable {
        public let path: String
        public let part: ResultsPart
        public let rows: Int
    }

    /// Unites the parts of one work into a file for the whole, its rows in order.
    ///
    /// - Parameter replaces: whether an `output` that is a file of results gives way.
    /// - Throws: `ResultsProblem` if a part is missing, is there twice, is not finished or is of other work.
    public static func merge(
        _ paths: [String], to output: String, replaces: Bool
    ) throws -> (header: ResultsHeader, parts: [MergedPart]) {
        if PathKind(at: output) != .missing {
            guard replaces, try isResults(output) else { throw ResultsProblem.outputExists(path: output) }
        }
        let parts = try paths.map(Part.init)
        for part in parts.dropFirst() { try parts[0].check(part) }
        try checkComplete(parts)
        var header = parts[0].header
        header.part = nil
        var lines = [try encoder.encode(header)]
        let rows = parts.reduce(into: [Int: Data]()) { $0.merge($1.lines) { first, _ in first } }
        lines += header.own.map { rows[$0]! }
        let data = lines.reduce(into: Data()) { $0 += $1 + [newline] }
        try Folders.replace(output, with: data, advice: "Check the path and its permissions.")
        let merged = parts.map { MergedPart(path: $0.path, part: $0.part, rows: $0.lines.count) }
        return (header, merged.sorted { $0.part.number < $1.part.number })
    }

    private static func checkComplete(_ parts: [Part]) throws(ResultsProblem) {
        let count = parts[0].part.count
        for (index, part) in parts.enumerated() {
            if part.part.count != count {
                throw .otherPart(path: part.path, found: "part \(part.part)", expected: "one of \(count)")
            }
            if let other = parts[..<index].first(where: { $0.part == part.part }) {
                throw .partTwice(part: part.part.description, paths: [other.path, part.path])
            }
        }
        let missing = (1...count).filter { number in !parts.contains { $0.part.number == number } }
        guard missing.isEmpty else { throw .partsMissing(missing.map { "\($0)/\(count)" }) }
        for part in parts where part.lines.count < part.header.own.count {
            throw .unfinished(
                path: part.path, part: part.part.description, rows: part.lines.count, expected: part.header.own.count)
        }
    }

    /// A part's file, read.
    private struct Part {
        let path: String
        let header: ResultsHeader
        let part: ResultsPart
        /// By unit, as they are.
        var lines: [Int: Data] = [:]

        private struct Head: Decodable { let unit: Int }

        init(_ path: String) throws {
            self.path = path
            guard try ResultsFile.isResults(path) else { throw ResultsProblem.notResults(path: path) }
            let data = try ResultsFile.reading(path) { try Data(contentsOf: URL(filePath: path)) }
            let whole = data.lastIndex(of: ResultsFile.newline).map { data[...$0] } ?? Data()
            let all = ResultsFile.split(whole)
            guard let first = all.first else { throw ResultsProblem.notResults(path: path) }
            header = try ResultsFile.header(first, path)
            guard let part = header.part else { throw ResultsProblem.notAPart(path: path) }
            self.part = part
            let own = Set(header.own)
            for (number, line) in all.enumerated().dropFirst() {
                guard let head = try? ResultsFile.decoder.decode(Head.self, from: line), own.contains(head.unit),
                    lines.updateValue(line, forKey: head.unit) == nil
                else {
                    throw ResultsProblem.damaged(
                        path: path, line: number + 1, reason: "it is no row of part \(part), or there is one like it")
                }
            }
        }

        func check(_ other: Part) throws(ResultsProblem) {
            guard let first = header.differences(from: other.header).first else { return }
            throw .notOneWork(path, other.path, what: first.what, first: first.here, second: first.there)
        }
    }
}
