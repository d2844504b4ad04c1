/// Evaluates queries on a learner's model and trace.
///
/// Names are evaluated once, when first used. Not shared between threads.
public final class Evaluator {
    public let subject: Subject
    /// What the learner made for a question of kind change.
    public let made: Subject?
    private let definitions: [String: Query]
    private var known: [String: Value] = [:]
    private var open: Set<String> = []

    /// - Parameter definitions: what names stand for.
    public init(_ subject: Subject, definitions: [String: Query] = [:], made: Subject? = nil) {
        (self.subject, self.made, self.definitions) = (subject, made, definitions)
    }

    /// - Throws: `QueryProblem` that says what the query asks for and there is not.
    public func value(_ query: Query) throws(QueryProblem) -> Value { try value(query.root) }

    private func value(_ node: Query.Node) throws(QueryProblem) -> Value {
        switch node {
        case .number(let number): return .number(number)
        case .text(let parts): return .text(try text(parts))
        case .name(let name): return try named(name)
        case .list(let items): return try list(items)
        case .call(let name, let isMade, let arguments): return try call(name, isMade, arguments)
        case .field(let node, let name): return try field(name, of: try value(node))
        case .element(let node, let index): return try element(try value(index), of: try value(node))
        case .slice(let node, let from, let to): return try slice(node, from, to)
        case .unary(let sign, let node): return try ValueArithmetic.unary(sign, try value(node))
        case .binary("and", let a, let b):
            return .truth(try value(a).truth(for: "and") ? try value(b).truth(for: "and") : false)
        case .binary("or", let a, let b):
            return .truth(try value(a).truth(for: "or") ? true : try value(b).truth(for: "or"))
        case .binary(let sign, let a, let b): return try ValueArithmetic.binary(sign, try value(a), try value(b))
        }
    }

    private func text(_ parts: [Query.Part]) throws(QueryProblem) -> String {
        var text = ""
        for part in parts {
            switch part {
            case .plain(let plain): text += plain
            case .query(let node): text += try value(node).plain
            }
        }
        return text
    }

    private func named(_ name: String) throws(QueryProblem) -> Value {
        if let value = known[name] { return value }
        if name == "true" || name == "false" { return .truth(name == "true") }
        guard let query = definitions[name] else {
            throw .unknown(name: name, known: definitions.keys.sorted())
        }
        guard open.insert(name).inserted else { throw .circular(name: name) }
        defer { open.remove(name) }
        let value = try value(query.root)
        known[name] = value
        return value
    }

    private func list(_ items: [Query.Node]) throws(QueryProblem) -> Value {
        var values: [Value] = []
        for item in items { values.append(try value(item)) }
        if case .text = values.first {
            var texts: [String] = []
            for value in values { texts.append(try value.text(for: "[…]")) }
            return .texts(texts)
        }
        var numbers: [Double] = []
        for value in values { numbers += try value.numbers(for: "[…]") }
        return .numbers(numbers)
    }

    private func call(_ name: String, _ isMade: Bool, _ arguments: [Query.Node]) throws(QueryProblem) -> Value {
        var values: [Value] = []
        for argument in arguments { values.append(try value(argument)) }
        if let source = QuerySource(rawValue: name) {
            guard isMade else { return try source(subject, values) }
            guard let made else { throw .nothingMade }
            return try source(made, values)
        }
        guard let function = QueryFunction(rawValue: name) else {
            let known = QuerySource.allCases.map(\.rawValue) + QueryFunction.allCases.map(\.rawValue)
            throw .unknownFunction(name: name, known: known)
        }
        return try function(values)
    }

    private func field(_ name: String, of value: Value) throws(QueryProblem) -> Value {
        guard case .record(let fields) = value else { throw .mismatch(operation: ".\(name)", found: value.kind) }
        guard let field = fields[name] else { throw .noField(name: name, fields: fields.keys.sorted()) }
        return field
    }

    /// Negative indices count from the end.
    private func element(_ index: Value, of list: Value) throws(QueryProblem) -> Value {
        let index = try index.integer(for: "[…]")
        if case .texts(let texts) = list {
            return .text(texts[try resolved(index, in: texts.count)])
        }
        let numbers = try list.numbers(for: "[…]")
        return .number(numbers[try resolved(index, in: numbers.count)])
    }

    private func resolved(_ index: Int, in count: Int) throws(QueryProblem) -> Int {
        let resolved = index < 0 ? count + index : index
        guard (0..<count).contains(resolved) else { throw .outside(index: index, count: count) }
        return resolved
    }

    private func slice(_ node: Query.Node, _ from: Query.Node?, _ to: Query.Node?) throws(QueryProblem) -> Value {
        let list = try value(node)
        func bound(_ node: Query.Node?, _ count: Int, _ otherwise: Int) throws(QueryProblem) -> Int {
            guard let node else { return otherwise }
            let index = try value(node).integer(for: "[:]")
            let bound = index < 0 ? count + index : index
            guard (0...count).contains(bound) else { throw .outside(index: index, count: count) }
            return bound
        }
        func range(_ count: Int) throws(QueryProblem) -> Range<Int> {
            let (low, high) = (try bound(from, count, 0), try bound(to, count, count))
            return low..<max(low, high)
        }
        if case .texts(let texts) = list { return .texts(Array(texts[try range(texts.count)])) }
        let numbers = try list.numbers(for: "[:]")
        return .numbers(Array(numbers[try range(numbers.count)]))
    }
}
