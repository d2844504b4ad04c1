extension Evaluator {
    func evaluate(_ expression: Expression, in scope: Scope) throws -> Value {
        try deeper {
            line = expression.line
            let value = try result(of: expression, in: scope)
            return value
        }
    }

    private func result(of expression: Expression, in scope: Scope) throws -> Value {
        switch expression.kind {
        case .none: return .none
        case .bool(let value): return .bool(value)
        case .integer(let value): return .int(value)
        case .float(let value): return .double(value)
        case .string(let bytes): return .text(Text(bytes))
        case .name(let name): return try variable(name, in: scope)
        case .list(let items): return try list(try evaluate(items, in: scope))
        case .tuple(let items): return try list(try evaluate(items, in: scope), .tuple)
        case .dict(let pairs):
            return try mapping(try pairs.map { (try evaluate($0.key, in: scope), try evaluate($0.value, in: scope)) })
        case .attribute(let owner, let name):
            let value = try evaluate(owner, in: scope)
            line = expression.line
            return try attribute(name, of: value)
        case .item(let owner, let index):
            let value = try evaluate(owner, in: scope)
            return try item(try evaluate(index, in: scope), of: value)
        case .slice(let owner, let from, let to, let step): return try slice(owner, from, to, step, in: scope)
        case .call: return try call(expression, caller: nil, in: scope)
        case .filter: return try filter(expression, of: nil, in: scope)
        case .test(let operand, let name, let arguments):
            let value = try evaluate(operand, in: scope)
            let call = try self.arguments(arguments, in: scope)
            line = expression.line
            return .bool(try test(name, value, call))
        default: return try operated(expression, in: scope)
        }
    }

    private func operated(_ expression: Expression, in scope: Scope) throws -> Value {
        switch expression.kind {
        case .not(let operand): return .bool(!(try evaluate(operand, in: scope).isTrue))
        case .negative(let operand): return try negated(try evaluate(operand, in: scope))
        case .positive(let operand):
            let value = try evaluate(operand, in: scope)
            guard value.number != nil else { throw JinjaError.failure("cannot use + on a \(value.typeName).") }
            return value.integer.map(Value.int) ?? value
        case .arithmetic(let first, let rest):
            var value = try evaluate(first, in: scope)
            for (operation, operand) in rest {
                let other = try evaluate(operand, in: scope)
                line = expression.line
                value = try arithmetic(operation, value, other)
            }
            return value
        case .concatenation(let operands):
            var bytes: [UInt8] = []
            for operand in operands { bytes += try printed(try evaluate(operand, in: scope)) }
            return try text(bytes)
        case .comparison(let first, let rest):
            var left = try evaluate(first, in: scope)
            for (operation, operand) in rest {
                let right = try evaluate(operand, in: scope)
                line = expression.line
                guard try compare(operation, left, right) else { return .bool(false) }
                left = right
            }
            return .bool(true)
        // As in Python, the operand that decided, not its truth.
        case .and(let operands):
            for operand in operands.dropLast() {
                let value = try evaluate(operand, in: scope)
                if !value.isTrue { return value }
            }
            return try evaluate(operands.last!, in: scope)
        case .or(let operands):
            for operand in operands.dropLast() {
                let value = try evaluate(operand, in: scope)
                if value.isTrue { return value }
            }
            return try evaluate(operands.last!, in: scope)
        case .conditional(let test, let value, let otherwise):
            if try evaluate(test, in: scope).isTrue { return try evaluate(value, in: scope) }
            return try otherwise.map { try evaluate($0, in: scope) }
                ?? .undefined("the inline if-expression evaluated to false and no else section was defined")
        default: preconditionFailure("every kind of expression is evaluated")
        }
    }

    func evaluate(_ expressions: [Expression], in scope: Scope) throws -> [Value] {
        try expressions.map { try evaluate($0, in: scope) }
    }

    private func variable(_ name: String, in scope: Scope) throws -> Value {
        if let value = scope.value(name) { return value }
        switch name {
        case "range", "dict", "namespace", "raise_exception", "strftime_now": return .global(name)
        case "lipsum", "cycler", "joiner": throw JinjaError.unsupported("the function \(name)")
        default: return .undefined("'\(name)' is undefined")
        }
    }

    // MARK: parts of values

    func attribute(_ name: String, of value: Value) throws -> Value {
        switch value {
        case .undefined(let why): throw JinjaError.failure("\(why).")
        case .namespace(let box): return box.values[name] ?? .undefined("the namespace has no attribute '\(name)'")
        case .loop(let box): return try attribute(name, of: box)
        case .macro(let box):
            if name == "name" { return .string(box.definition.name) }
            throw JinjaError.unsupported("the attribute '\(name)' of a macro")
        default: break
        }
        if Methods.names(of: value).contains(name) { return .method(value, name) }
        if case .mapping(let box) = value, let item = box[.text(Text(name))] { return item }
        return .undefined("'\(value.typeName) object' has no attribute '\(name)'")
    }

    /// `owner[index]`; a name in brackets that is no key may be a method.
    func item(_ index: Value, of owner: Value) throws -> Value {
        func missing() -> Value { .undefined("'\(owner.typeName) object' has no element \(shown(index))") }
        switch owner {
        case .undefined(let why): throw JinjaError.failure("\(why).")
        case .mapping(let box):
            if case .list = index { return missing() }
            if case .undefined = index { return missing() }
            if let value = box[try MappingBox.key(index)] { return value }
        case .list(let box) where box.kind != .generator && box.kind != .view:
            if let number = index.integer {
                let position = number < 0 ? number + box.items.count : number
                return box.items.indices.contains(position) ? box.items[position] : missing()
            }
        case .text(let text):
            if let number = index.integer {
                try charge(text.bytes.count)
                let scalars = Characters(text)
                let position = number < 0 ? number + scalars.count : number
                return (0..<scalars.count).contains(position) ? .text(scalars[position]) : missing()
            }
        default: break
        }
        if case .text(let name) = index {
            let value = try attribute(name.string, of: owner)
            return value.isUndefined ? missing() : value
        }
        return missing()
    }

    private func slice(
        _ owner: Expression, _ from: Expression?, _ to: Expression?, _ step: Expression?, in scope: Scope
    ) throws -> Value {
        let value = try evaluate(owner, in: scope)
        func bound(_ expression: Expression?) throws -> Int? {
            guard let expression else { return nil }
            let value = try evaluate(expression, in: scope)
            if case .none = value { return nil }
            guard let integer = value.integer else {
                throw JinjaError.failure("found a \(value.typeName) as the bound of a slice, expected an integer.")
            }
            return integer
        }
        let (from, to, step) = (try bound(from), try bound(to), try bound(step) ?? 1)
        if step == 0 { throw JinjaError.failure("found 0 as the step of a slice.") }
        switch value {
        case .text(let text):
            try charge(text.bytes.count)
            let characters = Characters(text)
            let positions = Self.positions(from, to, step, count: characters.count)
            return try self.text(positions.flatMap { characters[$0].bytes })
        case .list(let box) where box.kind == .list || box.kind == .tuple || box.kind == .range:
            let positions = Self.positions(from, to, step, count: box.items.count)
            return try list(positions.map { box.items[$0] }, box.kind)
        case .undefined(let why): throw JinjaError.failure("\(why).")
        // An error in Jinja2, or undefined where its optimiser comes first.
        default: throw JinjaError.unsupported("slices of a \(value.typeName)")
        }
    }

    /// Which elements a slice takes, by Python's rules.
    static func positions(_ from: Int?, _ to: Int?, _ step: Int, count: Int) -> [Int] {
        func clamped(_ bound: Int, _ low: Int, _ high: Int) -> Int {
            min(max(bound < 0 ? (bound < -count ? low : bound + count) : bound, low), high)
        }
        let range =
            step > 0
            ? (from.map { clamped($0, 0, count) } ?? 0, to.map { clamped($0, 0, count) } ?? count)
            : (from.map { clamped($0, -1, count - 1) } ?? count - 1, to.map { clamped($0, -1, count - 1) } ?? -1)
        return Array(
            stride(
                from: range.0, to: range.1,
                by: step.magnitude > UInt(count) ? (step > 0 ? count + 1 : -count - 1) : step))
    }

    private func attribute(_ name: String, of loop: LoopBox) throws -> Value {
        let (index, count) = (loop.index, loop.items.count)
        switch name {
        case "index": return .int(index + 1)
        case "index0": return .int(index)
        case "revindex": return .int(count - index)
        case "revindex0": return .int(count - index - 1)
        case "first": return .bool(index == 0)
        case "last": return .bool(index == count - 1)
        case "length": return .int(count)
        case "depth": return .int(loop.depth + 1)
        case "depth0": return .int(loop.depth)
        case "previtem": return index > 0 ? loop.items[index - 1] : .undefined("there is no previous item")
        case "nextitem": return index + 1 < count ? loop.items[index + 1] : .undefined("there is no next item")
        case "cycle", "changed": return .method(.loop(loop), name)
        default: return .undefined("the loop has no attribute '\(name)'")
        }
    }

    /// What a loop goes through.
    func items(of value: Value) throws -> [Value] {
        switch value {
        case .undefined: return []
        case .list(let box):
            let items = box.items
            if box.kind == .generator { box.items = [] }
            return items
        case .mapping(let box): return box.keys
        case .text(let text):
            let characters = Characters(text)
            try charge(64 * characters.count)
            return (0..<characters.count).map { .text(characters[$0]) }
        default: throw JinjaError.failure("a \(value.typeName) cannot be walked through.")
        }
    }

    func count(_ value: Value) throws -> Int {
        switch value {
        case .undefined: return 0
        case .list(let box) where box.kind != .generator: return box.items.count
        case .mapping(let box): return box.keys.count
        case .text(let text):
            try charge(text.bytes.count)
            return Characters(text).count
        default: throw JinjaError.failure("a \(value.typeName) has no length.")
        }
    }
}

/// The code points of a text; a byte that is no UTF-8 counts as one.
struct Characters {
    private let bytes: [UInt8]
    private var starts: [Int] = []

    init(_ text: Text) {
        bytes = text.bytes
        var index = 0
        while index < bytes.count {
            starts.append(index)
            index += Self.length(bytes, at: index)
        }
    }

    /// Bytes of the code point here, 1 for what is no UTF-8.
    static func length(_ bytes: [UInt8], at index: Int) -> Int {
        let lead = bytes[index]
        let count = lead < 0xC2 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 1
        guard count > 1, index + count <= bytes.count,
            (1..<count).allSatisfy({ bytes[index + $0] & 0xC0 == 0x80 })
        else { return 1 }
        return count
    }

    var count: Int { starts.count }

    subscript(_ index: Int) -> Text {
        Text(Array(bytes[starts[index]..<(index + 1 < starts.count ? starts[index + 1] : bytes.count)]))
    }
}
