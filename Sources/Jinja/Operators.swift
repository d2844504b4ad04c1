extension Evaluator {
    func negated(_ value: Value) throws -> Value {
        if let integer = value.integer { return .int(try exact(0.subtractingReportingOverflow(integer))) }
        guard let number = value.number else { throw JinjaError.failure("cannot use - on a \(value.typeName).") }
        return .double(-number)
    }

    private func exact(_ result: (partialValue: Int, overflow: Bool)) throws -> Int {
        guard !result.overflow else { throw JinjaError.unsupported("integers of more than 64 bits") }
        return result.partialValue
    }

    func arithmetic(_ operation: Arithmetic, _ left: Value, _ right: Value) throws -> Value {
        for case .undefined(let why) in [left, right] { throw JinjaError.failure("\(why).") }
        if let a = left.integer, let b = right.integer { return try integers(operation, a, b) }
        if let a = left.number, let b = right.number { return try numbers(operation, a, b) }
        switch (operation, left, right) {
        case (.add, .text(let a), .text(let b)): return try joined(a, b)
        case (.add, .list(let a), .list(let b)) where a.kind == b.kind && (a.kind == .list || a.kind == .tuple):
            return try list(a.items + b.items, a.kind)
        case (.multiply, _, _):
            if let count = right.integer { return try repeated(left, count) }
            if let count = left.integer { return try repeated(right, count) }
        case (.modulo, .text(let format), _): return try percentFormatted(format, right)
        default: break
        }
        throw JinjaError.failure("cannot use \(operation.rawValue) on a \(left.typeName) and a \(right.typeName).")
    }

    /// What is marked as safe escapes what is not.
    private func joined(_ a: Text, _ b: Text) throws -> Value {
        guard a.isSafe || b.isSafe else { return try text(a.bytes + b.bytes) }
        return try text(
            (a.isSafe ? a.bytes : escapedForHTML(a.bytes)) + (b.isSafe ? b.bytes : escapedForHTML(b.bytes)),
            isSafe: true)
    }

    func escapedForHTML(_ bytes: [UInt8]) -> [UInt8] {
        bytes.flatMap { byte -> [UInt8] in
            switch byte {
            case UInt8(ascii: "&"): Array("&amp;".utf8)
            case UInt8(ascii: "<"): Array("&lt;".utf8)
            case UInt8(ascii: ">"): Array("&gt;".utf8)
            case UInt8(ascii: "'"): Array("&#39;".utf8)
            case UInt8(ascii: "\""): Array("&#34;".utf8)
            default: [byte]
            }
        }
    }

    private func repeated(_ value: Value, _ count: Int) throws -> Value {
        let count = max(0, count)
        func checked(_ size: Int) throws {
            let (total, overflow) = size.multipliedReportingOverflow(by: count)
            try charge(overflow ? Self.mostBytes : total)
        }
        switch value {
        case .text(let text):
            try checked(text.bytes.count)
            return .text(Text(Self.repeated(text.bytes, count), isSafe: text.isSafe))
        case .list(let box) where box.kind == .list || box.kind == .tuple:
            try checked(box.items.count * 32)
            return try list(Self.repeated(box.items, count), box.kind)
        default: throw JinjaError.failure("cannot repeat a \(value.typeName).")
        }
    }

    private static func repeated<Element>(_ elements: [Element], _ count: Int) -> [Element] {
        var result: [Element] = []
        guard !elements.isEmpty else { return result }
        result.reserveCapacity(elements.count * count)
        for _ in 0..<count { result += elements }
        return result
    }

    private func integers(_ operation: Arithmetic, _ a: Int, _ b: Int) throws -> Value {
        switch operation {
        case .add: return .int(try exact(a.addingReportingOverflow(b)))
        case .subtract: return .int(try exact(a.subtractingReportingOverflow(b)))
        case .multiply: return .int(try exact(a.multipliedReportingOverflow(by: b)))
        case .divide:
            if b == 0 { throw JinjaError.failure("division by zero.") }
            return .double(Double(a) / Double(b))
        case .floorDivide, .modulo:
            if b == 0 { throw JinjaError.failure("division by zero.") }
            let quotient = try exact(a.dividedReportingOverflow(by: b))
            let rest = a - quotient * b
            let isBelow = rest != 0 && (rest < 0) != (b < 0)
            return .int(operation == .modulo ? (isBelow ? rest + b : rest) : (isBelow ? quotient - 1 : quotient))
        case .power:
            if b < 0 { throw JinjaError.unsupported("negative powers") }
            if b == 0 || a == 1 { return .int(1) }
            if a == 0 || a == -1 { return .int(a == 0 || b % 2 == 1 ? a : 1) }
            var result = a
            // Of 2 or more, the 64th power is too large, so that this ends soon.
            for _ in 1..<b { result = try exact(result.multipliedReportingOverflow(by: a)) }
            return .int(result)
        }
    }

    private func numbers(_ operation: Arithmetic, _ a: Double, _ b: Double) throws -> Value {
        switch operation {
        case .add: return .double(a + b)
        case .subtract: return .double(a - b)
        case .multiply: return .double(a * b)
        case .power: throw JinjaError.unsupported("powers of fractions")
        case .divide, .floorDivide, .modulo:
            if b == 0 { throw JinjaError.failure("division by zero.") }
            if operation == .divide { return .double(a / b) }
            var rest = a.truncatingRemainder(dividingBy: b)
            if rest != 0, (rest < 0) != (b < 0) { rest += b }
            return .double(operation == .modulo ? rest : ((a - rest) / b).rounded())
        }
    }

    /// `%` on a string: `%s`, `%d` and `%%` only.
    private func percentFormatted(_ format: Text, _ value: Value) throws -> Value {
        if format.isSafe { throw JinjaError.unsupported("% on a safe string") }
        var values = [value][...]
        if case .list(let box) = value, box.kind == .tuple { values = box.items[...] }
        var result: [UInt8] = []
        var rest = format.bytes[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                result.append(byte)
                continue
            }
            let mark = rest.popFirst()
            if mark == UInt8(ascii: "%") {
                result.append(byte)
                continue
            }
            guard mark == UInt8(ascii: "s") || mark == UInt8(ascii: "d") else {
                throw JinjaError.unsupported("the format \"\(format.string)\"")
            }
            guard let value = values.popFirst() else { throw JinjaError.failure("not enough values for the format.") }
            if mark == UInt8(ascii: "d"), value.integer == nil {
                throw value.number == nil
                    ? JinjaError.failure("%d expects a number, not a \(value.typeName).")
                    : JinjaError.unsupported("%d of a fraction")
            }
            result += mark == UInt8(ascii: "d") ? Array(String(value.integer!).utf8) : try printed(value)
        }
        if !values.isEmpty {
            switch values.first {
            // What has keys or indices may be left over.
            case .mapping?, .list?: return try text(result)
            default: break
            }
            throw JinjaError.failure("found more values than the format asks for.")
        }
        return try text(result)
    }

    // MARK: comparing

    func compare(_ operation: Comparison, _ left: Value, _ right: Value) throws -> Bool {
        switch operation {
        case .equal: return try equal(left, right)
        case .notEqual: return try !equal(left, right)
        case .contained: return try contains(right, left)
        case .notContained: return try !contains(right, left)
        case .less: return try order(left, right) < 0
        case .lessOrEqual: return try order(left, right) <= 0
        case .greater: return try order(left, right) > 0
        case .greaterOrEqual: return try order(left, right) >= 0
        }
    }

    func equal(_ left: Value, _ right: Value) throws -> Bool {
        try charge(1)
        if let a = left.integer, let b = right.integer { return a == b }
        if let a = left.number, let b = right.number { return a == b }
        switch (left, right) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.text(let a), .text(let b)):
            try charge(min(a.bytes.count, b.bytes.count))
            return a == b
        case (.list(let a), .list(let b)):
            if a === b { return true }
            guard a.kind == b.kind, a.kind != .generator, a.items.count == b.items.count else { return false }
            return try deeper { try zip(a.items, b.items).allSatisfy { try equal($0, $1) } }
        case (.mapping(let a), .mapping(let b)):
            if a === b { return true }
            guard a.keys.count == b.keys.count else { return false }
            return try deeper {
                try zip(a.keys, a.values).allSatisfy { key, value in
                    guard let other = b[try MappingBox.key(key)] else { return false }
                    return try equal(value, other)
                }
            }
        default: return isSame(left, right)
        }
    }

    /// Python's `is`, as far as values have an identity here.
    func isSame(_ left: Value, _ right: Value) -> Bool {
        switch (left, right) {
        case (.list(let a), .list(let b)): a === b
        case (.mapping(let a), .mapping(let b)): a === b
        case (.namespace(let a), .namespace(let b)): a === b
        case (.macro(let a), .macro(let b)): a === b
        case (.loop(let a), .loop(let b)): a === b
        case (.global(let a), .global(let b)): a == b
        case (.none, .none): true
        case (.bool(let a), .bool(let b)): a == b
        default: false
        }
    }

    /// Negative, 0 or positive.
    func order(_ left: Value, _ right: Value) throws -> Int {
        try charge(1)
        for case .undefined(let why) in [left, right] { throw JinjaError.failure("\(why).") }
        if let a = left.integer, let b = right.integer { return a < b ? -1 : a == b ? 0 : 1 }
        if let a = left.number, let b = right.number {
            if a.isNaN || b.isNaN { throw JinjaError.unsupported("the order of what is no number") }
            return a < b ? -1 : a == b ? 0 : 1
        }
        switch (left, right) {
        case (.text(let a), .text(let b)):
            try charge(min(a.bytes.count, b.bytes.count))
            return a.bytes == b.bytes ? 0 : a.bytes.lexicographicallyPrecedes(b.bytes) ? -1 : 1
        case (.list(let a), .list(let b)) where a.kind == b.kind && (a.kind == .list || a.kind == .tuple):
            return try deeper {
                for (x, y) in zip(a.items, b.items) where try !equal(x, y) { return try order(x, y) }
                return a.items.count < b.items.count ? -1 : a.items.count == b.items.count ? 0 : 1
            }
        default: throw JinjaError.failure("cannot order a \(left.typeName) and a \(right.typeName).")
        }
    }

    func contains(_ whole: Value, _ part: Value) throws -> Bool {
        switch whole {
        case .undefined: return false
        case .text(let text):
            guard case .text(let part) = part else {
                throw JinjaError.failure("'in <string>' expects a string, not a \(part.typeName).")
            }
            return try find(part.bytes[...], in: text.bytes[...]) != nil
        case .list(let box):
            let items = box.kind == .generator ? try items(of: whole) : box.items
            return try items.contains { try isSame($0, part) || equal($0, part) }
        case .mapping(let box):
            if case .list = part { throw JinjaError.failure("a \(part.typeName) cannot be a key.") }
            if case .undefined = part { return false }
            return box[try MappingBox.key(part)] != nil
        default: throw JinjaError.failure("a \(whole.typeName) holds nothing that \"in\" could find.")
        }
    }

    /// Where `part` begins in `text`, the first time.
    func find(_ part: ArraySlice<UInt8>, in text: ArraySlice<UInt8>) throws -> Int? {
        guard let first = part.first else { return text.startIndex }
        guard part.count <= text.count else { return nil }
        var compared = 0
        for start in text.startIndex...text.endIndex - part.count {
            compared += 1
            guard text[start] == first else { continue }
            var offset = 1
            while offset < part.count, text[start + offset] == part[part.startIndex + offset] { offset += 1 }
            compared += offset
            if offset == part.count {
                try charge(compared)
                return start
            }
            if compared > 1 << 20 {
                try charge(compared)
                compared = 0
            }
        }
        try charge(compared)
        return nil
    }
}
