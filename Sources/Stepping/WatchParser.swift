import Recording
import Tensors

/// Reads `WatchExpression`s:
///
///     condition := all ("or" all)*          all := fact ("and" fact)*
///     fact      := "not" fact | "(" condition ")" | "top1" | value compare value
///     value     := product (("+" | "-") product)*      product := factor (("*" | "/") factor)*
///     factor    := number | "text" | "-" factor | "(" value ")" | abs(value) | max(abs) | NAME | NAME(resid) | NAME[i, …]
struct WatchParser {
    typealias Node = WatchExpression.Node
    typealias Operator = WatchExpression.Operator
    typealias Statistic = WatchExpression.Statistic

    private enum Token: Equatable {
        case number(Double)
        case text(String)
        case word(String)
        case symbol(String)
    }

    private let source: String
    private var tokens: [(token: Token, position: Int)] = []
    private var next = 0

    init(_ source: String) throws(StepProblem) {
        self.source = source
        try split()
        try checkSize()
    }

    /// What a condition may have of words, numbers and signs, and of parentheses in parentheses: it is read, and asked of
    /// each operation, by functions that call themselves.
    private static let (mostWords, deepest) = (400, 40)

    private func checkSize() throws(StepProblem) {
        func fault(_ found: String, _ most: Int, at index: Int) -> StepProblem {
            .expression(
                text: source.count > 60 ? source.prefix(60) + "…" : source, position: tokens[index].position,
                reason: "found \(found), expected \(most) at most")
        }
        var depth = 0
        for index in tokens.indices {
            if tokens[index].token == .symbol("(") { depth += 1 }
            if tokens[index].token == .symbol(")") { depth -= 1 }
            if depth > Self.deepest { throw fault("\(depth) parentheses in one another", Self.deepest, at: index) }
            if index >= Self.mostWords { throw fault("\(tokens.count) words and signs", Self.mostWords, at: index) }
        }
    }

    // MARK: grammar

    mutating func condition() throws(StepProblem) -> Node {
        let node = try any()
        if next < tokens.count { throw fault("found \(shown(tokens[next].token)), expected the end, and or or") }
        return node
    }

    private mutating func any() throws(StepProblem) -> Node {
        var node = try all()
        while take(word: "or") { node = .or(node, try all()) }
        return node
    }

    private mutating func all() throws(StepProblem) -> Node {
        var node = try fact()
        while take(word: "and") { node = .and(node, try fact()) }
        return node
    }

    private mutating func fact() throws(StepProblem) -> Node {
        if take(word: "not") { return .not(try fact()) }
        let start = next
        // A parenthesis may hold a condition or a value; the one that reads on is meant.
        if take("("), let inner = try? any(), take(")"), !isComparisonNext, !isArithmeticNext { return inner }
        next = start
        let left = try value()
        guard next < tokens.count, case .symbol(let symbol) = tokens[next].token,
            let comparison = Operator(rawValue: symbol), Self.comparisons.contains(comparison)
        else {
            if left == .top1 { return .flip }
            throw fault("expected a comparison such as > 50 here")
        }
        let index = next
        next += 1
        let right = try value()
        guard Self.isText(left) == Self.isText(right) else {
            throw fault("a number and a text cannot be compared", at: index)
        }
        if Self.isText(left), comparison != .equal, comparison != .different {
            throw fault("texts are compared by == and != only", at: index)
        }
        return .comparison(comparison, left, right)
    }

    private mutating func value() throws(StepProblem) -> Node {
        try chain([.plus, .minus]) { (parser) throws(StepProblem) in try parser.product() }
    }

    private mutating func product() throws(StepProblem) -> Node {
        try chain([.times, .over]) { (parser) throws(StepProblem) in try parser.factor() }
    }

    private mutating func chain(
        _ operators: [Operator], _ part: (inout WatchParser) throws(StepProblem) -> Node
    ) throws(StepProblem) -> Node {
        var node = try part(&self)
        while next < tokens.count, case .symbol(let symbol) = tokens[next].token,
            let found = Operator(rawValue: symbol), operators.contains(found)
        {
            let index = next
            next += 1
            let right = try part(&self)
            if Self.isText(node) || Self.isText(right) { throw fault("\(symbol) takes numbers", at: index) }
            node = .arithmetic(found, node, right)
        }
        return node
    }

    private mutating func factor() throws(StepProblem) -> Node {
        guard next < tokens.count else { throw fault("expected a number or a name here") }
        let index = next
        next += 1
        switch tokens[index].token {
        case .number(let value): return .number(value)
        case .text(let text): return .text(text)
        case .symbol("-"): return .negative(try factor())
        case .symbol("("):
            let node = try value()
            try expect(")")
            return node
        case .word(let word): return try named(word, at: index)
        case .symbol(let symbol): throw fault("found \(symbol), expected a number or a name", at: index)
        }
    }

    private mutating func named(_ word: String, at index: Int) throws(StepProblem) -> Node {
        if take("[") { return .element(name: word == "resid" ? nil : word, try indices()) }
        switch word {
        case "top1": return .top1
        case "kind": return .kind
        case "name": return .name
        case "resid": throw fault("after resid comes a channel, as in resid[12], or [channel, token]")
        case "abs":
            try expect("(")
            let inner = try value()
            if Self.isText(inner) { throw fault("abs takes a number", at: index) }
            try expect(")")
            return .absolute(inner)
        default: break
        }
        guard let statistic = Statistic(rawValue: word) else {
            let names = Statistic.allCases.map(\.rawValue) + ["resid", "top1", "kind", "name", "abs"]
            let near = nearest(to: word, in: names)
            throw fault(
                "there is no '\(word)'"
                    + (near.isEmpty ? "; there are \(names.joined(separator: " "))" : "; did you mean \(near[0])?"),
                at: index)
        }
        guard take("(") else { return .statistic(statistic, ofResidual: false) }
        let isMagnitude = statistic == .max && take(word: "abs")
        let ofResidual = isMagnitude ? take("(") : true
        if ofResidual, !take(word: "resid") {
            throw fault(statistic == .max ? "expected abs or resid" : "expected resid, as in \(word)(resid)")
        }
        if isMagnitude, ofResidual { try expect(")") }
        try expect(")")
        guard isMagnitude || Statistic.ofValues.contains(statistic) else {
            throw fault("\(word) is not about values; write \(word) alone", at: index)
        }
        return isMagnitude ? .largest(ofResidual: ofResidual) : .statistic(statistic, ofResidual: true)
    }

    private mutating func indices() throws(StepProblem) -> [Int] {
        var indices: [Int] = []
        repeat {
            let isNegative = take("-")
            guard next < tokens.count, case .number(let number) = tokens[next].token, let index = Int(exactly: number)
            else { throw fault("expected an index, a whole number from 0") }
            if indices.count == 4 { throw fault("a tensor has four dimensions at most") }
            next += 1
            indices.append(isNegative ? -index : index)
        } while take(",")
        try expect("]")
        return indices
    }

    // MARK: pieces

    private static let comparisons: [Operator] = [.less, .more, .atMost, .atLeast, .equal, .different]

    private static func isText(_ node: Node) -> Bool {
        switch node {
        case .text, .kind, .name, .top1: true
        default: false
        }
    }

    private var isComparisonNext: Bool { isNext(in: Self.comparisons) }
    private var isArithmeticNext: Bool { isNext(in: [.plus, .minus, .times, .over]) }

    private func isNext(in operators: [Operator]) -> Bool {
        guard next < tokens.count, case .symbol(let symbol) = tokens[next].token else { return false }
        return Operator(rawValue: symbol).map(operators.contains) ?? false
    }

    private mutating func take(_ symbol: String) -> Bool { take(.symbol(symbol)) }
    private mutating func take(word: String) -> Bool { take(.word(word)) }

    private mutating func take(_ token: Token) -> Bool {
        guard next < tokens.count, tokens[next].token == token else { return false }
        next += 1
        return true
    }

    private mutating func expect(_ symbol: String) throws(StepProblem) {
        if !take(symbol) { throw fault("expected \(symbol)") }
    }

    /// - Parameter index: a token's number; `nil`: the one not yet read.
    private func fault(_ reason: String, at index: Int? = nil) -> StepProblem {
        let index = index ?? next
        return .expression(
            text: source, position: index < tokens.count ? tokens[index].position : source.count + 1, reason: reason)
    }

    private func shown(_ token: Token) -> String {
        switch token {
        case .number(let number): "\(number)"
        case .text(let text): "\"\(text)\""
        case .word(let word), .symbol(let word): word
        }
    }

    // MARK: words

    private mutating func split() throws(StepProblem) {
        let characters = Array(source)
        var i = 0
        while i < characters.count {
            let (start, c) = (i, characters[i])
            if c.isWhitespace {
                i += 1
            } else if c.isNumber || (c == "." && i + 1 < characters.count && characters[i + 1].isNumber) {
                i = Self.end(ofNumberAt: i, in: characters)
                guard let value = Double(String(characters[start..<i])) else {
                    throw .expression(
                        text: source, position: start + 1, reason: "'\(String(characters[start..<i]))' is no number")
                }
                tokens.append((.number(value), start + 1))
            } else if c == "\"" || c == "'" {
                guard let close = characters[(i + 1)...].firstIndex(of: c) else {
                    throw .expression(text: source, position: start + 1, reason: "the closing \(c) is missing")
                }
                tokens.append((.text(String(characters[(i + 1)..<close])), start + 1))
                i = close + 1
            } else if c.isLetter || c == "_" {
                i = Self.end(ofWordAt: i, in: characters)
                tokens.append((.word(String(characters[start..<i])), start + 1))
            } else {
                let two = i + 1 < characters.count ? String(characters[i...i + 1]) : ""
                let symbol = ["<=", ">=", "==", "!="].contains(two) ? two : String(c)
                guard symbol.count == 2 || "<>+-*/()[],".contains(c) else {
                    let advice = c == "=" ? "; equality is ==" : ""
                    throw .expression(text: source, position: start + 1, reason: "'\(c)' means nothing here\(advice)")
                }
                tokens.append((.symbol(symbol), start + 1))
                i += symbol.count
            }
        }
    }

    private static func end(ofNumberAt start: Int, in characters: [Character]) -> Int {
        var i = start
        while i < characters.count {
            let isExponentSign = "+-".contains(characters[i]) && i > start && "eE".contains(characters[i - 1])
            guard characters[i].isNumber || ".eE".contains(characters[i]) || isExponentSign else { break }
            i += 1
        }
        return i
    }

    /// `l_out-3[` is one name; elsewhere a minus is a minus.
    private static func end(ofWordAt start: Int, in characters: [Character]) -> Int {
        func run(_ from: Int, while isPart: (Character) -> Bool) -> Int {
            characters[from...].firstIndex { !isPart($0) } ?? characters.count
        }
        let end = run(start) { $0.isLetter || $0.isNumber || $0 == "_" }
        guard end < characters.count, characters[end] == "-" else { return end }
        let layer = end + 1 < characters.count ? run(end + 1) { $0.isNumber } : end + 1
        return layer > end + 1 && layer < characters.count && characters[layer] == "[" ? layer : end
    }
}
