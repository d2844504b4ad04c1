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
        guard BoundedExpression.isBounded(pattern) else { throw .slowExpression(pattern) }
        self.pattern = pattern
        type = try TensorType.writable(named: String(text[text.index(after: separator)...]))
    }
}

/// Expressions that are found, or not, in a moment: matching goes back and tries again, and how often grows with the number
/// of repetitions, and without bound where one is inside another.
enum BoundedExpression {
    /// In a name of 64 characters, four repetitions can be laid out in some 600,000 ways.
    static let mostRepetitions = 4

    static func isBounded(_ pattern: String) -> Bool {
        var repetitions = 0
        /// Of each group that is open, whether a repetition or a choice is in it.
        var groups = [false]
        /// Whether the part before is a group with such inside.
        var isAmbiguous = false
        var (isEscaped, isInSet, before) = (false, false, Character(" "))
        for character in pattern {
            defer { before = isEscaped || isInSet ? " " : character }
            if isEscaped || (isInSet && character != "]" && character != "\\") {
                (isEscaped, isAmbiguous) = (false, false)
                continue
            }
            switch character {
            case "\\": isEscaped = true
            case "[": isInSet = true
            case "]": (isInSet, isAmbiguous) = (false, false)
            case "(": groups.append(false)
            case ")":
                isAmbiguous = groups.count > 1 ? groups.removeLast() : false
                if isAmbiguous { groups[groups.count - 1] = true }
            case "|": groups[groups.count - 1] = true
            // Of (?: and of .*? it repeats nothing.
            case "?" where "(*+?}".contains(before): continue
            case "*", "+", "?", "{":
                if isAmbiguous { return false }
                repetitions += 1
                groups[groups.count - 1] = true
            default: isAmbiguous = false
            }
        }
        return repetitions <= mostRepetitions
    }
}
