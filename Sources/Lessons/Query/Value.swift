import Foundation

/// What a query gives.
public enum Value: Sendable, Equatable {
    case number(Double)
    case numbers([Double])
    case text(String)
    case texts([String])
    case truth(Bool)
    case record([String: Value])

    /// For messages.
    var kind: String {
        switch self {
        case .number: "a number"
        case .numbers(let list): "\(list.count) numbers"
        case .text: "text"
        case .texts(let list): "\(list.count) texts"
        case .truth: "true or false"
        case .record: "a record"
        }
    }

    func number(for use: String) throws(QueryProblem) -> Double {
        guard case .number(let number) = self else { throw .mismatch(operation: use, found: kind) }
        return number
    }

    /// A number counts as a list of one.
    func numbers(for use: String) throws(QueryProblem) -> [Double] {
        switch self {
        case .number(let number): return [number]
        case .numbers(let list): return list
        default: throw .mismatch(operation: use, found: kind)
        }
    }

    func integer(for use: String) throws(QueryProblem) -> Int {
        guard let integer = Int(exactly: try number(for: use)) else {
            throw .mismatch(operation: use, found: "a number that is not whole")
        }
        return integer
    }

    func text(for use: String) throws(QueryProblem) -> String {
        guard case .text(let text) = self else { throw .mismatch(operation: use, found: kind) }
        return text
    }

    func truth(for use: String) throws(QueryProblem) -> Bool {
        guard case .truth(let truth) = self else { throw .mismatch(operation: use, found: kind) }
        return truth
    }

    /// As it stands inside other text: whole numbers without a point, others in full.
    public var plain: String {
        switch self {
        case .number(let number): Self.plain(number)
        case .numbers(let list): list.map(Self.plain).joined(separator: ", ")
        case .text(let text): text
        case .texts(let list): list.joined(separator: ", ")
        case .truth(let truth): truth ? "true" : "false"
        case .record(let fields): fields.keys.sorted().joined(separator: ", ")
        }
    }

    static func plain(_ number: Double) -> String {
        Int(exactly: number).map(String.init) ?? "\(number)"
    }
}

/// Operators. Those of numbers work element by element on lists, and of a list with a number; a comparison of lists
/// gives ones and zeros.
enum ValueArithmetic {
    static func unary(_ sign: String, _ value: Value) throws(QueryProblem) -> Value {
        if sign == "not" { return .truth(!(try value.truth(for: sign))) }
        if case .number(let number) = value { return .number(-number) }
        return .numbers(try value.numbers(for: sign).map { -$0 })
    }

    static func binary(_ sign: String, _ a: Value, _ b: Value) throws(QueryProblem) -> Value {
        switch sign {
        case "==": return .truth(a == b)
        case "!=": return .truth(a != b)
        case "<", "<=", ">", ">=":
            let result = try elementwise(sign, a, b)
            if case .number(let number) = result { return .truth(number == 1) }
            return result
        default: return try elementwise(sign, a, b)
        }
    }

    private static func elementwise(_ sign: String, _ a: Value, _ b: Value) throws(QueryProblem) -> Value {
        let operation = Self.operation(sign)
        if case .number(let x) = a, case .number(let y) = b { return .number(operation(x, y)) }
        let (xs, ys) = (try a.numbers(for: sign), try b.numbers(for: sign))
        if case .number(let y) = b { return .numbers(xs.map { operation($0, y) }) }
        if case .number(let x) = a { return .numbers(ys.map { operation(x, $0) }) }
        guard xs.count == ys.count else {
            throw .mismatch(operation: sign, found: "\(xs.count) and \(ys.count) numbers")
        }
        return .numbers(zip(xs, ys).map(operation))
    }

    private static func operation(_ sign: String) -> (Double, Double) -> Double {
        switch sign {
        case "+": return { $0 + $1 }
        case "-": return { $0 - $1 }
        case "*": return { $0 * $1 }
        case "/": return { $0 / $1 }
        case "%": return { $0 - $1 * ($0 / $1).rounded(.down) }
        case "^": return { pow($0, $1) }
        case "<": return { $0 < $1 ? 1 : 0 }
        case "<=": return { $0 <= $1 ? 1 : 0 }
        case ">": return { $0 > $1 ? 1 : 0 }
        case ">=": return { $0 >= $1 ? 1 : 0 }
        default: preconditionFailure("no operator \(sign)")
        }
    }
}
