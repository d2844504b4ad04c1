/// Reads queries, by recursive descent: `or`, `and`, `not`, comparisons, `+ -`, `* / %`, `-`, `^`, then what follows a
/// value: `(…)`, `[…]`, `.field`.
struct QueryParser {
    private let text: String
    private let characters: [Character]
    private var place = 0

    init(_ text: String) {
        self.text = text
        characters = Array(text)
    }

    mutating func whole() throws(QueryProblem) -> Query.Node {
        let node = try disjunction()
        skipSpaces()
        guard place == characters.count else { throw expected("an operator or the end") }
        return node
    }

    // MARK: levels

    private mutating func disjunction() throws(QueryProblem) -> Query.Node {
        var node = try conjunction()
        while acceptWord("or") { node = .binary("or", node, try conjunction()) }
        return node
    }

    private mutating func conjunction() throws(QueryProblem) -> Query.Node {
        var node = try negation()
        while acceptWord("and") { node = .binary("and", node, try negation()) }
        return node
    }

    private mutating func negation() throws(QueryProblem) -> Query.Node {
        acceptWord("not") ? .unary("not", try negation()) : try comparison()
    }

    private mutating func comparison() throws(QueryProblem) -> Query.Node {
        let node = try sum()
        guard let sign = accept(["==", "!=", "<=", ">=", "<", ">"]) else { return node }
        return .binary(sign, node, try sum())
    }

    private mutating func sum() throws(QueryProblem) -> Query.Node {
        var node = try product()
        while let sign = accept(["+", "-"]) { node = .binary(sign, node, try product()) }
        return node
    }

    private mutating func product() throws(QueryProblem) -> Query.Node {
        var node = try signed()
        while let sign = accept(["*", "/", "%"]) { node = .binary(sign, node, try signed()) }
        return node
    }

    private mutating func signed() throws(QueryProblem) -> Query.Node {
        accept(["-"]) == nil ? try power() : .unary("-", try signed())
    }

    private mutating func power() throws(QueryProblem) -> Query.Node {
        let node = try postfix()
        return accept(["^"]) == nil ? node : .binary("^", node, try signed())
    }

    private mutating func postfix() throws(QueryProblem) -> Query.Node {
        var node = try value()
        while true {
            if accept(["["]) != nil {
                node = try bracketed(node)
            } else if accept(["."]) != nil {
                node = .field(node, try word())
            } else {
                return node
            }
        }
    }

    /// `x[2]`, `x[2:5]`, `x[:5]`, `x[2:]`.
    private mutating func bracketed(_ node: Query.Node) throws(QueryProblem) -> Query.Node {
        let first: Query.Node? = accept([":"]) == nil ? try disjunction() : nil
        if let first, accept(["]"]) != nil { return .element(node, first) }
        if first != nil, accept([":"]) == nil { throw expected("] or :") }
        if accept(["]"]) != nil { return .slice(node, from: first, to: nil) }
        let last = try disjunction()
        guard accept(["]"]) != nil else { throw expected("]") }
        return .slice(node, from: first, to: last)
    }

    private mutating func value() throws(QueryProblem) -> Query.Node {
        skipSpaces()
        guard place < characters.count else { throw expected("a value") }
        switch characters[place] {
        case "\"", "'": return .text(try quoted())
        case "(":
            place += 1
            let node = try disjunction()
            guard accept([")"]) != nil else { throw expected(")") }
            return node
        case "[":
            place += 1
            return .list(try arguments(until: "]"))
        case let character where character.isASCII && character.isNumber || character == ".": return try number()
        default:
            var name = try word()
            let isMade = name == "made" && accept(["."]) != nil
            if isMade { name = try word() }
            if accept(["("]) != nil { return .call(name, isMade: isMade, try arguments(until: ")")) }
            if isMade { throw expected("(") }
            return .name(name)
        }
    }

    private mutating func arguments(until end: String) throws(QueryProblem) -> [Query.Node] {
        if accept([end]) != nil { return [] }
        var items = [try disjunction()]
        while accept([","]) != nil { items.append(try disjunction()) }
        guard accept([end]) != nil else { throw expected(", or \(end)") }
        return items
    }

    // MARK: words

    private mutating func number() throws(QueryProblem) -> Query.Node {
        let start = place
        if characters[place...].starts(with: "0x") {
            place += 2
            while place < characters.count, characters[place].isHexDigit { place += 1 }
            guard let value = Int(String(characters[(start + 2)..<place]), radix: 16) else {
                throw expected("hex digits")
            }
            return .number(Double(value))
        }
        while place < characters.count {
            let character = characters[place]
            let isExponentSign = "+-".contains(character) && "eE".contains(characters[place - (place > start ? 1 : 0)])
            guard character.isASCII, character.isNumber || ".eE".contains(character) || isExponentSign else { break }
            place += 1
        }
        guard let value = Double(String(characters[start..<place])) else {
            place = start
            throw expected("a number")
        }
        return .number(value)
    }

    /// Text in quotes of either kind, with queries in braces.
    private mutating func quoted() throws(QueryProblem) -> [Query.Part] {
        let quote = characters[place]
        place += 1
        var (parts, plain) = ([Query.Part](), "")
        while place < characters.count, characters[place] != quote {
            if characters[place] == "{" {
                if !plain.isEmpty { parts.append(.plain(plain)) }
                plain = ""
                place += 1
                parts.append(.query(try disjunction()))
                guard accept(["}"]) != nil else { throw expected("}") }
            } else {
                plain.append(characters[place])
                place += 1
            }
        }
        guard place < characters.count else { throw expected("the closing \(quote)") }
        place += 1
        return parts + (plain.isEmpty ? [] : [.plain(plain)])
    }

    private mutating func word() throws(QueryProblem) -> String {
        skipSpaces()
        let start = place
        while place < characters.count, Self.isWordCharacter(characters[place]) { place += 1 }
        guard place > start else { throw expected("a value") }
        return String(characters[start..<place])
    }

    private static func isWordCharacter(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || character == "_")
    }

    private mutating func acceptWord(_ wanted: String) -> Bool {
        skipSpaces()
        let end = place + wanted.count
        guard end <= characters.count, String(characters[place..<end]) == wanted,
            end == characters.count || !Self.isWordCharacter(characters[end])
        else { return false }
        place = end
        return true
    }

    private mutating func accept(_ signs: [String]) -> String? {
        skipSpaces()
        guard let sign = signs.first(where: { characters[place...].starts(with: $0) }) else { return nil }
        place += sign.count
        return sign
    }

    private mutating func skipSpaces() {
        while place < characters.count, characters[place].isWhitespace { place += 1 }
    }

    private func expected(_ what: String) -> QueryProblem { .syntax(text: text, at: place, expected: what) }
}
