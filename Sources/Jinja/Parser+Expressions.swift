extension Parser {
    /// Words that no variable has.
    static let reserved: Set = [
        "and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None",
    ]

    mutating func noteRead(_ name: String) {
        if !reads.isEmpty { reads[reads.count - 1].insert(name) }
        needs.names.insert(name)
    }

    mutating func expression(withCondition: Bool = true) throws -> Expression {
        try nested { try withCondition ? $0.conditional() : $0.or() }
    }

    /// One expression, or several as a tuple, as `{{ }}`, `set` and `for` take them.
    mutating func tuple(
        withCondition: Bool = true, until end: String? = nil, inParentheses: Bool = false
    ) throws -> Expression {
        let line = line
        var items: [Expression] = []
        var isTuple = false
        while true {
            if !items.isEmpty { try expect(symbol: ",") }
            if isTupleEnd(end) { break }
            items.append(try expression(withCondition: withCondition))
            guard isSymbol(",") else { break }
            isTuple = true
        }
        if !isTuple {
            if let only = items.first { return only }
            guard inParentheses else { throw unexpected(expected: "an expression") }
        }
        return Expression(line: line, kind: .tuple(items))
    }

    private func isTupleEnd(_ end: String?) -> Bool {
        switch current.kind {
        case .variableEnd, .blockEnd, .symbol(")"): true
        case .name(let name): name == end
        default: false
        }
    }

    private mutating func conditional() throws -> Expression {
        var value = try or()
        var count = 0
        while isName("if") {
            let line = line
            advance()
            count += 1
            guard count <= Self.deepest else { throw tooDeep }
            let test = try or()
            let otherwise = skip(name: "else") ? try nested { try $0.conditional() } : nil
            value = Expression(line: line, kind: .conditional(test: test, value, otherwise: otherwise))
        }
        return value
    }

    private mutating func or() throws -> Expression {
        let line = line
        var operands = [try and()]
        while skip(name: "or") { operands.append(try and()) }
        return operands.count == 1 ? operands[0] : Expression(line: line, kind: .or(operands))
    }

    private mutating func and() throws -> Expression {
        let line = line
        var operands = [try not()]
        while skip(name: "and") { operands.append(try not()) }
        return operands.count == 1 ? operands[0] : Expression(line: line, kind: .and(operands))
    }

    private mutating func not() throws -> Expression {
        let line = line
        guard skip(name: "not") else { return try comparison() }
        return Expression(line: line, kind: .not(try nested { try $0.not() }))
    }

    private mutating func comparison() throws -> Expression {
        let line = line
        let first = try sum()
        var rest: [(operation: Comparison, operand: Expression)] = []
        while let operation = comparisonOperator() { rest.append((operation, try sum())) }
        return rest.isEmpty ? first : Expression(line: line, kind: .comparison(first, rest))
    }

    private mutating func comparisonOperator() -> Comparison? {
        switch current.kind {
        case .symbol(let symbol):
            guard let operation = Comparison(rawValue: symbol) else { return nil }
            advance()
            return operation
        case .name("in"):
            advance()
            return .contained
        case .name("not"):
            guard tokens[min(index + 1, tokens.count - 1)].kind == .name("in") else { return nil }
            advance()
            advance()
            return .notContained
        default: return nil
        }
    }

    private mutating func chain(
        _ operations: Set<Arithmetic>, _ operand: (inout Parser) throws -> Expression
    ) throws -> Expression {
        let line = line
        let first = try operand(&self)
        var rest: [(operation: Arithmetic, operand: Expression)] = []
        while case .symbol(let symbol) = current.kind, let operation = Arithmetic(rawValue: symbol),
            operations.contains(operation)
        {
            advance()
            rest.append((operation, try operand(&self)))
        }
        return rest.isEmpty ? first : Expression(line: line, kind: .arithmetic(first, rest))
    }

    private mutating func sum() throws -> Expression { try chain([.add, .subtract]) { try $0.concatenation() } }

    private mutating func concatenation() throws -> Expression {
        let line = line
        var operands = [try product()]
        while skip(symbol: "~") { operands.append(try product()) }
        return operands.count == 1 ? operands[0] : Expression(line: line, kind: .concatenation(operands))
    }

    private mutating func product() throws -> Expression {
        try chain([.multiply, .divide, .floorDivide, .modulo]) { parser in
            try parser.chain([.power]) { try $0.unary() }
        }
    }

    private mutating func unary(withFilters: Bool = true) throws -> Expression {
        let line = line
        var value: Expression
        if skip(symbol: "-") {
            value = Expression(line: line, kind: .negative(try nested { try $0.unary(withFilters: false) }))
        } else if skip(symbol: "+") {
            value = Expression(line: line, kind: .positive(try nested { try $0.unary(withFilters: false) }))
        } else {
            value = try primary()
        }
        value = try postfix(value)
        return withFilters ? try filters(value) : value
    }

    private mutating func primary() throws -> Expression {
        let token = current
        func made(_ kind: Expression.Kind) -> Expression { Expression(line: token.line, kind: kind) }
        switch token.kind {
        case .name(let name):
            switch name {
            case "true", "True": advance(); return made(.bool(true))
            case "false", "False": advance(); return made(.bool(false))
            case "none", "None": advance(); return made(.none)
            case _ where Self.reserved.contains(name): throw unexpected(expected: "a value")
            default:
                advance()
                noteRead(name)
                return made(.name(name))
            }
        case .string(var text):
            advance()
            while case .string(let more) = current.kind {
                text += more
                advance()
            }
            return made(.string(text))
        case .integer(let value): advance(); return made(.integer(value))
        case .float(let value): advance(); return made(.float(value))
        case .symbol("("):
            advance()
            let value = try tuple(inParentheses: true)
            try expect(symbol: ")")
            return value
        case .symbol("["):
            advance()
            return made(.list(try items(until: "]") { try $0.expression() }))
        case .symbol("{"):
            advance()
            return made(
                .dict(
                    try items(until: "}") { parser in
                        let key = try parser.expression()
                        try parser.expect(symbol: ":")
                        return (key, try parser.expression())
                    }))
        default: throw unexpected(expected: "a value")
        }
    }

    private mutating func items<Item>(
        until end: String, _ item: (inout Parser) throws -> Item
    ) throws -> [Item] {
        var items: [Item] = []
        while !isSymbol(end) {
            if !items.isEmpty {
                try expect(symbol: ",")
                if isSymbol(end) { break }
            }
            items.append(try item(&self))
        }
        try expect(symbol: end)
        return items
    }

    private mutating func postfix(_ value: Expression) throws -> Expression {
        var value = value
        for _ in 0..<Self.deepest {
            let line = line
            if skip(symbol: ".") {
                value = Expression(line: line, kind: try member(of: value))
            } else if skip(symbol: "[") {
                value = Expression(line: line, kind: try subscripted(value))
                try expect(symbol: "]")
            } else if isSymbol("(") {
                value = Expression(line: line, kind: .call(value, try arguments()))
            } else {
                return value
            }
        }
        throw tooDeep
    }

    private mutating func member(of value: Expression) throws -> Expression.Kind {
        let line = line
        switch current.kind {
        case .name(let name):
            advance()
            return .attribute(value, name)
        case .integer(let index):
            advance()
            return .item(value, Expression(line: line, kind: .integer(index)))
        default: throw unexpected(expected: "a name or a number")
        }
    }

    private mutating func subscripted(_ value: Expression) throws -> Expression.Kind {
        func isPartEnd() -> Bool { isSymbol(":") || isSymbol("]") }
        let first = isSymbol(":") ? nil : try expression()
        guard skip(symbol: ":") else {
            if isSymbol(",") { throw JinjaError(.unsupported("several indices in one pair of brackets"), line: line) }
            guard let first else { throw unexpected(expected: "an index") }
            return .item(value, first)
        }
        let to = isPartEnd() ? nil : try expression()
        var step: Expression?
        if skip(symbol: ":"), !isPartEnd() { step = try expression() }
        return .slice(value, from: first, to: to, step: step)
    }

    private mutating func filters(_ value: Expression) throws -> Expression {
        var value = value
        for _ in 0..<Self.deepest {
            if isSymbol("|") {
                advance()
                value = try filter(of: value)
            } else if isName("is") {
                value = try test(of: value)
            } else if isSymbol("(") {
                value = Expression(line: line, kind: .call(value, try arguments()))
            } else {
                return value
            }
        }
        throw tooDeep
    }

    private mutating func filter(of value: Expression?) throws -> Expression {
        let line = line
        var name = try expectName()
        while skip(symbol: ".") { name += "." + (try expectName()) }
        needs.filters.insert(name)
        let arguments = isSymbol("(") ? try arguments() : Arguments()
        return Expression(line: line, kind: .filter(value, name, arguments))
    }

    /// The filters that a block of text is passed through.
    mutating func filterChain(startsInline: Bool) throws -> Expression {
        if !startsInline { try expect(symbol: "|") }
        var value = try filter(of: nil)
        for _ in 0..<Self.deepest {
            guard skip(symbol: "|") else { return value }
            value = try filter(of: value)
        }
        throw tooDeep
    }

    private mutating func test(of value: Expression) throws -> Expression {
        let line = line
        advance()
        let isNegated = skip(name: "not")
        var name = try expectName()
        while skip(symbol: ".") { name += "." + (try expectName()) }
        needs.tests.insert(name)
        var arguments = Arguments()
        if isSymbol("(") {
            arguments = try self.arguments()
        } else if isOperandOfTest {
            if isName("is") { throw syntax("tests cannot be chained with \"is\".") }
            arguments.positional = [try nested { try $0.postfix(try $0.primary()) }]
        }
        let test = Expression(line: line, kind: .test(value, name, arguments))
        return isNegated ? Expression(line: line, kind: .not(test)) : test
    }

    private var isOperandOfTest: Bool {
        switch current.kind {
        case .name(let name): !["else", "or", "and"].contains(name) && !["if", "not", "in"].contains(name)
        case .string, .integer, .float, .symbol("["), .symbol("{"): true
        default: false
        }
    }

    private mutating func arguments() throws -> Arguments {
        var arguments = Arguments()
        try expect(symbol: "(")
        var isFirst = true
        while !isSymbol(")") {
            if !isFirst {
                try expect(symbol: ",")
                if isSymbol(")") { break }
            }
            isFirst = false
            try argument(&arguments)
        }
        try expect(symbol: ")")
        return arguments
    }

    private mutating func argument(_ arguments: inout Arguments) throws {
        let hasSpread = arguments.spread != nil || arguments.namedSpread != nil
        if skip(symbol: "*") {
            guard !hasSpread else { throw unexpected() }
            arguments.spread = try expression()
        } else if skip(symbol: "**") {
            guard arguments.namedSpread == nil else { throw unexpected() }
            arguments.namedSpread = try expression()
        } else if case .name(let name) = current.kind, tokens[min(index + 1, tokens.count - 1)].kind == .symbol("=") {
            guard arguments.namedSpread == nil else { throw unexpected() }
            advance()
            advance()
            arguments.named.append((name, try expression()))
        } else {
            guard !hasSpread, arguments.named.isEmpty else {
                throw syntax("an argument without a name follows one with a name.")
            }
            arguments.positional.append(try expression())
        }
    }
}
