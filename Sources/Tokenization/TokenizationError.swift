import GGUF
import Jinja
import Tensors

/// A vocabulary that cannot be used.
public enum TokenizationError: InputProblem, Sendable, Equatable {
    /// The metadata has no such key.
    case missingKey(String)
    /// The value of a key has another type than llama.cpp's format says.
    case wrongType(key: String, found: String, expected: String)
    /// An array has fewer elements than there are tokens (or none at all).
    case tooFew(key: String, found: Int, expected: Int)
    /// `tokenizer.ggml.model` names a kind of tokenizer that Quipu does not have.
    case unknownModel(String, known: [String])
    /// `tokenizer.ggml.pre` names a pre-tokenizer that Quipu does not have.
    case unknownPreTokenizer(String, known: [String])
    /// A key holds the id of a token that does not exist.
    case idOutOfRange(key: String, id: Int, count: Int)
    /// The metadata asks to add a token to every text but does not say which.
    case missingSpecialToken(flag: String, key: String)
    /// Two ids have the same text, so a text does not say which id it is.
    case duplicateToken(text: String, first: Int, second: Int)
    /// A merge is not two parts with a space between.
    case malformedMerge(index: Int, text: String)
    /// A token of type "byte" is not spelled `<0xE2>`.
    case malformedByteToken(id: Int, text: String)
    /// The score of a token is not a number, so it has no rank in the order of merges.
    case scoreNotANumber(id: Int)
    /// The metadata has no chat template.
    case noChatTemplate
    /// The chat template cannot be read, or not be rendered.
    case chatTemplate(JinjaError)
}

extension TokenizationError: CustomStringConvertible {
    public var description: String { words.onOneLine }

    private var words: String {
        switch self {
        case .missingKey(let key):
            "the metadata has no \(key): the file holds no usable vocabulary; convert the model again"
        case .wrongType(let key, let found, let expected):
            "\(key) is \(found), expected \(expected)"
        case .tooFew(let key, let found, let expected):
            "\(key) has \(found) elements, expected at least \(expected)"
        case .unknownModel(let name, let known):
            "tokenizer model \"\(name)\" is not supported; supported are \(known.joined(separator: ", "))"
        case .unknownPreTokenizer(let name, let known):
            """
            pre-tokenizer \"\(name)\" is not supported (its way to split text into words is unknown here, and another \
            one would give wrong ids); supported are \(known.joined(separator: ", "))
            """
        case .idOutOfRange(let key, let id, let count):
            "\(key) is \(id), expected a token id from 0 to \(count - 1)"
        case .missingSpecialToken(let flag, let key):
            "\(flag) is true, but \(key) names no token to add"
        case .duplicateToken(let text, let first, let second):
            "tokens \(first) and \(second) both have the text \"\(text)\"; every token needs its own"
        case .malformedMerge(let index, let text):
            "merge \(index) is \"\(text)\", expected two parts with a space between"
        case .malformedByteToken(let id, let text):
            "token \(id) is of type byte and reads \"\(text)\", expected <0x00> to <0xFF>"
        case .scoreNotANumber(let id):
            "the score of token \(id) is not a number"
        case .noChatTemplate:
            """
            the file has no chat template (\(ChatTemplate.key)): how its model wants a conversation written is not \
            known, and not guessed; write the prompt out with --prompt
            """
        case .chatTemplate(let error):
            "chat template, \(error)"
        }
    }
}
