import Foundation

/// Prose with queries in double braces: `{{x}}`, or `{{x | form}}` with how the number is written.
///
/// What is said only where it is true stands between `{{? query}}` and `{{/}}`, perhaps with what is said elsewhere after
/// `{{:}}`. `LessonLint` evaluates all of these.
public struct Template: Sendable, Equatable {
    indirect enum Part: Sendable, Equatable {
        case plain(String)
        case query(Query, Form)
        case claim(Claim)
    }

    /// Sentences that depend on the model.
    struct Claim: Sendable, Equatable {
        let check: Query
        let says: [Part]
        /// What is said where the check is false; `nil`: nothing, and the lint demands that it is true on every model.
        let otherwise: [Part]?

        /// As it stands in the file, without queries.
        var plainText: String { Template.plainText(says) }
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
        var reader = TemplateReader(text)
        parts = try reader.whole()
    }

    /// What is not query.
    var plainText: String { Self.plainText(parts) }

    private static func plainText(_ parts: [Part]) -> String {
        parts.map { part in
            switch part {
            case .plain(let text): text
            case .query: " "
            case .claim(let claim): claim.plainText + " " + plainText(claim.otherwise ?? [])
            }
        }.joined()
    }

    /// The sentences that carry a check; those in one another, too.
    var claims: [Claim] { Self.claims(parts) }

    private static func claims(_ parts: [Part]) -> [Claim] {
        parts.flatMap { part -> [Claim] in
            guard case .claim(let claim) = part else { return [] }
            return [claim] + claims(claim.says) + claims(claim.otherwise ?? [])
        }
    }

    /// How many values queries fill in.
    var filledValues: Int { Self.filledValues(parts) }

    private static func filledValues(_ parts: [Part]) -> Int {
        parts.reduce(0) { count, part in
            switch part {
            case .plain: count
            case .query: count + 1
            case .claim(let claim): count + filledValues(claim.says) + filledValues(claim.otherwise ?? [])
            }
        }
    }

    /// The text with the queries' values filled in.
    public func filled(_ evaluator: Evaluator) throws(QueryProblem) -> String { try Self.filled(parts, evaluator) }

    private static func filled(_ parts: [Part], _ evaluator: Evaluator) throws(QueryProblem) -> String {
        var text = ""
        for part in parts {
            switch part {
            case .plain(let plain): text += plain
            case .query(let query, let form): text += form.text(try evaluator.value(query))
            case .claim(let claim):
                let isTrue = try evaluator.value(claim.check).truth(for: "{{? }}")
                text += try filled(isTrue ? claim.says : claim.otherwise ?? [], evaluator)
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
