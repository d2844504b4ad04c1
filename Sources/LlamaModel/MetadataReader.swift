import GGUF

/// Reads keys as strictly as libllama does: a key of the wrong type is an error, not a guess.
struct MetadataReader {
    let file: String
    let metadata: Metadata

    func string(_ key: String) throws(LlamaError) -> String? {
        guard let value = metadata[key] else { return nil }
        guard let string = value.string else { throw wrongType(key, value, "str") }
        return string
    }

    func float(_ key: String) throws(LlamaError) -> Float? {
        guard let value = metadata[key] else { return nil }
        guard case .float32(let float) = value else { throw wrongType(key, value, "f32") }
        guard float.isFinite else {
            throw .invalidValue(file: file, key: key, found: "\(float)", expected: "a finite number")
        }
        return float
    }

    func count(_ key: String) throws(LlamaError) -> Int? {
        guard let value = metadata[key] else { return nil }
        guard case .uint32(let count) = value else { throw wrongType(key, value, "u32") }
        return Int(count)
    }

    /// A positive count within `range`.
    func count(_ key: String, in range: ClosedRange<Int>) throws(LlamaError) -> Int {
        guard let count = try count(key) else { throw .missingKey(file: file, key: key) }
        guard range.contains(count) else {
            throw .invalidValue(
                file: file, key: key, found: "\(count)", expected: "\(range.lowerBound) to \(range.upperBound)")
        }
        return count
    }

    /// A count that libllama also accepts as an array with one value a layer.
    ///
    /// Layers of unequal size exist in pruned models only; their graph is another one.
    func uniformCount(_ key: String, layers: Int) throws(LlamaError) -> Int? {
        guard let array = metadata[key]?.array else { return try count(key) }
        guard let counts = array.integers, array.elementType == .uint32 || array.elementType == .int32 else {
            throw wrongType(key, metadata[key]!, "u32, or an array of u32")
        }
        guard counts.count >= layers else {
            throw .invalidValue(
                file: file, key: key, found: "\(counts.count) values", expected: "\(layers), one a layer")
        }
        let distinct = Set(counts.prefix(layers))
        guard distinct.count == 1 else {
            throw .unsupported(
                file: file, what: key, found: "\(distinct.count) different values", supported: "layers of equal size")
        }
        return distinct.first
    }

    private func wrongType(_ key: String, _ value: GGUFValue, _ expected: String) -> LlamaError {
        .wrongType(file: file, key: key, found: value.type.name, expected: expected)
    }
}
