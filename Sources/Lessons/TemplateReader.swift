import Foundation

/// Reads templates.
struct TemplateReader {
    private let text: String
    private var rest: Substring

    init(_ text: String) { (self.text, rest) = (text, text[...]) }

    /// What ends a list of parts.
    private enum End { case whole, otherwise, claim }

    mutating func whole() throws(QueryProblem) -> [Template.Part] {
        let (parts, end) = try parts()
        guard end == .whole else { throw fault("a {{? …}} before {{:}} and {{/}}") }
        return parts
    }

    private mutating func parts() throws(QueryProblem) -> ([Template.Part], End) {
        var parts: [Template.Part] = []
        while let open = rest.firstRange(of: "{{") {
            if open.lowerBound > rest.startIndex { parts.append(.plain(String(rest[..<open.lowerBound]))) }
            rest = rest[open.lowerBound...]
            guard let close = rest.firstRange(of: "}}") else { throw fault("}} somewhere after it") }
            let inside = String(rest[open.upperBound..<close.lowerBound])
            rest = rest[close.upperBound...]
            switch inside.first {
            case ":": return (parts, .otherwise)
            case "/": return (parts, .claim)
            case "?": parts.append(.claim(try claim(try Query(String(inside.dropFirst())))))
            default: parts.append(try value(inside))
            }
        }
        if !rest.isEmpty { parts.append(.plain(String(rest))) }
        rest = ""
        return (parts, .whole)
    }

    private mutating func claim(_ check: Query) throws(QueryProblem) -> Template.Claim {
        let (says, end) = try parts()
        var otherwise: [Template.Part]?
        if end == .otherwise {
            let (parts, end) = try parts()
            guard end == .claim else { throw fault("{{/}} after {{? \(check.text)}}") }
            otherwise = parts
        } else if end == .whole {
            throw fault("{{/}} after {{? \(check.text)}}")
        }
        return Template.Claim(check: check, says: says, otherwise: otherwise)
    }

    private func value(_ inside: String) throws(QueryProblem) -> Template.Part {
        let pieces = inside.split(separator: "|", maxSplits: 1, omittingEmptySubsequences: false)
        let name = pieces.count == 2 ? pieces[1].trimmingCharacters(in: .whitespaces) : "4"
        guard let form = Template.Form(name) else {
            throw .syntax(
                text: inside, at: pieces[0].count + 1,
                expected: "a number of digits, percent, hex, bytes, grouped or token")
        }
        return .query(try Query(String(pieces[0])), form)
    }

    private func fault(_ expected: String) -> QueryProblem {
        .syntax(text: String((rest.isEmpty ? text[...] : rest).prefix(60)), at: 0, expected: expected)
    }
}
