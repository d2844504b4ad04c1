/// The values of a call, taken one by one by what is called.
struct Call {
    var positional: [Value]
    var named: [(name: String, value: Value)]

    /// The next argument: by its position, or by its name.
    mutating func take(_ name: String) -> Value? {
        if !positional.isEmpty { return positional.removeFirst() }
        guard let index = named.firstIndex(where: { $0.name == name }) else { return nil }
        return named.remove(at: index).value
    }

    /// - Throws: if arguments are left that nothing took.
    func finish(_ what: String) throws {
        if !positional.isEmpty { throw JinjaError.failure("\(what) takes fewer arguments.") }
        if let (name, _) = named.first { throw JinjaError.unsupported("the argument '\(name)' of \(what)") }
    }
}

extension Evaluator {
    func arguments(_ arguments: Arguments, in scope: Scope) throws -> Call {
        var call = Call(
            positional: try evaluate(arguments.positional, in: scope),
            named: try arguments.named.map { ($0.name, try evaluate($0.value, in: scope)) })
        if let spread = arguments.spread { call.positional += try items(of: try evaluate(spread, in: scope)) }
        if let spread = arguments.namedSpread {
            guard case .mapping(let box) = try evaluate(spread, in: scope) else {
                throw JinjaError.failure("** expects a mapping.")
            }
            for (key, value) in zip(box.keys, box.values) {
                guard case .text(let name) = key else { throw JinjaError.failure("** expects keys that are names.") }
                call.named.append((name.string, value))
            }
        }
        return call
    }

    func call(_ expression: Expression, caller: Value?, in scope: Scope) throws -> Value {
        guard case .call(let callee, let arguments) = expression.kind else { return .none }
        let function = try evaluate(callee, in: scope)
        let call = try self.arguments(arguments, in: scope)
        line = expression.line
        if case .macro(let box) = function { return try run(box, call, caller: caller) }
        guard caller == nil else { throw JinjaError.failure("{% call %} expects a macro.") }
        switch function {
        case .global(let name): return try global(name, call)
        case .method(.loop(let box), let name): return try loopMethod(name, box, call)
        case .method(let value, let name): return try method(name, of: value, call)
        case .loop(let box): return try recursion(box, call)
        case .undefined(let why): throw JinjaError.failure("\(why), and so cannot be called.")
        default: throw JinjaError.failure("a \(function.typeName) cannot be called.")
        }
    }

    // MARK: macros

    private func run(_ macro: MacroBox, _ call: Call, caller: Value?) throws -> Value {
        let definition = macro.definition
        let what = "the macro \(definition.name)"
        let scope = try self.scope(macro.scope!)
        var call = call
        for parameter in definition.parameters {
            let isNamed = call.named.contains { $0.name == parameter.name }
            if isNamed, !call.positional.isEmpty {
                throw JinjaError.failure("\(what) got the argument '\(parameter.name)' twice.")
            }
            if let value = call.take(parameter.name) {
                scope.values[parameter.name] = value
            } else if let fallback = parameter.fallback {
                scope.values[parameter.name] = try evaluate(fallback, in: scope)
            } else {
                scope.values[parameter.name] = .undefined("parameter '\(parameter.name)' was not provided")
            }
        }
        if definition.reads.contains("caller") {
            scope.values["caller"] =
                caller ?? call.named.firstIndex { $0.name == "caller" }.map {
                    call.named.remove(at: $0).value
                } ?? .undefined("No caller defined")
        } else if caller != nil {
            throw JinjaError.failure("\(what) was called with a body, but does not ask for its caller.")
        }
        if definition.reads.contains("kwargs") {
            scope.values["kwargs"] = try mapping(call.named.map { (.string($0.name), $0.value) })
            call.named = []
        }
        if definition.reads.contains("varargs") {
            scope.values["varargs"] = try list(call.positional, .tuple)
            call.positional = []
        }
        if let (name, _) = call.named.first { throw JinjaError.failure("\(what) takes no argument '\(name)'.") }
        if !call.positional.isEmpty {
            throw JinjaError.failure("\(what) takes not more than \(definition.parameters.count) arguments.")
        }
        return .text(Text(try captured { _ = try self.run(definition.body, in: scope) }))
    }

    // MARK: loops

    private func recursion(_ box: LoopBox, _ call: Call) throws -> Value {
        var call = call
        guard let loop = box.recursion else {
            throw JinjaError.failure("the loop is called, but is not marked as recursive.")
        }
        guard let value = call.take("iterable") else { throw JinjaError.failure("loop(…) expects items.") }
        try call.finish("loop(…)")
        let items = try items(of: value)
        return .text(Text(try captured { try run(loop, over: items, in: box.scope, depth: box.depth + 1) }))
    }

    private func loopMethod(_ name: String, _ box: LoopBox, _ call: Call) throws -> Value {
        guard name == "changed" else {
            guard !call.positional.isEmpty else { throw JinjaError.failure("loop.cycle expects values.") }
            return call.positional[box.index % call.positional.count]
        }
        let isSame = try box.changed.map { before in
            guard before.count == call.positional.count else { return false }
            return try zip(before, call.positional).allSatisfy { try equal($0, $1) }
        }
        guard isSame != true else { return .bool(false) }
        box.changed = call.positional
        return .bool(true)
    }

    // MARK: functions that every template has

    private func global(_ name: String, _ call: Call) throws -> Value {
        var call = call
        switch name {
        case "raise_exception":
            let message = call.take("message")
            throw JinjaError(.refusal(try message.map { String(decoding: try printed($0), as: UTF8.self) } ?? ""))
        case "strftime_now":
            guard case .text(let format)? = call.take("format") else {
                throw JinjaError.failure("strftime_now expects a format.")
            }
            return .string(try now.formatted(format.string))
        case "namespace":
            var values = try pairs(of: &call, "namespace").reduce(into: [String: Value]()) { values, pair in
                guard case .text(let name) = pair.0 else { throw JinjaError.failure("namespace expects names.") }
                values[name.string] = pair.1
            }
            for (name, value) in call.named { values[name] = value }
            return try namespace(values)
        case "dict":
            return try mapping(try pairs(of: &call, "dict") + call.named.map { (.string($0.name), $0.value) })
        default: return try range(call)
        }
    }

    private func pairs(of call: inout Call, _ what: String) throws -> [(Value, Value)] {
        guard !call.positional.isEmpty else { return [] }
        guard call.positional.count == 1 else {
            throw JinjaError.failure("\(what) takes one mapping and named values.")
        }
        switch call.positional.removeFirst() {
        case .mapping(let box): return Array(zip(box.keys, box.values))
        case let value:
            return try items(of: value).map { pair in
                let parts = try items(of: pair)
                guard parts.count == 2 else { throw JinjaError.failure("\(what) expects pairs.") }
                return (parts[0], parts[1])
            }
        }
    }

    private func range(_ call: Call) throws -> Value {
        let bounds = try call.positional.map { value in
            guard let bound = value.integer else {
                throw JinjaError.failure("range expects integers, not a \(value.typeName).")
            }
            return bound
        }
        guard (1...3).contains(bounds.count), call.named.isEmpty else {
            throw JinjaError.failure("range takes one to three integers.")
        }
        let from = bounds.count > 1 ? bounds[0] : 0
        let to = bounds.count > 1 ? bounds[1] : bounds[0]
        let step = bounds.count > 2 ? bounds[2] : 1
        if step == 0 { throw JinjaError.failure("range expects a step other than 0.") }
        let numbers = stride(from: from, to: to, by: step).lazy.prefix(Self.longestRange + 1)
        let values = Array(numbers)
        guard values.count <= Self.longestRange else {
            throw JinjaError(.limit("range asks for more than \(Self.longestRange) numbers."))
        }
        return try list(values.map(Value.int), .range)
    }
}
