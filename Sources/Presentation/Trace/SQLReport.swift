import Recording

/// The result of `sql`: columns and rows.
public struct SQLReport: Report {
    public var columns: [String] = []
    private var rows: [[TraceStore.SQLValue]] = []
    private let keepsBlobs: Bool

    private enum CodingKeys: CodingKey { case columns, rows }

    /// - Parameter keepsBlobs: whether blobs are part of the result; a page shows their size only, and a trace holds
    ///   more of them than fits in memory.
    public init(keepsBlobs: Bool) { self.keepsBlobs = keepsBlobs }

    public mutating func add(_ row: [TraceStore.SQLValue]) {
        rows.append(
            row.map { value in
                if case .blob(let data) = value, !keepsBlobs { .text("<\(data.count) bytes>") } else { value }
            })
    }

    /// Names for a document's keys: of two columns of one name, the second is `name_2`.
    private var keys: [String] {
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

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        let keys = keys
        try container.encode(keys, forKey: .columns)
        var list = container.nestedUnkeyedContainer(forKey: .rows)
        for row in rows {
            try list.encode(Dictionary(uniqueKeysWithValues: zip(keys, row.map(SQLCell.init))))
        }
    }

    public func page(_ style: Style) -> String {
        let isNumeric = columns.indices.map { column in
            rows.contains { $0[column].isNumber } && rows.allSatisfy { $0[column].isNumber || $0[column] == .null }
        }
        var table = Table(zip(columns, isNumeric).map { ($0, $1 ? .right : .left) })
        for row in rows { table.add(row.map(\.text)) }
        return (table.lines(style) + [style.dim(Numbers.count(rows.count, "row"))]).joined(separator: "\n")
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
}
