import Foundation

/// Prose with queries in double braces: `{{x}}`, or `{{x | form}}` with how the number is written.
public struct Template: Sendable, Equatable {
    enum Part: Sendable, Equatable {
        case plain(String)
        case query(Query, Form)
    }

    /// How a value is written.
    enum Form: Sendable, Equatable {
        /// Whole numbers as they are, others with so many significant digits.
        case significant(Int)
        case percent, hex, bytes, grouped
        /// Tokens between the marks that other pages use.
        case token

        init?(_ name: String) {
            switch name {
            case "percent": self = .percent
            case "hex": self = .hex
            case "bytes": self = .bytes
            case "grouped": self = .grouped
            case "token": self = .token
            default:
                guard let digits = Int(name), (1...17).contains(digits) else { return nil }
                self = .significant(digits)
            }
        }
    }

    /// As written.
    public let text: String
    let parts: [Part]

    /// - Throws: `QueryProblem.syntax` if a query or a form is wrong, or braces are not closed.
    public init(_ text: String) throws(QueryProblem) {
        self.text = text
        var (parts, rest) = ([Part](), text[...])
        while let open = rest.firstRange(of: "{{") {
            if open.lowerBound > rest.startIndex { parts.append(.plain(String(rest[..<open.lowerBound]))) }
            guard let close = rest[open.upperBound...].firstRange(of: "}}") else {
                throw .syntax(
                    text: String(rest[open.lowerBound...].prefix(60)), at: 0, expected: "}} somewhere after it")
            }
            parts.append(try Self.part(String(rest[open.upperBound..<close.lowerBound])))
            rest = rest[close.upperBound...]
        }
        if !rest.isEmpty { parts.append(.plain(String(rest))) }
        self.parts = parts
    }

    private static func part(_ inside: String) throws(QueryProblem) -> Part {
        let pieces = inside.split(separator: "|", maxSplits: 1, omittingEmptySubsequences: false)
        let name = pieces.count == 2 ? pieces[1].trimmingCharacters(in: .whitespaces) : "4"
        guard let form = Form(name) else {
            throw .syntax(
                text: inside, at: pieces[0].count + 1,
                expected: "a number of digits, percent, hex, bytes, grouped or token")
        }
        return .query(try Query(String(pieces[0])), form)
    }

    var queries: [Query] { parts.compactMap { if case .query(let query, _) = $0 { query } else { nil } } }

    /// What is not query.
    var plainText: String { parts.map { if case .plain(let text) = $0 { text } else { " " } }.joined() }

    /// The text with the queries' values filled in.
    public func filled(_ evaluator: Evaluator) throws(QueryProblem) -> String {
        var text = ""
        for part in parts {
            switch part {
            case .plain(let plain): text += plain
            case .query(let query, let form): text += form.text(try evaluator.value(query))
            }
        }
        return text
    }
}

extension Template.Form {
    func text(_ value: Value) -> String {
        switch value {
        case .number(let number): text(number)
        case .numbers(let numbers): numbers.map { text($0) }.joined(separator: ", ")
        case .text(let text): self == .token ? "‹\(text)›" : text
        case .texts(let texts): texts.map { self == .token ? "‹\($0)›" : $0 }.joined(separator: " ")
        default: value.plain
        }
    }

    private func text(_ number: Double) -> String {
        switch self {
        case .significant(let digits): Self.significant(number, digits)
        case .percent: Self.significant(100 * number, 3) + " %"
        case .hex: Int(exactly: number).map { "0x" + String($0, radix: 16) } ?? Value.plain(number)
        case .grouped: Self.grouped(number)
        case .bytes: Self.bytes(number)
        case .token: Value.plain(number)
        }
    }

    static func significant(_ number: Double, _ digits: Int) -> String {
        if let whole = Int(exactly: number), abs(whole) < 10_000_000 { return "\(whole)" }
        return String(format: "%.\(digits)g", number)
    }

    private static func grouped(_ number: Double) -> String {
        guard let whole = Int(exactly: number) else { return Value.plain(number) }
        var digits = String(abs(whole))
        var groups: [String] = []
        while digits.count > 3 {
            groups.insert(String(digits.suffix(3)), at: 0)
            digits.removeLast(3)
        }
        return (whole < 0 ? "-" : "") + ([digits] + groups).joined(separator: ",")
    }

    /// In powers of 1024, which the letters say.
    private static func bytes(_ number: Double) -> String {
        let units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
        var (value, unit) = (number, 0)
        while abs(value) >= 1024, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
        return "\(significant(value, 4)) \(units[unit])"
    }
}
