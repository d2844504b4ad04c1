/// A template in Jinja, read and ready to be rendered.
///
/// What chat templates use of Jinja2, with the options that Hugging Face gives it: `trim_blocks`, `lstrip_blocks`, loop
/// controls, `tojson`, `raise_exception`, `strftime_now`, `{% generation %}`. It renders as Jinja2 does, or says what
/// it does not know.
///
/// A template is a program. Rendering runs it, with bounded work, depth and output; it reaches nothing but its data.
public struct JinjaTemplate: Sendable {
    /// The names a template uses that it does not define itself.
    public let needs: JinjaNeeds
    private let body: [Statement]

    /// - Parameter template: UTF-8.
    /// - Throws: `JinjaError` if it is not written as Jinja asks for, or has a statement that is not known here.
    public init(_ template: [UInt8]) throws {
        var parser = try Parser(template)
        body = try parser.parse()
        var needs = parser.needs
        needs.names.subtract(Definitions.names(in: body))
        self.needs = needs
    }

    /// The text that the template makes of `data`.
    ///
    /// - Parameters:
    ///   - data: the variables by name: `messages`, `add_generation_prompt`, …
    ///   - now: what `strftime_now` tells.
    /// - Throws: `JinjaError`, also for what the template refuses itself.
    public func render(_ data: KeyValuePairs<String, JinjaData>, now: JinjaMoment) throws -> [UInt8] {
        try render(data.map { JinjaData.Entry($0.key, $0.value) }, now: now)
    }

    public func render(_ data: [JinjaData.Entry], now: JinjaMoment) throws -> [UInt8] {
        let evaluator = Evaluator(now: now)
        do {
            for entry in data { evaluator.root.values[entry.key] = try evaluator.value(entry.value) }
            _ = try evaluator.run(body, in: evaluator.root)
            return evaluator.output
        } catch let error as JinjaError {
            throw error.at(evaluator.line)
        }
    }
}

/// What a template asks of whoever renders it.
public struct JinjaNeeds: Sendable, Equatable {
    /// Variables and functions that it reads and does not set everywhere.
    public internal(set) var names: Set<String> = []
    public internal(set) var filters: Set<String> = []
    public internal(set) var tests: Set<String> = []

    /// Filters and tests that Quipu does not know: a template renders as long as it does not come to them.
    public var unknown: [String] {
        filters.subtracting(Evaluator.filters).sorted().map { "filter \($0)" }
            + tests.subtracting(Evaluator.tests).sorted().map { "test \($0)" }
    }
}

/// The names that a template defines: macros and their parameters, loop variables, what it sets.
private enum Definitions {
    static func names(in statements: [Statement]) -> Set<String> {
        statements.reduce(into: []) { names, statement in
            switch statement.kind {
            case .text, .output, .leaveLoop, .nextItem: break
            case .branches(let branches, let otherwise):
                for branch in branches { names.formUnion(self.names(in: branch.body)) }
                names.formUnion(self.names(in: otherwise))
            case .loop(let loop):
                names.formUnion(self.names(of: loop.target).union(["loop"]))
                names.formUnion(self.names(in: loop.body).union(self.names(in: loop.otherwise)))
            case .assignment(let target, let value):
                // `{% set tools = tools or [] %}` still asks for it.
                if !value.reads(self.names(of: target)) { names.formUnion(self.names(of: target)) }
            case .blockAssignment(let target, _, let body):
                names.formUnion(self.names(of: target).union(self.names(in: body)))
            case .macro(let macro), .callBlock(_, let macro):
                names.formUnion(self.names(in: macro.body).union(macro.parameters.map(\.name)).union(macro.reads))
                names.insert(macro.name)
            case .filterBlock(_, let body): names.formUnion(self.names(in: body))
            case .with(let values, let body):
                for value in values { names.formUnion(self.names(of: value.target)) }
                names.formUnion(self.names(in: body))
            }
        }
    }

    private static func names(of target: Target) -> Set<String> {
        switch target {
        case .name(let name): [name]
        case .attribute: []
        case .tuple(let targets): targets.reduce(into: []) { $0.formUnion(names(of: $1)) }
        }
    }
}

extension Expression {
    /// Whether one of these variables is the expression, or the first thing a choice or a filter looks at.
    fileprivate func reads(_ names: Set<String>) -> Bool {
        switch kind {
        case .name(let name): names.contains(name)
        case .or(let operands), .and(let operands): operands.contains { $0.reads(names) }
        case .conditional(let test, let value, let otherwise):
            test.reads(names) || value.reads(names) || otherwise?.reads(names) ?? false
        case .test(let operand, _, _), .not(let operand): operand.reads(names)
        case .filter(let operand?, _, _): operand.reads(names)
        default: false
        }
    }
}
