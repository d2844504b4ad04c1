import Tensors
import Tokenization

/// A model that Quipu cannot run, or a run that the model cannot do.
public enum LlamaError: InputProblem, Sendable, Equatable {
    case missingKey(file: String, key: String)
    case wrongType(file: String, key: String, found: String, expected: String)
    case invalidValue(file: String, key: String, found: String, expected: String)
    case unsupported(file: String, what: String, found: String, supported: String)
    case missingTensor(file: String, name: String, expected: Shape)
    case wrongShape(file: String, name: String, found: Shape, expected: Shape)
    case unusedTensors(file: String, architecture: String, names: [String])
    case emptyPrompt
    case contextExceeded(needed: Int, limit: Int)
    case tokenOutOfRange(token: Int, vocabulary: Int)
    case noTokenizer(file: String, reason: TokenizationError)
}

extension LlamaError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .missingKey(let file, let key):
            "\(file): metadata key '\(key)' is missing; the model cannot run without it. Is this a complete model file?"
        case .wrongType(let file, let key, let found, let expected):
            "\(file): metadata key '\(key)' has type \(found), expected \(expected). Convert the model again."
        case .invalidValue(let file, let key, let found, let expected):
            "\(file): metadata key '\(key)' is \(found), expected \(expected)."
        case .unsupported(let file, let what, let found, let supported):
            "\(file): \(what) '\(found)' is not supported; Quipu runs \(supported). `quipu inspect` still lists the file."
        case .missingTensor(let file, let name, let expected):
            "\(file): tensor '\(name)' (shape \(expected)) is missing; the model cannot run without it."
        case .wrongShape(let file, let name, let found, let expected):
            "\(file): tensor '\(name)' has shape \(found), expected \(expected) from the metadata."
        case .unusedTensors(let file, let architecture, let names):
            "\(file): \(names.count) tensors have no place in the graph of architecture '\(architecture)': \(Self.list(names)). "
                + "Running without them would not be the model's computation."
        case .emptyPrompt:
            "the prompt has no tokens; give at least one character, or a model that adds a BOS token"
        case .contextExceeded(let needed, let limit):
            "the run needs \(needed) positions, the model was trained for \(limit); "
                + "shorten the prompt or generate fewer tokens"
        case .tokenOutOfRange(let token, let vocabulary):
            "token id \(token) is outside the vocabulary of \(vocabulary) tokens"
        case .noTokenizer(let file, let reason):
            "\(file): \(reason). `quipu trace --ids` runs the model without a tokenizer; `quipu inspect` lists the file."
        }
    }

    private static func list(_ names: [String]) -> String {
        names.prefix(4).map { "'\($0)'" }.joined(separator: ", ") + (names.count > 4 ? ", …" : "")
    }
}
