/// Walks through a template and writes what it says.
///
/// A template is a program out of a file, so its work is bounded: steps, bytes it makes, depth. Whatever it nests or ties
/// into rings is listed in `made` and taken apart piece by piece at the end, so that no depth of nesting is walked down.
final class Evaluator {
    /// Limits far beyond what chat templates need: those that llama.cpp ships need some thousand steps.
    static let mostSteps = 4_000_000
    static let mostBytes = 1 << 28
    static let mostOutput = 1 << 26
    /// Levels of statements, expressions and macros inside each other.
    static let deepest = 400
    static let longestRange = 100_000

    let now: JinjaMoment
    let root: Scope
    var output: [UInt8] = []
    /// The line being evaluated.
    var line = 1
    private var depth = 0
    private var steps = 0
    private var work = 0

    private enum Box {
        case list(ListBox), mapping(MappingBox), namespace(NamespaceBox), macro(MacroBox), scope(Scope)
    }
    private var made: [Box] = []

    init(now: JinjaMoment) {
        self.now = now
        root = Scope(nil)
        made.append(.scope(root))
    }

    deinit {
        for box in made {
            switch box {
            case .list(let box): box.items = []
            case .mapping(let box): box.clear()
            case .namespace(let box): box.values = [:]
            case .macro(let box): box.scope = nil
            case .scope(let scope): scope.values = [:]
            }
        }
    }

    // MARK: bounds

    /// Counts work that grows with what a template makes: bytes, elements, comparisons.
    func charge(_ count: Int) throws {
        work += count
        if work > Self.mostBytes {
            throw JinjaError(.limit("the template makes more than \(Self.mostBytes >> 20) MiB of text and lists."))
        }
    }

    func deeper<Result>(_ body: () throws -> Result) throws -> Result {
        depth += 1
        defer { depth -= 1 }
        steps += 1
        if depth > Self.deepest {
            throw JinjaError(.limit("the template calls and nests more than \(Self.deepest) levels deep."))
        }
        if steps > Self.mostSteps { throw JinjaError(.limit("the template takes more than \(Self.mostSteps) steps.")) }
        return try body()
    }

    func write(_ bytes: [UInt8]) throws {
        try charge(bytes.count)
        if output.count + bytes.count > Self.mostOutput {
            throw JinjaError(.limit("the template writes more than \(Self.mostOutput >> 20) MiB."))
        }
        output += bytes
    }

    // MARK: making values

    func list(_ items: [Value], _ kind: ListBox.Kind = .list) throws -> Value {
        try charge(64 + 32 * items.count)
        let box = ListBox(items, kind)
        made.append(.list(box))
        return .list(box)
    }

    func mapping(_ entries: [(Value, Value)]) throws -> Value {
        try charge(128 + 128 * entries.count)
        let box = MappingBox()
        made.append(.mapping(box))
        for (key, value) in entries { try box.set(key, value) }
        return .mapping(box)
    }

    func namespace(_ values: [String: Value]) throws -> Value {
        try charge(128 + 64 * values.count)
        let box = NamespaceBox()
        box.values = values
        made.append(.namespace(box))
        return .namespace(box)
    }

    func scope(_ outer: Scope) throws -> Scope {
        try charge(128)
        let scope = Scope(outer)
        made.append(.scope(scope))
        return scope
    }

    func macro(_ definition: MacroDefinition, _ scope: Scope) throws -> Value {
        try charge(64)
        let box = MacroBox(definition, scope)
        made.append(.macro(box))
        return .macro(box)
    }

    func text(_ bytes: [UInt8], isSafe: Bool = false) throws -> Value {
        try charge(bytes.count)
        return .text(Text(bytes, isSafe: isSafe))
    }

    func value(_ data: JinjaData) throws -> Value {
        switch data {
        case .none: .none
        case .bool(let value): .bool(value)
        case .integer(let value): .int(value)
        case .number(let value): .double(value)
        case .bytes(let bytes): try text(bytes)
        case .list(let items): try deeper { try list(items.map(value)) }
        case .object(let entries): try deeper { try mapping(entries.map { (.string($0.key), try value($0.value)) }) }
        }
    }

    /// What `body` writes, instead of writing it.
    func captured(_ body: () throws -> Void) throws -> [UInt8] {
        let outer = output
        output = []
        defer { output = outer }
        try body()
        return output
    }

    // MARK: statements

    enum Flow { case next, leaveLoop, nextItem }

    func run(_ statements: [Statement], in scope: Scope) throws -> Flow {
        for statement in statements {
            line = statement.line
            let flow = try deeper { try run(statement, in: scope) }
            if flow != .next { return flow }
        }
        return .next
    }

    private func run(_ statement: Statement, in scope: Scope) throws -> Flow {
        switch statement.kind {
        case .text(let bytes): try write(bytes)
        case .output(let expression): try write(try printed(try evaluate(expression, in: scope)))
        case .branches(let branches, let otherwise):
            for branch in branches where try evaluate(branch.test, in: scope).isTrue {
                return try run(branch.body, in: scope)
            }
            return try run(otherwise, in: scope)
        case .loop(let loop):
            let items = try items(of: try evaluate(loop.items, in: scope))
            try run(loop, over: items, in: scope, depth: 0)
        case .assignment(let target, let expression):
            try assign(try evaluate(expression, in: scope), to: target, in: scope)
        case .blockAssignment(let target, let filter, let body): try assignBlock(target, filter, body, in: scope)
        case .macro(let definition): scope.values[definition.name] = try macro(definition, scope)
        case .callBlock(let call, let definition):
            try write(try printed(try self.call(call, caller: try macro(definition, scope), in: scope)))
        case .filterBlock(let filter, let body):
            let inner = try self.scope(scope)
            let text = try captured { _ = try run(body, in: inner) }
            try write(try printed(try self.filter(filter, of: try self.text(text), in: scope)))
        case .with(let values, let body):
            let inner = try self.scope(scope)
            for (target, expression) in values {
                try assign(try evaluate(expression, in: scope), to: target, in: inner)
            }
            return try run(body, in: inner)
        case .leaveLoop: return .leaveLoop
        case .nextItem: return .nextItem
        }
        return .next
    }

    private func assignBlock(_ target: Target, _ filter: Expression?, _ body: [Statement], in scope: Scope) throws {
        let inner = try self.scope(scope)
        let bytes = try captured { _ = try run(body, in: inner) }
        var value = try text(bytes)
        if let filter { value = try self.filter(filter, of: value, in: scope) }
        try assign(value, to: target, in: scope)
    }

    func assign(_ value: Value, to target: Target, in scope: Scope) throws {
        switch target {
        case .name(let name): scope.values[name] = value
        case .attribute(let name, let attribute):
            guard case .namespace(let box)? = scope.value(name) else {
                throw JinjaError.failure("cannot assign attribute '\(attribute)' of '\(name)', which is no namespace.")
            }
            try charge(64)
            box.values[attribute] = value
        case .tuple(let targets):
            let items = try items(of: value)
            guard items.count == targets.count else {
                throw JinjaError.failure("found \(items.count) values to assign, expected \(targets.count).")
            }
            for (target, item) in zip(targets, items) { try assign(item, to: target, in: scope) }
        }
    }

    func run(_ loop: Statement.Loop, over items: [Value], in scope: Scope, depth: Int) throws {
        var chosen = items
        if let condition = loop.condition {
            chosen = try items.filter { item in
                let inner = try self.scope(scope)
                try assign(item, to: loop.target, in: inner)
                return try evaluate(condition, in: inner).isTrue
            }
        }
        let box = LoopBox(chosen, depth: depth, recursion: loop.isRecursive ? loop : nil, scope)
        var hasFinished = false
        for index in chosen.indices {
            box.index = index
            let inner = try self.scope(scope)
            inner.values["loop"] = .loop(box)
            try assign(chosen[index], to: loop.target, in: inner)
            let flow = try run(loop.body, in: inner)
            if flow == .next { hasFinished = true }
            if flow == .leaveLoop { break }
        }
        // As in Jinja2: also where every item was broken off.
        if !hasFinished { _ = try run(loop.otherwise, in: try self.scope(scope)) }
    }
}
