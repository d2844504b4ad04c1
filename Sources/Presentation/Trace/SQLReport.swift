import Recording

/// The result of a statement inside the stepper, which shows the first rows: columns and rows.
public struct SQLReport: Report {
    public var columns: [String] = []
    private var rows: [[TraceStore.SQLValue]] = []

    private enum CodingKeys: CodingKey { case columns, rows }

    public init() {}

    /// A row as it came; blobs as their size.
    public mutating func add(_ row: [TraceStore.SQLValue]) {
        rows.append(
            row.map { value in if case .blob(let data) = value { .text("<\(data.count) bytes>") } else { value } })
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        let keys = SQLRows.keys(columns)
        try container.encode(keys, forKey: .columns)
        try container.encode(rows.map { SQLRows.document(keys, $0) }, forKey: .rows)
    }

    public func page(_ style: Style) -> String {
        let table = SQLRows.table(columns, rows)
        return (table.lines(style, advice: SQLRows.advice) + [style.dim(Numbers.count(rows.count, "row"))])
            .joined(separator: "\n")
    }
}

/// The result of `sql`, written as it comes: a page or a document of any length in the memory of its first rows.
///
/// Columns are as wide as the first rows need; later ones that are wider are cut.
public struct SQLStream {
    /// `nil`: a document.
    private let style: Style?
    private let write: (String) throws -> Void
    private var columns: [String] = []
    private var first: [[TraceStore.SQLValue]] = []
    private var firstBytes = 0
    private var layout: Table.Layout?
    private var count = 0
    private var pending = ""

    /// Rows that are looked at before the first is written, and the bytes of their texts.
    private static let (looked, lookedBytes) = (500, 1 << 20)
    /// Bytes written at once.
    private static let batch = 1 << 16

    /// - Parameter style: of a page; `nil` for a JSON document.
    public init(_ style: Style?, write: @escaping (String) throws -> Void) { (self.style, self.write) = (style, write) }

    public mutating func begin(_ columns: [String]) throws {
        self.columns = columns
        guard style == nil else { return }
        let keys = try JSONOutput.text(SQLRows.keys(columns))
        pending = "{\n  \"columns\" : \(keys.replacing("\n", with: "\n  ")),\n  \"rows\" : ["
    }

    public mutating func add(_ row: [TraceStore.SQLValue]) throws {
        defer { count += 1 }
        guard style != nil else {
            let text = try JSONOutput.text(SQLRows.document(SQLRows.keys(columns), row))
            return try put((count == 0 ? "\n    " : ",\n    ") + text.replacing("\n", with: "\n    "))
        }
        if let layout { return try put(layout.line(row.map(\.text)) + "\n") }
        first.append(row)
        firstBytes += row.reduce(0) { $0 + $1.size }
        if first.count == Self.looked || firstBytes > Self.lookedBytes { try writeFirst() }
    }

    /// - Throws: what `write` throws.
    public mutating func end() throws {
        if let style {
            if layout == nil { try writeFirst() }
            let lines = layout!.leftOut(style, SQLRows.advice) + [style.dim(Numbers.count(count, "row"))]
            try put(lines.joined(separator: "\n") + "\n")
        } else {
            try put(count == 0 ? "\n\n  ]\n}\n" : "\n  ]\n}\n")
        }
        try write(pending)
        pending = ""
    }

    private mutating func writeFirst() throws {
        guard let style else { return }
        let layout = SQLRows.table(columns, first).layout(style)
        self.layout = layout
        try put(layout.header(style) + "\n")
        for row in first { try put(layout.line(row.map(\.text)) + "\n") }
        first = []
    }

    private mutating func put(_ text: String) throws {
        pending += text
        guard pending.utf8.count >= Self.batch else { return }
        try write(pending)
        pending = ""
    }
}

/// What both have in common.
private enum SQLRows {
    static let advice = "Name fewer columns, or use --json."

    /// Names for a document's keys: of two columns of one name, the second is `name_2`.
    static func keys(_ columns: [String]) -> [String] {
        var keys: [String] = []
        for column in columns {
            var (key, number) = (column, 1)
            while keys.contains(key) {
                number += 1
                key = "\(column)_\(number)"
            }
            keys.append(key)
        }
        return keys
    }

    static func document(_ keys: [String], _ row: [TraceStore.SQLValue]) -> [String: SQLCell] {
        Dictionary(uniqueKeysWithValues: zip(keys, row.map(SQLCell.init)))
    }

    static func table(_ columns: [String], _ rows: [[TraceStore.SQLValue]]) -> Table {
        let isNumeric = columns.indices.map { column in
            rows.contains { $0[column].isNumber } && rows.allSatisfy { $0[column].isNumber || $0[column] == .null }
        }
        var table = Table(zip(columns, isNumeric).map { ($0, $1 ? .right : .left) })
        for row in rows { table.add(row.map(\.text)) }
        return table
    }
}

private struct SQLCell: Encodable {
    let value: TraceStore.SQLValue

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch value {
        case .null: try container.encodeNil()
        case .integer(let integer): try container.encode(integer)
        case .real(let real): try container.encode(real)
        case .text(let text): try container.encode(text)
        case .blob(let data): try container.encode(data.base64EncodedString())
        }
    }
}

extension TraceStore.SQLValue {
    fileprivate var isNumber: Bool {
        switch self {
        case .integer, .real: true
        default: false
        }
    }

    fileprivate var text: String {
        switch self {
        case .null: "NULL"
        case .integer(let integer): "\(integer)"
        case .real(let real): Numbers.significant(real)
        case .text(let text): text
        case .blob(let data): "<\(data.count) bytes>"
        }
    }

    /// Bytes of a text or a blob.
    fileprivate var size: Int {
        switch self {
        case .text(let text): text.utf8.count
        case .blob(let data): data.count
        default: 0
        }
    }
}
