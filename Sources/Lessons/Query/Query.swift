/// A query of a lesson: arithmetic over what a model and a trace hold. `docs/lessons.md` describes the language.
public struct Query: Sendable, Equatable {
    /// As the lesson has it.
    public let text: String
    let root: Node

    indirect enum Node: Sendable, Equatable {
        case number(Double)
        /// Text with queries in braces.
        case text([Part])
        case name(String)
        case list([Node])
        /// `isMade`: asked of what the learner made, as in `made.sql("…")`.
        case call(String, isMade: Bool, [Node])
        case field(Node, String)
        case element(Node, Node)
        case slice(Node, from: Node?, to: Node?)
        case unary(String, Node)
        case binary(String, Node, Node)
    }

    enum Part: Sendable, Equatable {
        case plain(String)
        case query(Node)
    }

    /// - Throws: `QueryProblem.syntax` with what was expected where.
    public init(_ text: String) throws(QueryProblem) {
        self.text = text
        var parser = QueryParser(text)
        root = try parser.whole()
    }

    /// Whether it asks a model or a trace, so that no lesson holds its answer.
    var asksTheModel: Bool {
        root.contains { if case .call(let name, _, _) = $0 { QuerySource(rawValue: name) != nil } else { false } }
    }

    /// The names it uses.
    var names: Set<String> {
        var names: Set<String> = []
        root.visit { if case .name(let name) = $0 { names.insert(name) } }
        return names
    }
}

extension Query.Node {
    func visit(_ body: (Query.Node) -> Void) {
        body(self)
        for child in children { child.visit(body) }
    }

    func contains(_ isFound: (Query.Node) -> Bool) -> Bool {
        var found = false
        visit { found = found || isFound($0) }
        return found
    }

    private var children: [Query.Node] {
        switch self {
        case .number, .name: []
        case .text(let parts): parts.compactMap { if case .query(let node) = $0 { node } else { nil } }
        case .list(let items), .call(_, _, let items): items
        case .field(let node, _), .unary(_, let node): [node]
        case .element(let a, let b), .binary(_, let a, let b): [a, b]
        case .slice(let a, let from, let to): [a] + [from, to].compactMap { $0 }
        }
    }
}

/// What is wrong with a query, in words.
public enum QueryProblem: Error, Sendable, Equatable {
    case syntax(text: String, at: Int, expected: String)
    case unknown(name: String, known: [String])
    case unknownFunction(name: String, known: [String])
    case arguments(function: String, expected: String)
    /// An operation on values it is not for.
    case mismatch(operation: String, found: String)
    case outside(index: Int, count: Int)
    case noField(name: String, fields: [String])
    case noRows(sql: String)
    case circular(name: String)
    case nothingMade
    /// What the model, the trace or SQLite said.
    case source(call: String, message: String)
}

extension QueryProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .syntax(let text, let at, let expected):
            "in the query `\(text)`, character \(at + 1): expected \(expected)"
        case .unknown(let name, let known): "nothing is called `\(name)`; there are \(known.joined(separator: ", "))"
        case .unknownFunction(let name, let known):
            "there is no function `\(name)`; there are \(known.joined(separator: ", "))"
        case .arguments(let function, let expected): "`\(function)` takes \(expected)"
        case .mismatch(let operation, let found): "`\(operation)` is not for \(found)"
        case .outside(let index, let count): "element \(index) is asked of \(count)"
        case .noField(let name, let fields): "there is no field `\(name)`; there are \(fields.joined(separator: ", "))"
        case .noRows(let sql): "no rows come of `\(sql)`"
        case .circular(let name): "`\(name)` is made of itself"
        case .nothingMade: "`made.` is for questions of kind change"
        case .source(let call, let message): "\(call): \(message)"
        }
    }
}
