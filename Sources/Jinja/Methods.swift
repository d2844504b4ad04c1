/// The methods that Python's values have. Those that are not known here are refused when they are called.
enum Methods {
    private static let ofText: Set = [
        "capitalize", "casefold", "center", "count", "encode", "endswith", "expandtabs", "find", "format", "format_map",
        "index", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric",
        "isprintable", "isspace", "istitle", "isupper", "join", "ljust", "lower", "lstrip", "maketrans", "partition",
        "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition", "rsplit", "rstrip",
        "split",
        "splitlines", "startswith", "strip", "swapcase", "title", "translate", "upper", "zfill",
    ]
    private static let ofMapping: Set = [
        "clear", "copy", "fromkeys", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values",
    ]
    private static let ofList: Set = [
        "append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort",
    ]
    private static let ofNumbers: Set = [
        "as_integer_ratio", "bit_count", "bit_length", "conjugate", "denominator", "from_bytes", "fromhex", "hex",
        "imag",
        "is_integer", "numerator", "real", "to_bytes",
    ]

    static func names(of value: Value) -> Set<String> {
        switch value {
        case .text: ofText
        case .mapping: ofMapping
        case .list(let box): box.kind == .list ? ofList : box.kind == .tuple ? ["count", "index"] : []
        case .bool, .int, .double: ofNumbers
        default: []
        }
    }
}

extension Evaluator {
    func method(_ name: String, of value: Value, _ call: Call) throws -> Value {
        var call = call
        let result: Value?
        switch value {
        case .text(let text):
            try charge(text.bytes.count)
            result = try testing(name, text, &call) ?? changing(name, text, &call) ?? dividing(name, text, &call)
        case .mapping(let box): result = try method(name, of: box, &call)
        case .list(let box): result = try method(name, of: box, &call)
        default: result = nil
        }
        guard let result else { throw JinjaError.unsupported("the method \(name) of a \(value.typeName)") }
        try call.finish("the method \(name)")
        return result
    }

    // MARK: mappings and lists

    private func method(_ name: String, of box: MappingBox, _ call: inout Call) throws -> Value? {
        switch name {
        case "get":
            guard let key = call.take("key") else { throw JinjaError.failure("get expects a key.") }
            let fallback = call.take("default") ?? .none
            return key.isUndefined ? fallback : box[try MappingBox.key(key)] ?? fallback
        case "items": return try list(try pairs(box), .view)
        case "keys": return try list(box.keys, .view)
        case "values": return try list(box.values, .view)
        case "copy": return try mapping(Array(zip(box.keys, box.values)))
        default: return nil
        }
    }

    private func method(_ name: String, of box: ListBox, _ call: inout Call) throws -> Value? {
        switch name {
        case "append":
            guard let item = call.take("object") else { throw JinjaError.failure("append expects a value.") }
            switch item {
            // A list inside itself, or a chain of lists without end, could not be printed.
            case .list, .mapping: throw JinjaError.unsupported("append of a \(item.typeName)")
            default: try charge(32)
            }
            box.items.append(item)
            return Value.none
        case "pop":
            let index = call.take("index") ?? .int(-1)
            guard let number = index.integer else { throw JinjaError.failure("pop expects an index.") }
            let position = number < 0 ? number + box.items.count : number
            guard box.items.indices.contains(position) else { throw JinjaError.failure("pop finds no item \(number).") }
            return box.items.remove(at: position)
        case "index":
            guard let item = call.take("value") else { throw JinjaError.failure("index expects a value.") }
            guard let index = try box.items.firstIndex(where: { try equal($0, item) }) else {
                throw JinjaError.failure("index does not find \(shown(item)).")
            }
            return .int(index)
        case "count":
            guard let item = call.take("value") else { throw JinjaError.failure("count expects a value.") }
            return .int(try box.items.filter { try equal($0, item) }.count)
        case "copy": return try list(box.items)
        default: return nil
        }
    }

    // MARK: strings

    private func string(_ value: Value?, _ what: String) throws -> [UInt8] {
        guard case .text(let text)? = value else {
            throw JinjaError.failure("\(what) expects a string, not a \(value?.typeName ?? "missing value").")
        }
        return text.bytes
    }

    /// Questions about a string.
    private func testing(_ name: String, _ text: Text, _ call: inout Call) throws -> Value? {
        func all(_ fits: (Unicode.Scalar) -> Bool) -> Value {
            .bool(!text.bytes.isEmpty && text.string.unicodeScalars.allSatisfy(fits))
        }
        switch name {
        case "startswith", "endswith":
            let argument = call.take("prefix")
            var parts = [argument]
            if case .list(let box)? = argument, box.kind == .tuple { parts = box.items }
            if !call.positional.isEmpty { throw JinjaError.unsupported("bounds of \(name)") }
            return .bool(
                try parts.contains { part in
                    let part = try string(part, name)
                    return name == "startswith"
                        ? text.bytes.starts(with: part) : text.bytes.suffix(part.count).elementsEqual(part)
                })
        case "find", "index", "count", "rfind":
            let part = try string(call.take("sub"), name)
            if !call.positional.isEmpty { throw JinjaError.unsupported("bounds of \(name)") }
            return try searching(name, text, part)
        case "isupper": return .bool(Case.isUpper(text))
        case "islower": return .bool(Case.isLower(text))
        case "isspace": return all(Spaces.isSpace)
        case "isalpha": return all { Self.isLetter($0) }
        case "isdigit": return all { [.decimal, .digit].contains($0.properties.numericType) }
        case "isdecimal": return all { $0.properties.numericType == .decimal }
        case "isnumeric": return all { $0.properties.numericType != nil }
        case "isalnum": return all { Self.isLetter($0) || $0.properties.numericType != nil }
        case "isascii": return .bool(text.bytes.allSatisfy { $0 < 0x80 })
        default: return nil
        }
    }

    private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }

    private func searching(_ name: String, _ text: Text, _ part: [UInt8]) throws -> Value {
        var positions: [Int] = []
        var rest = text.bytes[...]
        if part.isEmpty { throw JinjaError.unsupported("\(name) of an empty string") }
        while let position = try find(part[...], in: rest) {
            positions.append(position)
            if name == "find" || name == "index" { break }
            rest = rest[(name == "count" ? position + part.count : position + 1)...]
        }
        if name == "count" { return .int(positions.count) }
        guard let position = positions.last else {
            if name == "index" { throw JinjaError.failure("index does not find the string.") }
            return .int(-1)
        }
        return .int(Characters(Text(Array(text.bytes[..<position]))).count)
    }

    /// Strings out of a string.
    private func changing(_ name: String, _ text: Text, _ call: inout Call) throws -> Value? {
        switch name {
        case "upper": return .text(Case.upper(text))
        case "lower": return .text(Case.lower(text))
        case "capitalize": return .text(Case.capitalised(text))
        case "strip", "lstrip", "rstrip":
            let chars = call.take("chars")
            return .text(
                Text(
                    try trimmed(text.bytes, chars, start: name != "rstrip", end: name != "lstrip"), isSafe: text.isSafe)
            )
        default: break
        }
        let ours: Set = ["replace", "removeprefix", "removesuffix", "title", "join", "format"]
        guard ours.contains(name) else { return nil }
        if text.isSafe { throw JinjaError.unsupported("the method \(name) of a safe string") }
        switch name {
        case "replace":
            let (old, new) = (try string(call.take("old"), name), try string(call.take("new"), name))
            return try self.text(
                try replaced(text.bytes, old, with: new, count: call.take("count").flatMap(\.integer)))
        case "removeprefix":
            let part = try string(call.take("prefix"), name)
            return try self.text(text.bytes.starts(with: part) ? Array(text.bytes.dropFirst(part.count)) : text.bytes)
        case "removesuffix":
            let part = try string(call.take("suffix"), name)
            let ends = text.bytes.suffix(part.count).elementsEqual(part)
            return try self.text(ends ? Array(text.bytes.dropLast(part.count)) : text.bytes)
        case "title": return .text(try Case.words(text))
        case "join":
            guard let argument = call.take("iterable") else { throw JinjaError.failure("join expects strings.") }
            let parts = try items(of: argument).map { try string($0, "join") }
            try charge(text.bytes.count * parts.count)
            return try self.text(Array(parts.joined(separator: text.bytes)))
        default:
            let result = try formatted(text, call)
            call = Call(positional: [], named: [])
            return result
        }
    }

    /// Without the characters at its ends: white space, or those of a string.
    func trimmed(_ bytes: [UInt8], _ chars: Value?, start: Bool, end: Bool) throws -> [UInt8] {
        var rest = bytes[...]
        switch chars {
        case nil, .some(.none):
            if end { rest = Spaces.trimmedEnd(rest) }
            if start { rest = Spaces.trimmedStart(rest) }
        default:
            let set = Characters(Text(try string(chars, "strip")))
            let characters = Characters(Text(bytes))
            let chars = Set((0..<set.count).map { set[$0] })
            var (first, last) = (0, characters.count)
            while start, first < last, chars.contains(characters[first]) { first += 1 }
            while end, last > first, chars.contains(characters[last - 1]) { last -= 1 }
            rest = (first..<last).flatMap { characters[$0].bytes }[...]
        }
        return Array(rest)
    }

    /// `{}`, `{0}` and `{name}`, without formats of their own.
    private func formatted(_ text: Text, _ call: Call) throws -> Value {
        var result: [UInt8] = []
        var rest = text.bytes[...]
        var next = 0
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "{") || byte == UInt8(ascii: "}") else {
                result.append(byte)
                continue
            }
            if rest.first == byte {
                result.append(byte)
                rest = rest.dropFirst()
                continue
            }
            guard byte == UInt8(ascii: "{"), let end = rest.firstIndex(of: UInt8(ascii: "}")) else {
                throw JinjaError.failure("found a single brace in a format.")
            }
            let field = String(decoding: rest[..<end], as: UTF8.self)
            rest = rest[(end + 1)...]
            guard field.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }) else {
                throw JinjaError.unsupported("the format {\(field)}")
            }
            let value: Value?
            if let index = field.isEmpty ? next : Int(field) {
                value = call.positional.indices.contains(index) ? call.positional[index] : nil
                if field.isEmpty { next += 1 }
            } else {
                value = call.named.first { $0.name == field }?.value
            }
            guard let value else { throw JinjaError.failure("the format {\(field)} has no value.") }
            result += try printed(value)
        }
        return try self.text(result)
    }

    /// Lists out of a string.
    private func dividing(_ name: String, _ text: Text, _ call: inout Call) throws -> Value? {
        guard ["split", "rsplit", "splitlines", "partition", "rpartition"].contains(name) else { return nil }
        if text.isSafe { throw JinjaError.unsupported("the method \(name) of a safe string") }
        switch name {
        case "splitlines":
            let keepsEnds = call.take("keepends")?.isTrue ?? false
            return try list(Lines.split(text.bytes, keepsEnds: keepsEnds).map { .text(Text($0)) })
        case "partition", "rpartition":
            let separator = try string(call.take("sep"), name)
            if separator.isEmpty { throw JinjaError.failure("\(name) expects a separator that is not empty.") }
            let parts = try split(text.bytes, separator, limit: 1, fromEnd: name == "rpartition")
            let missing = name == "partition" ? [text.bytes, [], []] : [[], [], text.bytes]
            return try list(
                (parts.count == 2 ? [parts[0], separator, parts[1]] : missing).map { .text(Text($0)) }, .tuple)
        default:
            let separator = call.take("sep") ?? Value.none
            let limit = call.take("maxsplit").flatMap(\.integer) ?? -1
            let most = limit < 0 ? Int.max : limit
            if case .none = separator {
                return try list(
                    splitAtSpaces(text.bytes, limit: most, fromEnd: name == "rsplit").map { .text(Text($0)) })
            }
            let bytes = try string(separator, name)
            if bytes.isEmpty { throw JinjaError.failure("\(name) expects a separator that is not empty.") }
            let parts = try split(text.bytes, bytes, limit: most, fromEnd: name == "rsplit")
            return try list(parts.map { .text(Text($0)) })
        }
    }

    private func split(_ bytes: [UInt8], _ separator: [UInt8], limit: Int, fromEnd: Bool) throws -> [[UInt8]] {
        if fromEnd {
            let parts = try split(bytes.reversed(), separator.reversed(), limit: limit, fromEnd: false)
            return parts.reversed().map { $0.reversed() }
        }
        var parts: [[UInt8]] = []
        var rest = bytes[...]
        while parts.count < limit, let position = try find(separator[...], in: rest) {
            parts.append(Array(rest[..<position]))
            rest = rest[(position + separator.count)...]
        }
        return parts + [Array(rest)]
    }

    private func splitAtSpaces(_ bytes: [UInt8], limit: Int, fromEnd: Bool) throws -> [[UInt8]] {
        if fromEnd, limit != Int.max { throw JinjaError.unsupported("rsplit at white space with a limit") }
        var parts: [[UInt8]] = []
        var rest = Spaces.trimmedStart(bytes[...])
        while !rest.isEmpty {
            if parts.count == limit { return parts + [Array(rest)] }
            var end = rest.startIndex
            while end < rest.endIndex, Spaces.length(rest, at: end) == 0 { end += 1 }
            parts.append(Array(rest[..<end]))
            rest = Spaces.trimmedStart(rest[end...])
        }
        return parts
    }
}

extension Case {
    /// Python's `str.title`: a capital after all that is no letter.
    static func words(_ text: Text) throws -> Text {
        var result = ""
        var isInside = false
        for scalar in text.string.unicodeScalars {
            let isCased = scalar.properties.isCased
            result +=
                isCased
                ? (isInside ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping) : String(scalar)
            isInside = isCased
        }
        return Text(result)
    }
}
