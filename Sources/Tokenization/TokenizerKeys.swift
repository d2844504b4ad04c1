import GGUF

/// The metadata keys a vocabulary is read from.
enum TokenizerKey: String {
    case model = "tokenizer.ggml.model"
    case preTokenizer = "tokenizer.ggml.pre"
    case tokens = "tokenizer.ggml.tokens"
    case scores = "tokenizer.ggml.scores"
    case kinds = "tokenizer.ggml.token_type"
    case merges = "tokenizer.ggml.merges"
    case addsBOS = "tokenizer.ggml.add_bos_token"
    case addsEOS = "tokenizer.ggml.add_eos_token"
    case addsSpacePrefix = "tokenizer.ggml.add_space_prefix"
    case bos = "tokenizer.ggml.bos_token_id"
    case eos = "tokenizer.ggml.eos_token_id"
    case eot = "tokenizer.ggml.eot_token_id"
    case eom = "tokenizer.ggml.eom_token_id"
    case unknown = "tokenizer.ggml.unknown_token_id"
    case fillPrefix = "tokenizer.ggml.fim_pre_token_id"
    case fillSuffix = "tokenizer.ggml.fim_suf_token_id"
    case fillMiddle = "tokenizer.ggml.fim_mid_token_id"
    case fillPadding = "tokenizer.ggml.fim_pad_token_id"
    case fillRepository = "tokenizer.ggml.fim_rep_token_id"
    case fillSeparator = "tokenizer.ggml.fim_sep_token_id"
    case oldFillPrefix = "tokenizer.ggml.prefix_token_id"
    case oldFillSuffix = "tokenizer.ggml.suffix_token_id"
    case oldFillMiddle = "tokenizer.ggml.middle_token_id"
    case modelName = "general.name"
}

/// Typed access to the metadata: a value of the wrong type is an error, a missing one is `nil` where it may be missing.
struct TokenizerKeys {
    private let metadata: Metadata

    init(_ metadata: Metadata) { self.metadata = metadata }

    func has(_ key: TokenizerKey) -> Bool { metadata[key.rawValue] != nil }

    func string(_ key: TokenizerKey) throws(TokenizationError) -> String? {
        guard let value = metadata[key.rawValue] else { return nil }
        guard let string = value.string else { throw wrongType(key, value, expected: "a string") }
        return string
    }

    func bool(_ key: TokenizerKey) throws(TokenizationError) -> Bool? {
        guard let value = metadata[key.rawValue] else { return nil }
        guard let bool = value.bool else { throw wrongType(key, value, expected: "a bool") }
        return bool
    }

    /// A token id; `nil` also for the value -1 (as any integer type writes it), by which files say "none".
    func id(_ key: TokenizerKey, count: Int) throws(TokenizationError) -> Int? {
        guard let value = metadata[key.rawValue] else { return nil }
        guard let id = value.integer else { throw wrongType(key, value, expected: "an integer") }
        if id == -1 || id == Int(UInt32.max) { return nil }
        guard (0..<count).contains(id) else { throw .idOutOfRange(key: key.rawValue, id: id, count: count) }
        return id
    }

    /// An array of strings, which must be there.
    func strings(_ key: TokenizerKey) throws(TokenizationError) -> [String] {
        guard let value = metadata[key.rawValue] else { throw .missingKey(key.rawValue) }
        guard let strings = value.array?.strings else { throw wrongType(key, value, expected: "an array of str") }
        return strings
    }

    /// An array of one of the given types with at least `count` elements.
    func array(
        _ key: TokenizerKey, of types: [GGUFValueType], count: Int
    ) throws(TokenizationError) -> [GGUFValue]? {
        guard let value = metadata[key.rawValue] else { return nil }
        guard let array = value.array, types.contains(array.elementType) else {
            throw wrongType(key, value, expected: "an array of \(types.map(\.name).joined(separator: " or "))")
        }
        guard array.count >= count else { throw .tooFew(key: key.rawValue, found: array.count, expected: count) }
        return array.values
    }

    private func wrongType(_ key: TokenizerKey, _ value: GGUFValue, expected: String) -> TokenizationError {
        let found = value.array.map { "an array of \($0.elementType.name)" } ?? "of type \(value.type.name)"
        return .wrongType(key: key.rawValue, found: found, expected: expected)
    }
}
