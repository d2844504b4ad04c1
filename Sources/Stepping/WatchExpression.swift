/// A condition on an operation of a run, such as `resid[1415] > 50`, `rms > 3 and kind == "MUL_MAT"` or `top1`.
///
/// What an operation has no value for is unknown there, neither true nor false: `resid[…]` is known where the operation's
/// output is the residual stream.
public struct WatchExpression: Hashable, Sendable {
    public let text: String
    let root: Node

    /// A number that the trace has of every operation.
    enum Statistic: String, CaseIterable, Sendable {
        case rms, min, max, mean, std, sum, zeros, nan, inf, n, ns, flops, bytes, layer, seq, pass
        /// Of those, what describes the values, and so can be asked of the residual stream alone.
        static let ofValues: [Statistic] = [.rms, .min, .max, .mean, .std, .sum, .zeros, .nan, .inf]
    }

    indirect enum Node: Hashable, Sendable {
        case number(Double)
        case text(String)
        case statistic(Statistic, ofResidual: Bool)
        /// The largest magnitude.
        case largest(ofResidual: Bool)
        /// `nil`: the residual stream. Indices from the end are negative; a missing token is the last.
        case element(name: String?, [Int])
        case kind, name, top1
        /// The top token is another one than at the residual stream's operation before.
        case flip
        case absolute(Node)
        case negative(Node)
        case arithmetic(Operator, Node, Node)
        case comparison(Operator, Node, Node)
        case not(Node)
        case and(Node, Node)
        case or(Node, Node)
    }

    enum Operator: String, Sendable {
        case plus = "+"
        case minus = "-"
        case times = "*"
        case over = "/"
        case less = "<"
        case more = ">"
        case atMost = "<="
        case atLeast = ">="
        case equal = "=="
        case different = "!="
    }

    /// - Throws: `StepProblem.expression` with the position of the first fault.
    public init(_ text: String) throws(StepProblem) {
        self.text = text
        var parser = try WatchParser(text)
        root = try parser.condition()
    }

    /// Whether it tells of a change, which has no length: each is met on its own.
    public var isEvent: Bool { root.contains { $0 == .flip } }

    /// Whether reading it takes the model.
    public var needsModel: Bool { root.contains { $0 == .flip || $0 == .top1 } }
}

extension WatchExpression.Node {
    /// Whether this node, or one in it, is such.
    func contains(_ isWanted: (Self) -> Bool) -> Bool {
        if isWanted(self) { return true }
        switch self {
        case .absolute(let a), .negative(let a), .not(let a): return a.contains(isWanted)
        case .arithmetic(_, let a, let b), .comparison(_, let a, let b), .and(let a, let b), .or(let a, let b):
            return a.contains(isWanted) || b.contains(isWanted)
        default: return false
        }
    }
}

// MARK: evaluation

/// What an expression asks of an operation; `nil` is unknown.
protocol WatchSubject {
    func number(_ statistic: WatchExpression.Statistic, ofResidual: Bool) -> Double?
    func largest(ofResidual: Bool) -> Double?
    func element(name: String?, _ indices: [Int]) throws -> Double?
    /// Of the logit lens at the last token, here and at the residual stream's operation before.
    func topToken() throws -> String?
    func topTokenBefore() throws -> String?
    var kind: String { get }
    var name: String { get }
}

extension WatchExpression {
    /// Whether the condition holds; `nil` if that is unknown here.
    func holds(at subject: some WatchSubject) throws -> Bool? { try Self.truth(root, subject) }

    private static func truth(_ node: Node, _ subject: some WatchSubject) throws -> Bool? {
        switch node {
        case .not(let a): return try truth(a, subject).map { !$0 }
        case .and(let a, let b):
            let left = try truth(a, subject)
            if left == false { return false }
            let right = try truth(b, subject)
            return right == false ? false : left == nil || right == nil ? nil : true
        case .or(let a, let b):
            let left = try truth(a, subject)
            if left == true { return true }
            let right = try truth(b, subject)
            return right == true ? true : left == nil || right == nil ? nil : false
        case .flip:
            guard let now = try subject.topToken(), let before = try subject.topTokenBefore() else { return nil }
            return now != before
        case .comparison(let operation, let a, let b):
            if let left = try string(a, subject), let right = try string(b, subject) {
                // Pieces begin with a space where a word does; a user need not type it.
                let isEqual = left == right || left.drop { $0 == " " } == right.drop { $0 == " " }
                return operation == .equal ? isEqual : !isEqual
            }
            guard let x = try number(a, subject), let y = try number(b, subject) else { return nil }
            return compare(operation, x, y)
        default: return nil
        }
    }

    private static func compare(_ operation: Operator, _ x: Double, _ y: Double) -> Bool {
        switch operation {
        case .less: x < y
        case .more: x > y
        case .atMost: x <= y
        case .atLeast: x >= y
        case .different: x != y
        default: x == y
        }
    }

    private static func string(_ node: Node, _ subject: some WatchSubject) throws -> String? {
        switch node {
        case .text(let text): text
        case .kind: subject.kind
        case .name: subject.name
        case .top1: try subject.topToken()
        default: nil
        }
    }

    private static func number(_ node: Node, _ subject: some WatchSubject) throws -> Double? {
        switch node {
        case .number(let value): return value
        case .statistic(let statistic, let ofResidual): return subject.number(statistic, ofResidual: ofResidual)
        case .largest(let ofResidual): return subject.largest(ofResidual: ofResidual)
        case .element(let name, let indices): return try subject.element(name: name, indices)
        case .absolute(let a): return try number(a, subject).map { abs($0) }
        case .negative(let a): return try number(a, subject).map { -$0 }
        case .arithmetic(let operation, let a, let b):
            guard let x = try number(a, subject), let y = try number(b, subject) else { return nil }
            switch operation {
            case .plus: return x + y
            case .minus: return x - y
            case .times: return x * y
            default: return x / y
            }
        default: return nil
        }
    }
}

// MARK: telling

extension WatchExpression {
    /// What is compared, as it reads here: the left side of a comparison, or the top token; `nil` if there is none.
    func reading(at subject: some WatchSubject) throws -> String? {
        switch root {
        case .flip: return try subject.topToken().map { "‹\($0)›" }
        case .comparison(_, let left, _):
            if let text = try Self.string(left, subject) { return "‹\(text)›" }
            return try Self.number(left, subject).map { value in
                value == value.rounded() && abs(value) < 1e9 ? "\(Int(value))" : "\(Float(value))"
            }
        default: return nil
        }
    }
}
