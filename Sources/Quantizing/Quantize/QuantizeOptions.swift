import Tensors

/// What a user may change about a mix. Source: llama.cpp `llama-quantize`.
public struct QuantizeOptions: Sendable {
    /// Everything in the base type, as far as rows allow.
    public var isPure = false
    /// Types by name, first match first; only where the file type's base is quantised.
    public var overrides: [TypeOverride] = []
    /// The type of `output.weight`, and of tied token embeddings.
    public var outputType: TensorType?
    public var embeddingType: TensorType?
    /// `output.weight` stays as it is.
    public var leavesOutput = false
    /// Tensors that are quantised already may be quantised again, from what they decode to.
    public var allowsRequantizing = false
    /// Metadata to be written; the mix goes by it, too.
    public var metadata: [MetadataOverride] = []

    public init() {}
}

/// `REGEX=TYPE`: the type of the tensors in whose name the expression is found.
public struct TypeOverride: Sendable, Hashable {
    /// In lower case, as llama.cpp has it.
    public let pattern: String
    public let type: TensorType

    /// The pairs of a file, between which there are spaces or line ends. Source: llama.cpp `parse_tensor_type_file`.
    ///
    /// - Throws: `QuantizeProblem` as `init(parsing:)`, with the file and the line.
    public static func list(_ text: String, from file: String) throws(QuantizeProblem) -> [TypeOverride] {
        var overrides: [TypeOverride] = []
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            for pair in line.split(whereSeparator: \.isWhitespace) {
                do throws(QuantizeProblem) {
                    overrides.append(try TypeOverride(parsing: String(pair)))
                } catch {
                    throw .line(file: file, number: index + 1, error)
                }
            }
        }
        return overrides
    }

    /// - Throws: `QuantizeProblem` if it is no such pair, no expression, or no type.
    public init(parsing text: String) throws(QuantizeProblem) {
        guard let separator = text.firstIndex(of: "="), separator != text.startIndex else { throw .override(text) }
        let pattern = text[..<separator].lowercased()
        guard (try? Regex(pattern)) != nil else { throw .expression(pattern) }
        self.pattern = pattern
        type = try TensorType.writable(named: String(text[text.index(after: separator)...]))
    }
}
