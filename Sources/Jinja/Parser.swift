/// Tokens to statements. The grammar is Jinja2's, with its loop controls and Hugging Face's `{% generation %}`.
struct Parser {
    /// How deep expressions and statements may be nested.
    static let deepest = 100

    var tokens: [Token]
    var index = 0
    var depth = 0
    var loops = 0
    /// Names that the macros being read have read so far, the innermost last.
    var reads: [Set<String>] = []
    /// Every filter, test and global name, for `JinjaTemplate.needs`.
    var needs = JinjaNeeds()

    init(_ template: [UInt8]) throws { tokens = try Lexer.tokens(of: template) }

    mutating func parse() throws -> [Statement] {
        let body = try statements(until: [])
        guard case .end = current.kind else { throw unexpected() }
        return body
    }

    // MARK: tokens

    var current: Token { tokens[index] }
    var line: Int { current.line }

    func isSymbol(_ symbol: String) -> Bool { current.kind == .symbol(symbol) }
    func isName(_ name: String) -> Bool { current.kind == .name(name) }

    mutating func advance() { if index + 1 < tokens.count { index += 1 } }

    mutating func skip(symbol: String) -> Bool {
        guard isSymbol(symbol) else { return false }
        advance()
        return true
    }

    mutating func skip(name: String) -> Bool {
        guard isName(name) else { return false }
        advance()
        return true
    }

    mutating func expect(_ kind: Token.Kind, _ words: String) throws {
        guard current.kind == kind else { throw unexpected(expected: words) }
        advance()
    }

    mutating func expect(symbol: String) throws { try expect(.symbol(symbol), "\"\(symbol)\"") }

    mutating func expectName() throws -> String {
        guard case .name(let name) = current.kind else { throw unexpected(expected: "a name") }
        advance()
        return name
    }

    func unexpected(expected: String? = nil) -> JinjaError {
        syntax("found \(current.words)" + (expected.map { ", expected \($0)." } ?? ", which has no meaning here."))
    }

    func syntax(_ words: String) -> JinjaError { JinjaError(.syntax(words), line: line) }

    mutating func nested<Result>(_ body: (inout Parser) throws -> Result) throws -> Result {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.deepest else { throw tooDeep }
        return try body(&self)
    }

    var tooDeep: JinjaError {
        JinjaError(.limit("the template is nested more than \(Self.deepest) levels deep."), line: line)
    }

    // MARK: statements

    /// Statements up to one of these words, which is not consumed; to the end of the template if there are none.
    private mutating func statements(until ends: [String]) throws -> [Statement] {
        var body: [Statement] = []
        while true {
            let line = line
            switch current.kind {
            case .data(let text):
                advance()
                body.append(Statement(line: line, kind: .text(text)))
            case .variableBegin:
                advance()
                let value = try tuple()
                try expect(.variableEnd, "\"}}\"")
                body.append(Statement(line: line, kind: .output(value)))
            case .blockBegin:
                advance()
                if case .name(let word) = current.kind, ends.contains(word) { return body }
                body += try nested { try $0.statement(line, ends: ends) }
                try expect(.blockEnd, "\"%}\"")
            default:
                guard ends.isEmpty else {
                    throw syntax("the template ends before {% \(ends.joined(separator: " %} or {% ")) %}.")
                }
                return body
            }
        }
    }

    /// The body of a statement whose tag ends here, and the word that ended it, which is consumed.
    private mutating func block(until ends: String...) throws -> (body: [Statement], end: String) {
        _ = skip(symbol: ":")
        try expect(.blockEnd, "\"%}\"")
        let body = try statements(until: ends)
        return (body, try expectName())
    }

    private mutating func statement(_ line: Int, ends: [String]) throws -> [Statement] {
        let word = try expectName()
        func one(_ kind: Statement.Kind) -> [Statement] { [Statement(line: line, kind: kind)] }
        switch word {
        case "if": return one(try branches())
        case "for": return one(.loop(try loop()))
        case "set": return one(try assignment())
        case "macro": return one(.macro(try macro()))
        case "call": return one(try callBlock())
        case "filter":
            let filter = try filterChain(startsInline: true)
            return one(.filterBlock(filter, body: try block(until: "endfilter").body))
        case "with": return one(try with())
        // What a model is trained on: of no effect where text is only rendered.
        case "generation": return try block(until: "endgeneration").body
        case "break", "continue":
            guard loops > 0 else { throw JinjaError(.syntax("{% \(word) %} stands outside of a loop."), line: line) }
            return one(word == "break" ? .leaveLoop : .nextItem)
        case "include", "import", "from", "extends", "block", "autoescape", "do", "trans", "debug":
            throw JinjaError(.unsupported("the statement {% \(word) %}"), line: line)
        default:
            let words = ends.isEmpty ? "" : " Open is a statement that ends with {% \(ends.last!) %}."
            throw JinjaError(.syntax("found {% \(word) %}, which is no statement here.\(words)"), line: line)
        }
    }

    private mutating func branches() throws -> Statement.Kind {
        var branches: [(test: Expression, body: [Statement])] = []
        while true {
            let test = try tuple(withCondition: false)
            let (body, end) = try block(until: "elif", "else", "endif")
            branches.append((test, body))
            switch end {
            case "elif": continue
            case "else": return .branches(branches, otherwise: try block(until: "endif").body)
            default: return .branches(branches, otherwise: [])
            }
        }
    }

    private mutating func loop() throws -> Statement.Loop {
        let target = try target(isNamespaceAllowed: false, until: "in")
        guard skip(name: "in") else { throw unexpected(expected: "\"in\"") }
        let items = try tuple(withCondition: false, until: "recursive")
        let condition = skip(name: "if") ? try expression() : nil
        let isRecursive = skip(name: "recursive")
        loops += 1
        let (body, end) = try block(until: "endfor", "else")
        loops -= 1
        let otherwise = end == "else" ? try block(until: "endfor").body : []
        return Statement.Loop(
            target: target, items: items, condition: condition, isRecursive: isRecursive, body: body,
            otherwise: otherwise)
    }

    private mutating func assignment() throws -> Statement.Kind {
        let target = try target(isNamespaceAllowed: true)
        if skip(symbol: "=") { return .assignment(target, try tuple()) }
        let filter = isSymbol("|") ? try filterChain(startsInline: false) : nil
        return .blockAssignment(target, filter: filter, body: try block(until: "endset").body)
    }

    private mutating func target(isNamespaceAllowed: Bool, until end: String? = nil) throws -> Target {
        var targets: [Target] = []
        while true {
            targets.append(try nested { try $0.singleTarget(isNamespaceAllowed) })
            guard skip(symbol: ",") else { return targets.count == 1 ? targets[0] : .tuple(targets) }
            if end.map(isName) ?? false || isSymbol("=") || isSymbol(")") { return .tuple(targets) }
        }
    }

    private mutating func singleTarget(_ isNamespaceAllowed: Bool) throws -> Target {
        if skip(symbol: "(") {
            let inner = try target(isNamespaceAllowed: isNamespaceAllowed)
            try expect(symbol: ")")
            return inner
        }
        let name = try expectName()
        if Self.reserved.contains(name) { throw syntax("\"\(name)\" cannot be assigned to.") }
        if isNamespaceAllowed, skip(symbol: ".") {
            noteRead(name)
            return .attribute(name, try expectName())
        }
        return .name(name)
    }

    private mutating func parameters() throws -> [(name: String, fallback: Expression?)] {
        var parameters: [(name: String, fallback: Expression?)] = []
        try expect(symbol: "(")
        while !isSymbol(")") {
            if !parameters.isEmpty { try expect(symbol: ",") }
            let name = try expectName()
            let fallback = skip(symbol: "=") ? try expression() : nil
            if fallback == nil, parameters.last?.fallback != nil {
                throw syntax("the parameter \(name) without a default follows one with a default.")
            }
            parameters.append((name, fallback))
        }
        try expect(symbol: ")")
        return parameters
    }

    private mutating func macro() throws -> MacroDefinition {
        let name = try expectName()
        reads.append([])
        let parameters = try parameters()
        return try finishedMacro(name, parameters, until: "endmacro")
    }

    private mutating func finishedMacro(
        _ name: String, _ parameters: [(name: String, fallback: Expression?)], until end: String
    ) throws -> MacroDefinition {
        let outerLoops = loops
        loops = 0
        let body = try block(until: end).body
        loops = outerLoops
        let read = reads.removeLast()
        if !reads.isEmpty { reads[reads.count - 1].formUnion(read) }
        let special = read.intersection(["varargs", "kwargs", "caller"])
        return MacroDefinition(
            name: name, parameters: parameters, body: body, reads: special.subtracting(parameters.map(\.name)))
    }

    private mutating func callBlock() throws -> Statement.Kind {
        reads.append([])
        let parameters = isSymbol("(") ? try parameters() : []
        let call = try expression()
        guard case .call = call.kind else { throw syntax("{% call %} expects the call of a macro.") }
        return .callBlock(call, try finishedMacro("caller", parameters, until: "endcall"))
    }

    private mutating func with() throws -> Statement.Kind {
        var values: [(target: Target, value: Expression)] = []
        while current.kind != .blockEnd {
            if !values.isEmpty { try expect(symbol: ",") }
            let target = try singleTarget(false)
            try expect(symbol: "=")
            values.append((target, try expression()))
        }
        return .with(values, body: try block(until: "endwith").body)
    }
}
