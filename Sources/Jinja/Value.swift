/// A Python string: UTF-8, compared byte by byte, which orders as code points do.
struct Text: Hashable {
    var bytes: [UInt8]
    /// Marked by `safe`, and so escapes for HTML what it is added to.
    var isSafe = false

    init(_ bytes: [UInt8], isSafe: Bool = false) { (self.bytes, self.isSafe) = (bytes, isSafe) }
    init(_ text: String) { bytes = Array(text.utf8) }

    var string: String { String(decoding: bytes, as: UTF8.self) }

    static func == (a: Text, b: Text) -> Bool { a.bytes == b.bytes }
    func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
}

/// What an expression stands for. Lists, mappings and namespaces are shared, as in Python.
enum Value {
    /// Nothing was there; why, for the message that comes when it is used.
    case undefined(String)
    case none
    case bool(Bool)
    case int(Int)
    case double(Double)
    case text(Text)
    case list(ListBox)
    case mapping(MappingBox)
    case namespace(NamespaceBox)
    case macro(MacroBox)
    /// A function that every template has.
    case global(String)
    /// A method of a value, not yet called.
    indirect case method(Value, String)
    case loop(LoopBox)

    static func string(_ text: String) -> Value { .text(Text(text)) }

    /// What Python calls its type.
    var typeName: String {
        switch self {
        case .undefined: "Undefined"
        case .none: "NoneType"
        case .bool: "bool"
        case .int: "int"
        case .double: "float"
        case .text: "str"
        case .list(let box): box.kind.rawValue
        case .mapping: "dict"
        case .namespace: "Namespace"
        case .macro: "Macro"
        case .global: "function"
        case .method: "method"
        case .loop: "LoopContext"
        }
    }

    /// As an integer, where Python would take it for one.
    var integer: Int? {
        switch self {
        case .int(let value): value
        case .bool(let value): value ? 1 : 0
        default: nil
        }
    }

    var number: Double? {
        if case .double(let value) = self { return value }
        return integer.map(Double.init)
    }

    var isUndefined: Bool {
        if case .undefined = self { return true }
        return false
    }

    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .bool(let value): value
        case .int(let value): value != 0
        case .double(let value): value != 0
        case .text(let text): !text.bytes.isEmpty
        case .list(let box): box.kind == .generator || !box.items.isEmpty
        case .mapping(let box): !box.keys.isEmpty
        case .namespace, .macro, .global, .method, .loop: true
        }
    }
}

/// Several values in order.
final class ListBox {
    enum Kind: String {
        case list, tuple, range
        /// What `items`, `keys` and `values` give: has a length, but no indices.
        case view = "dict_items"
        /// What `map`, `select` and the like give: can be walked through once.
        case generator
    }

    let kind: Kind
    var items: [Value]

    init(_ items: [Value], _ kind: Kind) { (self.items, self.kind) = (items, kind) }
}

/// Values by keys, in the order in which the keys came.
final class MappingBox {
    /// A key; numbers are equal to booleans and to each other as in Python.
    enum Key: Hashable {
        case text(Text)
        case number(Double)
        case none
    }

    private(set) var keys: [Value] = []
    private(set) var values: [Value] = []
    private var positions: [Key: Int] = [:]

    static func key(_ value: Value) throws -> Key {
        switch value {
        case .text(let text): return .text(text)
        case .bool, .int, .double:
            if let integer = value.integer, Int(exactly: Double(integer)) != integer {
                throw JinjaError.unsupported("keys as large as \(integer)")
            }
            return .number(value.number!)
        case .none: return .none
        case .undefined(let why): throw JinjaError.failure("\(why).")
        default: throw JinjaError.unsupported("keys of type \(value.typeName)")
        }
    }

    subscript(_ key: Key) -> Value? { positions[key].map { values[$0] } }

    func set(_ key: Value, _ value: Value) throws {
        let hashed = try Self.key(key)
        if let index = positions[hashed] {
            values[index] = value
        } else {
            positions[hashed] = keys.count
            keys.append(key)
            values.append(value)
        }
    }

    func clear() { (keys, values, positions) = ([], [], [:]) }
}

/// The attributes of `namespace(…)`.
final class NamespaceBox {
    var values: [String: Value] = [:]
}

/// A macro, and the variables it was defined among.
final class MacroBox {
    let definition: MacroDefinition
    var scope: Scope?

    init(_ definition: MacroDefinition, _ scope: Scope) { (self.definition, self.scope) = (definition, scope) }
}

/// Where a loop is.
final class LoopBox {
    let items: [Value]
    let depth: Int
    var index = 0
    /// The last arguments of `changed`.
    var changed: [Value]?
    /// Runs the loop's body over other items, if it is a recursive loop.
    let recursion: Statement.Loop?
    let scope: Scope

    init(_ items: [Value], depth: Int, recursion: Statement.Loop?, _ scope: Scope) {
        (self.items, self.depth, self.recursion, self.scope) = (items, depth, recursion, scope)
    }
}

/// Variables, and where to look for others.
final class Scope {
    var values: [String: Value] = [:]
    let outer: Scope?

    init(_ outer: Scope?) { self.outer = outer }

    func value(_ name: String) -> Value? {
        var scope: Scope? = self
        while let here = scope {
            if let value = here.values[name] { return value }
            scope = here.outer
        }
        return nil
    }
}
