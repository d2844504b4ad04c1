import GGUF
import Tensors
import Tokenization

/// A model that Quipu cannot run, or a run that the model cannot do.
public enum LlamaError: InputProblem, Sendable, Equatable {
    /// An adapter, a vocabulary, …: `words` say what, and what can be done with it.
    case notAModel(file: String, words: String)
    case otherArchitecture(file: String, name: String)
    case missingKey(file: String, key: String)
    case wrongType(file: String, key: String, found: String, expected: String)
    case invalidValue(file: String, key: String, found: String, expected: String)
    case unsupported(file: String, what: String, found: String, supported: String)
    case missingTensor(file: String, name: String, expected: Shape)
    case wrongShape(file: String, name: String, found: Shape, expected: Shape)
    /// Two places of the file say how many tokens there are, and differ.
    case otherVocabulary(file: String, key: String, verb: String, count: Int, tensor: String, rows: Int)
    case unusedTensors(file: String, architecture: String, names: [String])
    case emptyPrompt
    case contextExceeded(needed: Int, limit: Int)
    case tokenOutOfRange(token: Int, vocabulary: Int)
    case noTokenizer(file: String, reason: TokenizationError)
}

extension LlamaError: CustomStringConvertible {
    public var description: String { ((file.map { "\($0): " } ?? "") + reason + advice).onOneLine }

    /// The file that is at fault; `nil` if it is the run.
    public var file: String? {
        switch self {
        case .notAModel(let file, _), .otherArchitecture(let file, _), .missingKey(let file, _),
            .wrongType(let file, _, _, _), .invalidValue(let file, _, _, _), .unsupported(let file, _, _, _),
            .missingTensor(let file, _, _), .wrongShape(let file, _, _, _),
            .otherVocabulary(let file, _, _, _, _, _), .unusedTensors(let file, _, _),
            .noTokenizer(let file, _):
            file
        case .emptyPrompt, .contextExceeded, .tokenOutOfRange: nil
        }
    }

    /// What is wrong, without the file's name and what else can be done with it.
    public var reason: String {
        switch self {
        case .notAModel(_, let words): words
        case .otherArchitecture(_, let name):
            if let family = OtherFamily.named(name) {
                "architecture '\(name)' needs \(family.needs); Quipu does not run it yet."
            } else {
                "architecture '\(name)' is not on Quipu's list: nothing is known of it."
            }
        case .missingKey(_, let key):
            "metadata key '\(key)' is missing; the model cannot run without it. Is this a complete model file?"
        case .wrongType(_, let key, let found, let expected):
            "metadata key '\(key)' has type \(found), expected \(expected). Convert the model again."
        case .invalidValue(_, let key, let found, let expected):
            "metadata key '\(key)' is \(found), expected \(expected)."
        case .unsupported(_, let what, let found, let supported):
            "\(what) '\(found)' is not supported; Quipu runs \(supported)."
        case .missingTensor(_, let name, let expected):
            "tensor '\(name)' (shape \(expected)) is missing; the model cannot run without it."
        case .wrongShape(_, let name, let found, let expected):
            "tensor '\(name)' has shape \(found), expected \(expected) from the metadata."
        case .otherVocabulary(_, let key, let verb, let count, let tensor, let rows):
            "'\(key)' \(verb) \(count) tokens, and tensor '\(tensor)' has \(rows) rows, expected one row for each token. "
                + "Convert the model again."
        case .unusedTensors(_, let architecture, let names):
            "\(names.count == 1 ? "1 tensor has" : "\(names.count) tensors have") no place in the graph of architecture '\(architecture)': \(Self.list(names)). "
                + "Running without \(names.count == 1 ? "it" : "them") would not be the model's computation."
        case .emptyPrompt:
            "the prompt has no tokens; give at least one character, or a model that adds a BOS token"
        case .contextExceeded(let needed, let limit):
            "the run needs \(needed) positions, the model was trained for \(limit); "
                + "shorten the prompt or generate fewer tokens"
        case .tokenOutOfRange(let token, let vocabulary):
            "token id \(token) is outside the vocabulary of \(vocabulary) tokens"
        case .noTokenizer(_, let reason): "\(reason)."
        }
    }

    /// The same, to be read after "Quipu does not run it:".
    public var lack: String {
        guard case .otherArchitecture(_, let name) = self else { return reason }
        return OtherFamily.named(name).map { "it needs \($0.needs)." } ?? "its architecture is not on Quipu's list."
    }

    /// Whether the file may be sound, though it is nothing that Quipu runs.
    public var isUnsupported: Bool {
        switch self {
        case .notAModel, .otherArchitecture, .unsupported: true
        default: false
        }
    }

    private var advice: String {
        switch self {
        case .otherArchitecture:
            " It runs " + Architectures.names.map { "'\($0)'" }.joined(separator: ", ")
                + ". `quipu inspect` lists the file."
        case .notAModel: " `quipu inspect` lists the file."
        case .unsupported: " `quipu inspect` still lists the file."
        case .noTokenizer: " `quipu trace --ids` runs the model without a tokenizer; `quipu inspect` lists the file."
        default: ""
        }
    }

    private static func list(_ names: [String]) -> String {
        names.prefix(4).map { "'\($0)'" }.joined(separator: ", ") + (names.count > 4 ? ", …" : "")
    }
}
