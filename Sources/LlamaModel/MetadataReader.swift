import GGUF

/// Reads keys as strictly as libllama does: a key of the wrong type is an error, not a guess.
struct MetadataReader {
    let file: String
    let metadata: Metadata
    /// What each key begins with: the architecture's name and a dot.
    let prefix: String

    var architecture: String { String(prefix.dropLast()) }

    func has(_ key: String) -> Bool { self[key] != nil }

    func string(_ key: String) throws(LlamaError) -> String? {
        guard let value = self[key] else { return nil }
        guard let string = value.string else { throw wrongType(key, value, "str") }
        return string
    }

    func bool(_ key: String) throws(LlamaError) -> Bool? {
        guard let value = self[key] else { return nil }
        guard case .bool(let bool) = value else { throw wrongType(key, value, "bool") }
        return bool
    }

    func float(_ key: String) throws(LlamaError) -> Float? {
        guard let value = self[key] else { return nil }
        guard case .float32(let float) = value else { throw wrongType(key, value, "f32") }
        guard float.isFinite else { throw invalid(key, "\(float)", "a finite number") }
        return float
    }

    /// A number that must be there.
    func requiredFloat(_ key: String) throws(LlamaError) -> Float {
        guard let float = try float(key) else { throw missing(key) }
        return float
    }

    func count(_ key: String) throws(LlamaError) -> Int? {
        guard let value = self[key] else { return nil }
        guard case .uint32(let count) = value else { throw wrongType(key, value, "u32") }
        return Int(count)
    }

    /// A positive count within `range`.
    func count(_ key: String, in range: ClosedRange<Int>) throws(LlamaError) -> Int {
        try checked(key, try count(key), in: range)
    }

    /// A count that libllama also accepts as an array with one value a layer.
    ///
    /// Layers of unequal size exist in pruned models only; their graph is another one.
    func uniformCount(_ key: String, layers: Int) throws(LlamaError) -> Int? {
        guard let array = self[key]?.array else { return try count(key) }
        guard let counts = array.integers, array.elementType == .uint32 || array.elementType == .int32 else {
            throw wrongType(key, self[key]!, "u32, or an array of u32")
        }
        guard counts.count >= layers else { throw invalid(key, "\(counts.count) values", "\(layers), one a layer") }
        let distinct = Set(counts.prefix(layers))
        guard distinct.count == 1 else {
            throw unsupported(key, "\(distinct.count) different values", "layers of equal size")
        }
        return distinct.first
    }

    func uniformCount(_ key: String, layers: Int, in range: ClosedRange<Int>) throws(LlamaError) -> Int {
        try checked(key, try uniformCount(key, layers: layers), in: range)
    }

    /// A flag a layer, which libllama also accepts as a number; `nil` if there is no array.
    func flags(_ key: String, layers: Int) throws(LlamaError) -> [Bool]? {
        guard let array = self[key]?.array else { return nil }
        let flags = array.values.map { $0.bool ?? $0.integer.map { $0 != 0 } }
        guard flags.count >= layers, !flags.contains(nil) else {
            throw invalid(key, "\(flags.count) values", "\(layers) booleans or whole numbers, one a layer")
        }
        return flags.prefix(layers).map { $0! }
    }

    private func checked(_ key: String, _ count: Int?, in range: ClosedRange<Int>) throws(LlamaError) -> Int {
        guard let count else { throw missing(key) }
        guard range.contains(count) else {
            throw invalid(key, "\(count)", "\(range.lowerBound) to \(range.upperBound)")
        }
        return count
    }

    // MARK: errors

    func missing(_ key: String) -> LlamaError { .missingKey(file: file, key: prefix + key) }

    func invalid(_ key: String, _ found: String, _ expected: String) -> LlamaError {
        .invalidValue(file: file, key: prefix + key, found: found, expected: expected)
    }

    func unsupported(_ key: String, _ found: String, _ supported: String) -> LlamaError {
        .unsupported(file: file, what: prefix + key, found: found, supported: supported)
    }

    private func wrongType(_ key: String, _ value: GGUFValue, _ expected: String) -> LlamaError {
        .wrongType(file: file, key: prefix + key, found: value.type.name, expected: expected)
    }

    private subscript(key: String) -> GGUFValue? { metadata[prefix + key] }
}
