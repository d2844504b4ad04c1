extension Evaluator {
    /// A value as Python's `str` writes it.
    func printed(_ value: Value) throws -> [UInt8] {
        switch value {
        case .undefined: []
        case .text(let text): text.bytes
        default: try represented(value)
        }
    }

    /// A value as Python's `repr` writes it.
    private func represented(_ value: Value) throws -> [UInt8] {
        switch value {
        case .undefined: return Array("Undefined".utf8)
        case .none: return Array("None".utf8)
        case .bool(let value): return Array((value ? "True" : "False").utf8)
        case .int(let value): return Array(String(value).utf8)
        case .double(let value): return Array(Numbers.text(value).utf8)
        case .text(let text):
            if text.isSafe { throw JinjaError.unsupported("printing a list with a safe string") }
            try charge(text.bytes.count)
            return Self.quoted(text)
        case .list(let box): return try represented(box)
        case .mapping(let box):
            let parts = try deeper {
                try zip(box.keys, box.values).map { try represented($0) + Array(": ".utf8) + represented($1) }
            }
            return try enclosed(parts, "{", "}")
        case .namespace, .macro, .global, .method, .loop:
            throw JinjaError.unsupported("printing a \(value.typeName)")
        }
    }

    private func represented(_ box: ListBox) throws -> [UInt8] {
        guard box.kind == .list || box.kind == .tuple else {
            throw JinjaError.unsupported("printing a \(box.kind.rawValue); the filter list makes a list of it")
        }
        let parts = try deeper { try box.items.map(represented) }
        if box.kind == .list { return try enclosed(parts, "[", "]") }
        return try enclosed(parts, "(", parts.count == 1 ? ",)" : ")")
    }

    private func enclosed(_ parts: [[UInt8]], _ opening: String, _ closing: String) throws -> [UInt8] {
        let bytes = Array(opening.utf8) + parts.joined(separator: Array(", ".utf8)) + Array(closing.utf8)
        try charge(bytes.count)
        return bytes
    }

    /// For messages: what can be shown of a value in a line.
    func shown(_ value: Value) -> String {
        let bytes = (try? represented(value)) ?? Array(value.typeName.utf8)
        return String(decoding: bytes.prefix(60), as: UTF8.self)
    }

    /// In quotes, with escapes for what cannot be printed.
    private static func quoted(_ text: Text) -> [UInt8] {
        let hasSingle = text.bytes.contains(UInt8(ascii: "'"))
        let quote = hasSingle && !text.bytes.contains(UInt8(ascii: "\"")) ? "\"" : "'"
        var result = quote
        for scalar in text.string.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "'" where quote == "'": result += "\\'"
            default:
                if isPrintable(scalar) {
                    result.unicodeScalars.append(scalar)
                } else {
                    let value = scalar.value
                    let (mark, digits) = value < 0x100 ? ("x", 2) : value < 0x10000 ? ("u", 4) : ("U", 8)
                    result += "\\" + mark + Numbers.hexadecimal(value, digits: digits)
                }
            }
        }
        return Array((result + quote).utf8)
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        case .spaceSeparator: scalar == " "
        default: true
        }
    }
}

enum Numbers {
    /// As Python writes a float: the shortest digits that give it back, with an exponent below 1e-4 and from 1e16 on.
    static func text(_ value: Double) -> String {
        if value.isNaN { return "nan" }
        if value.isInfinite { return value < 0 ? "-inf" : "inf" }
        if value == 0 { return value.sign == .minus ? "-0.0" : "0.0" }
        let (digits, exponent) = decimal(value.magnitude)
        let sign = value < 0 ? "-" : ""
        if exponent < -4 || exponent >= 16 {
            let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
            let power = String(exponent.magnitude)
            return sign + digits.prefix(1) + fraction + (exponent < 0 ? "e-" : "e+") + (power.count < 2 ? "0" : "")
                + power
        }
        if exponent < 0 { return sign + "0." + String(repeating: "0", count: -exponent - 1) + digits }
        if digits.count <= exponent + 1 {
            return sign + digits + String(repeating: "0", count: exponent + 1 - digits.count) + ".0"
        }
        return sign + digits.prefix(exponent + 1) + "." + digits.dropFirst(exponent + 1)
    }

    /// The digits of a positive number, the first one before the point, and the power of ten that it is multiplied by.
    private static func decimal(_ value: Double) -> (digits: String, exponent: Int) {
        let parts = value.description.split(separator: "e")
        let halves = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        let whole = String(halves[0])
        var digits = whole + (halves.count > 1 ? String(halves[1]) : "")
        var exponent = (parts.count > 1 ? Int(parts[1])! : 0) + whole.count - 1
        while digits.count > 1, digits.hasPrefix("0") {
            digits.removeFirst()
            exponent -= 1
        }
        while digits.count > 1, digits.hasSuffix("0") { digits.removeLast() }
        return (digits, exponent)
    }

    static func hexadecimal(_ value: UInt32, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
