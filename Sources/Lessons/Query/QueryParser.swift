/// Reads queries, by recursive descent: `or`, `and`, `not`, comparisons, `+ -`, `* / %`, `-`, `^` or `**`, then what follows a
/// value: `(…)`, `[…]`, `.field`.
struct QueryParser {
    private let text: String
    private let characters: [Character]
    private var offset = 0

    init(_ text: String) {
        self.text = text
        characters = Array(text)
    }

    /// Longer and deeper than any question of a lesson: what is read by functions that call themselves ends in time.
    private static let (longest, deepest) = (4000, 32)

    /// - Throws: `QueryProblem.syntax` if there is more of it than can be read safely.
    private mutating func checkSize() throws(QueryProblem) {
        func fault(_ expected: String) -> QueryProblem {
            .syntax(text: String(text.prefix(60)) + "…", at: offset, expected: expected)
        }
        defer { offset = 0 }
        var depth = 0
        for (index, character) in characters.enumerated() {
            offset = index
            switch character {
            case "(", "[", "{": depth += 1
            case ")", "]", "}": depth -= 1
            default: break
            }
            if depth > Self.deepest { throw fault("at most \(Self.deepest) brackets in one another") }
        }
        offset = Self.longest
        if characters.count > Self.longest { throw fault("at most \(Self.longest) characters") }
    }

    mutating func whole() throws(QueryProblem) -> Query.Node {
        try checkSize()
        let node = try disjunction()
        skipSpaces()
        guard offset == characters.count else { throw expected("an operator or the end") }
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
        return accept(["^", "**"]) == nil ? node : .binary("^", node, try signed())
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
        guard offset < characters.count else { throw expected("a value") }
        switch characters[offset] {
        case "\"", "'": return .text(try quoted())
        case "(":
            offset += 1
            let node = try disjunction()
            guard accept([")"]) != nil else { throw expected(")") }
            return node
        case "[":
            offset += 1
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
        let start = offset
        if characters[offset...].starts(with: "0x") {
            offset += 2
            while offset < characters.count, characters[offset].isHexDigit { offset += 1 }
            guard let value = Int(String(characters[(start + 2)..<offset]), radix: 16) else {
                throw expected("hex digits")
            }
            return .number(Double(value))
        }
        while offset < characters.count {
            let character = characters[offset]
            let isExponentSign =
                "+-".contains(character) && "eE".contains(characters[offset - (offset > start ? 1 : 0)])
            guard character.isASCII, character.isNumber || ".eE".contains(character) || isExponentSign else { break }
            offset += 1
        }
        guard let value = Double(String(characters[start..<offset])) else {
            offset = start
            throw expected("a number")
        }
        return .number(value)
    }

    /// Text in quotes of either kind, with queries in braces.
    private mutating func quoted() throws(QueryProblem) -> [Query.Part] {
        let quote = characters[offset]
        offset += 1
        var (parts, plain) = ([Query.Part](), "")
        while offset < characters.count, characters[offset] != quote {
            if characters[offset] == "{" {
                if !plain.isEmpty { parts.append(.plain(plain)) }
                plain = ""
                offset += 1
                parts.append(.query(try disjunction()))
                guard accept(["}"]) != nil else { throw expected("}") }
            } else {
                plain.append(characters[offset])
                offset += 1
            }
        }
        guard offset < characters.count else { throw expected("the closing \(quote)") }
        offset += 1
        return parts + (plain.isEmpty ? [] : [.plain(plain)])
    }

    private mutating func word() throws(QueryProblem) -> String {
        skipSpaces()
        let start = offset
        while offset < characters.count, Self.isWordCharacter(characters[offset]) { offset += 1 }
        guard offset > start else { throw expected("a value") }
        return String(characters[start..<offset])
    }

    private static func isWordCharacter(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || character == "_")
    }

    private mutating func acceptWord(_ wanted: String) -> Bool {
        skipSpaces()
        let end = offset + wanted.count
        guard isNext(wanted), end <= characters.count,
            end == characters.count || !Self.isWordCharacter(characters[end])
        else { return false }
        offset = end
        return true
    }

    private mutating func accept(_ signs: [String]) -> String? {
        skipSpaces()
        guard let sign = signs.first(where: isNext) else { return nil }
        offset += sign.count
        return sign
    }

    /// Nearly always a look at one character says no.
    private func isNext(_ text: String) -> Bool {
        offset < characters.count && characters[offset] == text.first && characters[offset...].starts(with: text)
    }

    private mutating func skipSpaces() {
        while offset < characters.count, characters[offset].isWhitespace { offset += 1 }
    }

    private func expected(_ what: String) -> QueryProblem { .syntax(text: text, at: offset, expected: what) }
}
