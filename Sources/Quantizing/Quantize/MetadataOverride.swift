import GGUF

/// `KEY=TYPE:VALUE`: metadata to write in place of the model's own, or beside it.
///
/// Source: llama.cpp `string_parse_kv_override`, and `llama_model_quantize_impl` for the types in the file: whole numbers
/// become u32, others f32.
public struct MetadataOverride: Sendable, Hashable {
    public let key: String
    public let value: GGUFValue

    var entry: Metadata.Entry { .init(key: key, value: value) }

    /// - Throws: `QuantizeProblem` if it is no such text, the value is none of its type, or the key is reserved.
    public init(parsing text: String) throws(QuantizeProblem) {
        guard let equals = text.firstIndex(of: "="), equals != text.startIndex else { throw .metadata(text) }
        key = String(text[..<equals])
        let typed = text[text.index(after: equals)...]
        guard let colon = typed.firstIndex(of: ":") else { throw .metadata(text) }
        let content = String(typed[typed.index(after: colon)...])
        guard let value = Self.value(of: typed[..<colon], content) else { throw .metadata(text) }
        guard !Metadata.layoutKeys.contains(key) else { throw .reservedKey(key) }
        self.value = value
    }

    private static func value(of type: Substring, _ text: String) -> GGUFValue? {
        switch type {
        case "int": UInt32(text).map { .uint32($0) }
        case "float": Double(text).map(Float.init).flatMap { $0.isFinite ? .float32($0) : nil }
        case "bool": Bool(text).map { .bool($0) }
        case "str": .string(text)
        default: nil
        }
    }
}

extension Metadata {
    /// Entries set one after another, as llama.cpp sets them: what was there is removed, what is new goes to the end.
    func setting(_ entries: [Entry]) -> Metadata {
        var last: [String: Int] = [:]
        for (index, entry) in entries.enumerated() { last[entry.key] = index }
        let added = entries.indices.filter { last[entries[$0].key] == $0 }.map { entries[$0] }
        return Metadata(self.entries.filter { last[$0.key] == nil } + added)
    }
}
