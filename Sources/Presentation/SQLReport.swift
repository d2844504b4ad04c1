import Recording

/// The result of `sql`: columns and rows.
public struct SQLReport: Report {
    let columns: [String]
    private let cells: [[TraceStore.SQLValue]]

    private enum CodingKeys: CodingKey { case columns, rows }

    public init(columns: [String], rows: [[TraceStore.SQLValue]]) {
        self.columns = columns
        cells = rows
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(columns, forKey: .columns)
        var rows = container.nestedUnkeyedContainer(forKey: .rows)
        for row in cells {
            try rows.encode(Dictionary(zip(columns, row.map(SQLCell.init)), uniquingKeysWith: { first, _ in first }))
        }
    }

    public func page(_ style: Style) -> String {
        let isNumeric = columns.indices.map { column in
            cells.contains { $0[column].isNumber } && cells.allSatisfy { $0[column].isNumber || $0[column] == .null }
        }
        var table = Table(zip(columns, isNumeric).map { ($0, $1 ? .right : .left) })
        for row in cells { table.add(row.map(\.text)) }
        return (table.lines(style) + [style.dim("\(cells.count) \(cells.count == 1 ? "row" : "rows")")]).joined(separator: "\n")
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
        case .null: ""
        case .integer(let integer): "\(integer)"
        case .real(let real): Numbers.significant(real)
        case .text(let text): text
        case .blob(let data): "<\(data.count) bytes>"
        }
    }
}
