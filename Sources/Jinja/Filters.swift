extension Evaluator {
    static let filters: Set = [
        "abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "indent", "int",
        "items",
        "join", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse",
        "round", "safe", "select", "selectattr", "sort", "string", "sum", "title", "tojson", "trim", "unique", "upper",
    ]

    /// The value of a filter expression; of one that lacks its operand, on `value`.
    func filter(_ expression: Expression, of value: Value?, in scope: Scope) throws -> Value {
        guard case .filter(let operand, let name, let arguments) = expression.kind else {
            return try value ?? evaluate(expression, in: scope)
        }
        let input: Value
        if let operand {
            // With a value from outside, the chain's innermost filter takes it.
            input = value == nil ? try evaluate(operand, in: scope) : try filter(operand, of: value, in: scope)
        } else {
            input = value ?? .undefined("there is no value to filter")
        }
        let call = try self.arguments(arguments, in: scope)
        line = expression.line
        return try deeper { try filtered(name, input, call) }
    }

    func filtered(_ name: String, _ value: Value, _ call: Call) throws -> Value {
        guard Self.filters.contains(name) else { throw JinjaError.unsupported("the filter \(name)") }
        var call = call
        let result = try plainFilter(name, value, &call) ?? listFilter(name, value, &call)
        try call.finish("the filter \(name)")
        return result
    }

    private func plainFilter(_ name: String, _ value: Value, _ call: inout Call) throws -> Value? {
        switch name {
        case "default", "d":
            let fallback = call.take("default_value") ?? .string("")
            let isLoose = call.take("boolean")?.isTrue ?? false
            return value.isUndefined || (isLoose && !value.isTrue) ? fallback : value
        case "string":
            if case .text = value { return value }
            return try text(try printed(value))
        case "safe": return try text(try printed(value), isSafe: true)
        case "escape", "e":
            if case .text(let text) = value, text.isSafe { return value }
            return try text(escapedForHTML(try printed(value)), isSafe: true)
        case "upper": return .text(Case.upper(try asText(value)))
        case "lower": return .text(Case.lower(try asText(value)))
        case "capitalize": return .text(Case.capitalised(try asText(value)))
        case "title": return .text(try title(try asText(value)))
        case "trim":
            let text = try asText(value)
            return .text(Text(try trimmed(text.bytes, call.take("chars"), start: true, end: true), isSafe: text.isSafe))
        case "replace": return try replace(value, &call)
        case "indent":
            guard case .text(let text) = value else {
                throw JinjaError.failure("indent expects a string, not a \(value.typeName).")
            }
            return try indent(text, &call)
        case "length", "count": return .int(try count(value))
        case "tojson":
            var json = try JSONText(call, self)
            call = Call(positional: [], named: [])
            try json.write(value, self)
            return try text(json.bytes)
        case "int": return try integer(value, &call)
        case "float": return try fraction(value, &call)
        case "abs":
            if let integer = value.integer { return integer < 0 ? try negated(.int(integer)) : .int(integer) }
            guard let number = value.number else { throw JinjaError.failure("abs expects a number.") }
            return .double(number.magnitude)
        case "round": return try rounded(value, &call)
        default: return nil
        }
    }

    /// A text as it is, anything else as `str` writes it.
    func asText(_ value: Value) throws -> Text {
        if case .text(let text) = value {
            try charge(text.bytes.count)
            return text
        }
        let bytes = try printed(value)
        try charge(bytes.count)
        return Text(bytes)
    }

    /// Words with a capital first letter; what separates them is white space, hyphens and opening brackets.
    private func title(_ text: Text) throws -> Text {
        var result: [UInt8] = []
        var word = ""
        func finish() { result += Case.capitalised(Text(word)).bytes; word = "" }
        for scalar in text.string.unicodeScalars {
            if Spaces.isSpace(scalar) || "-({[<".unicodeScalars.contains(scalar) {
                finish()
                result += Array(String(scalar).utf8)
            } else {
                word.unicodeScalars.append(scalar)
            }
        }
        finish()
        return Text(result, isSafe: text.isSafe)
    }

    private func replace(_ value: Value, _ call: inout Call) throws -> Value {
        guard let old = call.take("old"), let new = call.take("new") else {
            throw JinjaError.failure("replace expects two strings.")
        }
        let count = call.take("count").flatMap(\.integer)
        return try text(
            try replaced(try printed(value), try printed(old), with: try printed(new), count: count))
    }

    func replaced(_ bytes: [UInt8], _ old: [UInt8], with new: [UInt8], count: Int?) throws -> [UInt8] {
        var left = count.map { $0 < 0 ? Int.max : $0 } ?? Int.max
        guard !old.isEmpty else {
            // As Python does: around every character.
            var result: [UInt8] = []
            let characters = Characters(Text(bytes))
            try charge((characters.count + 1) * (new.count + 1) + bytes.count)
            for index in 0..<characters.count {
                if left > 0 { result += new; left -= 1 }
                result += characters[index].bytes
            }
            return left > 0 ? result + new : result
        }
        var result: [UInt8] = []
        var rest = bytes[...]
        while left > 0, let start = try find(old[...], in: rest) {
            try charge(new.count)
            result += rest[..<start]
            result += new
            rest = rest[(start + old.count)...]
            left -= 1
        }
        return result + rest
    }

    private func indent(_ text: Text, _ call: inout Call) throws -> Value {
        let width = call.take("width") ?? .int(4)
        let (first, blank) = (call.take("first")?.isTrue ?? false, call.take("blank")?.isTrue ?? false)
        if text.isSafe { throw JinjaError.unsupported("indent of a safe string") }
        let indentation: [UInt8]
        if case .text(let text) = width {
            indentation = text.bytes
        } else if let count = width.integer {
            try charge(max(0, count))
            indentation = Array(repeating: 0x20, count: max(0, count))
        } else {
            throw JinjaError.failure("indent expects a number, not a \(width.typeName).")
        }
        // A line end more, so that the last one is not lost.
        let lines = Lines.split(text.bytes + [0x0A], keepsEnds: false)
        try charge(indentation.count * lines.count)
        var result: [UInt8] = first ? indentation : []
        for (index, line) in lines.enumerated() {
            if index > 0 {
                result.append(0x0A)
                if blank || !line.isEmpty { result += indentation }
            }
            result += line
        }
        return try self.text(result)
    }

    private func integer(_ value: Value, _ call: inout Call) throws -> Value {
        let fallback = call.take("default") ?? .int(0)
        if let integer = value.integer { return .int(integer) }
        if case .undefined(let why) = value { throw JinjaError.failure("\(why).") }
        guard call.take("base") == nil else { throw JinjaError.unsupported("the argument 'base' of int") }
        var number = value.number
        if case .text(let text) = value {
            let trimmed = String(decoding: Spaces.trimmedStart(Spaces.trimmedEnd(text.bytes[...])), as: UTF8.self)
            if trimmed.contains("_") { throw JinjaError.unsupported("numbers with underscores") }
            if let integer = Int(trimmed) { return .int(integer) }
            number = Self.number(trimmed)
        }
        guard let number, number.isFinite else { return fallback }
        guard let integer = Int(exactly: number.rounded(.towardZero)) else {
            throw JinjaError.unsupported("integers of more than 64 bits")
        }
        return .int(integer)
    }

    private static func number(_ text: String) -> Double? {
        let allowed = Set("0123456789+-.eE")
        let isWord = ["inf", "infinity", "nan"].contains(text.lowercased().drop { $0 == "+" || $0 == "-" })
        return isWord || (text.allSatisfy(allowed.contains) && !text.isEmpty) ? Double(text) ?? padded(text) : nil
    }

    /// Python reads "1." and ".5" too.
    private static func padded(_ text: String) -> Double? {
        if text.hasSuffix(".") { return Double(text + "0") }
        return text.contains(".e") || text.hasPrefix(".") ? Double("0" + text) : nil
    }

    private func fraction(_ value: Value, _ call: inout Call) throws -> Value {
        let fallback = call.take("default") ?? .double(0)
        if let number = value.number { return .double(number) }
        if case .undefined(let why) = value { throw JinjaError.failure("\(why).") }
        guard case .text(let text) = value else { return fallback }
        let trimmed = String(decoding: Spaces.trimmedStart(Spaces.trimmedEnd(text.bytes[...])), as: UTF8.self)
        if trimmed.contains("_") { throw JinjaError.unsupported("numbers with underscores") }
        return Self.number(trimmed).map(Value.double) ?? fallback
    }

    private func rounded(_ value: Value, _ call: inout Call) throws -> Value {
        guard call.positional.isEmpty, call.named.isEmpty else { throw JinjaError.unsupported("arguments of round") }
        guard let number = value.number else { throw JinjaError.failure("round expects a number.") }
        return value.integer.map(Value.int) ?? .double(number.rounded(.toNearestOrEven))
    }
}

/// Lines by all the ends that Python's `splitlines` knows.
enum Lines {
    static func split(_ bytes: [UInt8], keepsEnds: Bool) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var start = 0
        var index = 0
        while index < bytes.count {
            let count = endLength(bytes, at: index)
            guard count > 0 else {
                index += 1
                continue
            }
            lines.append(Array(bytes[start..<(keepsEnds ? index + count : index)]))
            index += count
            start = index
        }
        if start < bytes.count { lines.append(Array(bytes[start...])) }
        return lines
    }

    private static func endLength(_ bytes: [UInt8], at index: Int) -> Int {
        func next(_ offset: Int) -> UInt8 { index + offset < bytes.count ? bytes[index + offset] : 0 }
        switch bytes[index] {
        case 0x0D: return next(1) == 0x0A ? 2 : 1
        case 0x0A...0x0C, 0x1C...0x1E: return 1
        case 0xC2: return next(1) == 0x85 ? 2 : 0
        case 0xE2: return next(1) == 0x80 && (next(2) == 0xA8 || next(2) == 0xA9) ? 3 : 0
        default: return 0
        }
    }
}
