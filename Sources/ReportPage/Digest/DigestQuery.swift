import Foundation
import Recording
import Tensors

/// A cell of a row as it goes into a digest.
public enum DigestValue: Encodable, Sendable {
    case null
    case integer(Int)
    case real(Double)
    case text(String)

    init(_ value: TraceStore.SQLValue) {
        switch value {
        case .integer(let value): self = .integer(Int(value))
        case .real(let value) where value.isFinite: self = .real(value)
        case .text(let value): self = .text(value)
        case .null, .real, .blob: self = .null
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .integer(let value): try container.encode(value)
        case .real(let value): try container.encode(value)
        case .text(let value): try container.encode(value)
        }
    }

    var int: Int? { if case .integer(let value) = self { value } else { nil } }
    var text: String? { if case .text(let value) = self { value } else { nil } }
    var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .real(let value): value
        case .null, .text: nil
        }
    }
}

/// Reads whole tables of a trace.
struct DigestQuery {
    let store: TraceStore

    init(_ store: TraceStore) { self.store = store }

    func rows(_ sql: String) throws -> [[DigestValue]] {
        var rows: [[DigestValue]] = []
        try store.query(sql, columns: { _ in }, row: { rows.append($0.map(DigestValue.init)) })
        return rows
    }

    /// The first row, by column; empty if there is none. What is NULL is left out, as are columns that an earlier version
    /// does not have.
    func row(_ sql: String) throws -> [String: DigestValue] {
        var (names, row) = ([String](), [String: DigestValue]())
        try store.query(sql, columns: { names = $0 }) { values in
            guard row.isEmpty else { return }
            let cells = zip(names, values).filter { $0.1 != .null }.map { ($0.0, DigestValue($0.1)) }
            row = Dictionary(cells, uniquingKeysWith: { first, _ in first })
        }
        return row
    }
}

extension Double {
    /// Rounded to significant decimal digits, which JSON then spells with no more; `nil` if it is no number.
    func digits(_ count: Int) -> Double? {
        guard isFinite else { return nil }
        guard self != 0 else { return 0 }
        return Double(String(format: "%.\(count - 1)e", self))
    }
}

/// Numbers as base64 of little-endian words.
enum Packed {
    static func base64(_ words: [UInt16]) -> String {
        Data(words.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] })
            .base64EncodedString()
    }

    static func base64(_ values: [Float]) -> String {
        Data(
            values.flatMap { value in
                (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) }
            }
        ).base64EncodedString()
    }
}

extension Collection {
    /// At most `limit` elements, evenly spread, the first and the last among them.
    func spread(_ limit: Int) -> [Element] {
        guard count > limit, limit > 1 else { return Array(prefix(Swift.max(limit, 1))) }
        let all = Array(self)
        return (0..<limit).map { all[($0 * (all.count - 1) + (limit - 1) / 2) / (limit - 1)] }
    }
}
