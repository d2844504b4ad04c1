extension Evaluator {
    static let tests: Set = [
        "boolean", "callable", "defined", "divisibleby", "eq", "equalto", "even", "false", "float", "ge", "greaterthan",
        "gt", "in", "integer", "iterable", "le", "lessthan", "lower", "lt", "mapping", "ne", "none", "number", "odd",
        "sameas", "sequence", "string", "true", "undefined", "upper", "==", "!=", "<", "<=", ">", ">=",
    ]

    /// `value is name(…)`.
    func test(_ name: String, _ value: Value, _ call: Call) throws -> Bool {
        guard Self.tests.contains(name) else { throw JinjaError.unsupported("the test \(name)") }
        var call = call
        let operand = call.take("other") ?? call.take("num") ?? call.take("seq")
        try call.finish("the test \(name)")
        func other() throws -> Value {
            guard let operand else { throw JinjaError.failure("the test \(name) expects a value to compare with.") }
            return operand
        }
        switch name {
        case "eq", "equalto", "==": return try equal(value, other())
        case "ne", "!=": return try !equal(value, other())
        case "lt", "lessthan", "<": return try order(value, other()) < 0
        case "le", "<=": return try order(value, other()) <= 0
        case "gt", "greaterthan", ">": return try order(value, other()) > 0
        case "ge", ">=": return try order(value, other()) >= 0
        case "in": return try contains(other(), value)
        case "sameas": return try sameAs(value, try other())
        case "divisibleby": return try remainder(of: value, by: other()) == 0
        default:
            if operand != nil { throw JinjaError.failure("the test \(name) takes no value.") }
            return try kindTest(name, value)
        }
    }

    private func sameAs(_ value: Value, _ other: Value) throws -> Bool {
        switch (value, other) {
        // Python keeps one object for each small integer.
        case (.int(let a), .int(let b)) where a == b && (-5...256).contains(a): return true
        case (.int, .int), (.double, .double), (.text, .text):
            if try equal(value, other) { throw JinjaError.unsupported("the identity of a \(value.typeName)") }
            return false
        default: return isSame(value, other)
        }
    }

    private func remainder(of value: Value, by other: Value) throws -> Double? {
        try arithmetic(.modulo, value, other).number
    }

    private func kindTest(_ name: String, _ value: Value) throws -> Bool {
        switch (name, value) {
        case ("defined", _): return !value.isUndefined
        case ("undefined", _): return value.isUndefined
        case ("none", .none), ("boolean", .bool), ("true", .bool(true)), ("false", .bool(false)): return true
        case ("string", .text), ("mapping", .mapping), ("integer", .int), ("float", .double): return true
        case ("number", _): return value.number != nil
        case ("callable", .macro), ("callable", .global), ("callable", .method), ("callable", .loop): return true
        case ("iterable", .list), ("iterable", .mapping), ("iterable", .text), ("iterable", .undefined): return true
        case ("sequence", .mapping), ("sequence", .text), ("sequence", .undefined): return true
        case ("sequence", .list(let box)): return box.kind != .generator && box.kind != .view
        case ("odd", _): return try remainder(of: value, by: .int(2)) == 1
        case ("even", _): return try remainder(of: value, by: .int(2)) == 0
        case ("lower", _): return Case.isLower(Text(try printed(value)))
        case ("upper", _): return Case.isUpper(Text(try printed(value)))
        default: return false
        }
    }
}

/// Upper and lower case by Unicode's full mappings, as Python has them.
enum Case {
    static func upper(_ text: Text) -> Text {
        Text(Array(text.string.unicodeScalars.map(\.properties.uppercaseMapping).joined().utf8), isSafe: text.isSafe)
    }

    static func lower(_ text: Text) -> Text {
        let scalars = Array(text.string.unicodeScalars)
        let parts = scalars.indices.map { index -> String in
            scalars[index] == "Σ" && isFinal(index, scalars) ? "ς" : scalars[index].properties.lowercaseMapping
        }
        return Text(Array(parts.joined().utf8), isSafe: text.isSafe)
    }

    /// Whether a sigma ends a word: after a cased letter, and before none.
    private static func isFinal(_ index: Int, _ scalars: [Unicode.Scalar]) -> Bool {
        func isCased(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.isCased }
        func counts(_ scalar: Unicode.Scalar) -> Bool { !scalar.properties.isCaseIgnorable }
        let before = scalars[..<index].last(where: counts).map(isCased) ?? false
        let after = scalars[(index + 1)...].first(where: counts).map(isCased) ?? false
        return before && !after
    }

    static func capitalised(_ text: Text) -> Text {
        let scalars = text.string.unicodeScalars
        guard let first = scalars.first else { return text }
        let rest = lower(Text(String(String.UnicodeScalarView(scalars.dropFirst()))))
        return Text(Array(first.properties.titlecaseMapping.utf8) + rest.bytes, isSafe: text.isSafe)
    }

    static func isLower(_ text: Text) -> Bool { isAll(text) { $0.properties.isLowercase } }
    static func isUpper(_ text: Text) -> Bool { isAll(text) { $0.properties.isUppercase } }

    /// Whether there is a cased letter, and all of them are of this case.
    private static func isAll(_ text: Text, _ fits: (Unicode.Scalar) -> Bool) -> Bool {
        let cased = text.string.unicodeScalars.filter { scalar in
            scalar.properties.isLowercase || scalar.properties.isUppercase
                || scalar.properties.generalCategory == .titlecaseLetter
        }
        return !cased.isEmpty && cased.allSatisfy(fits)
    }
}
