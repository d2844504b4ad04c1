/// Values as Python's `json.dumps` writes them, which is what `tojson` is in chat templates.
struct JSONText {
    var isASCII = false
    /// What a level is indented by; `nil`: all in one line.
    var indent: [UInt8]?
    var itemSeparator: [UInt8]
    var keySeparator: [UInt8]
    var sortsKeys = false
    private(set) var bytes: [UInt8] = []

    /// - Parameter call: the filter's arguments.
    init(_ call: Call, _ evaluator: Evaluator) throws {
        var call = call
        isASCII = call.take("ensure_ascii")?.isTrue ?? false
        let indent = call.take("indent") ?? .none
        switch indent {
        case .none: self.indent = nil
        case .text(let text): self.indent = text.bytes
        default:
            guard let count = indent.integer else {
                throw JinjaError.failure("tojson expects a number as indent, not a \(indent.typeName).")
            }
            guard count <= 1000 else { throw JinjaError(.limit("tojson is asked to indent by \(count).")) }
            self.indent = Array(repeating: 0x20, count: max(0, count))
        }
        (itemSeparator, keySeparator) = (Array((self.indent == nil ? ", " : ",").utf8), Array(": ".utf8))
        if let separators = call.take("separators") {
            if case .none = separators {
            } else {
                let parts = try evaluator.items(of: separators)
                guard parts.count == 2, case .text(let item) = parts[0], case .text(let key) = parts[1] else {
                    throw JinjaError.failure("tojson expects two strings as separators.")
                }
                (itemSeparator, keySeparator) = (item.bytes, key.bytes)
            }
        }
        sortsKeys = call.take("sort_keys")?.isTrue ?? false
        try call.finish("tojson")
    }

    mutating func write(_ value: Value, level: Int = 0, _ evaluator: Evaluator) throws {
        switch value {
        case .none: bytes += Array("null".utf8)
        case .bool(let value): bytes += Array((value ? "true" : "false").utf8)
        case .int(let value): bytes += Array(String(value).utf8)
        case .double(let value): bytes += Array(Self.number(value).utf8)
        case .text(let text): try write(text, evaluator)
        case .list(let box) where box.kind == .list || box.kind == .tuple:
            try evaluator.deeper {
                try writeItems(box.items.count, "[", "]", level, evaluator) { text, index in
                    try text.write(box.items[index], level: level + 1, evaluator)
                }
            }
        case .mapping(let box):
            var entries = Array(zip(box.keys, box.values))
            if sortsKeys { entries = try evaluator.sorted(entries) { $0.0 } }
            try evaluator.deeper {
                try writeItems(entries.count, "{", "}", level, evaluator) { text, index in
                    try text.write(try Self.key(entries[index].0), evaluator)
                    text.bytes += text.keySeparator
                    try text.write(entries[index].1, level: level + 1, evaluator)
                }
            }
        case .undefined(let why): throw JinjaError.failure("\(why), and JSON has nothing for it.")
        default: throw JinjaError.failure("JSON has nothing for a \(value.typeName).")
        }
    }

    private mutating func writeItems(
        _ count: Int, _ opening: String, _ closing: String, _ level: Int, _ evaluator: Evaluator,
        _ item: (inout JSONText, Int) throws -> Void
    ) throws {
        bytes += Array(opening.utf8)
        for index in 0..<count {
            if index > 0 { bytes += itemSeparator }
            try newLine(level + 1, evaluator)
            try item(&self, index)
        }
        if count > 0 { try newLine(level, evaluator) }
        bytes += Array(closing.utf8)
    }

    private mutating func newLine(_ level: Int, _ evaluator: Evaluator) throws {
        guard let indent else { return }
        try evaluator.charge(1 + indent.count * level)
        bytes.append(0x0A)
        for _ in 0..<level { bytes += indent }
    }

    private static func number(_ value: Double) -> String {
        value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : Numbers.text(value)
    }

    private static func key(_ key: Value) throws -> Text {
        switch key {
        case .text(let text): text
        case .none: Text("null")
        case .bool(let value): Text(value ? "true" : "false")
        case .int(let value): Text(String(value))
        case .double(let value): Text(number(value))
        default: throw JinjaError.failure("JSON has no keys of type \(key.typeName).")
        }
    }

    private mutating func write(_ text: Text, _ evaluator: Evaluator) throws {
        try evaluator.charge(text.bytes.count)
        bytes.append(UInt8(ascii: "\""))
        if isASCII {
            for unit in text.string.utf16 {
                if unit < 0x7F { escape(UInt8(unit)) } else { bytes += Self.escape(unit) }
            }
        } else {
            for byte in text.bytes { escape(byte) }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): bytes += Array("\\\"".utf8)
        case UInt8(ascii: "\\"): bytes += Array("\\\\".utf8)
        case 0x0A: bytes += Array("\\n".utf8)
        case 0x0D: bytes += Array("\\r".utf8)
        case 0x09: bytes += Array("\\t".utf8)
        case 0x08: bytes += Array("\\b".utf8)
        case 0x0C: bytes += Array("\\f".utf8)
        case 0..<0x20: bytes += Self.escape(UInt16(byte))
        default: bytes.append(byte)
        }
    }

    private static func escape(_ unit: UInt16) -> [UInt8] {
        Array(("\\u" + Numbers.hexadecimal(UInt32(unit), digits: 4)).utf8)
    }
}
