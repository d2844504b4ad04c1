import Quantization
import Tensors

/// Why a model cannot be quantised.
public enum QuantizeProblem: InputProblem, Sendable, Equatable {
    case missingKey(file: String, key: String)
    case architecture(file: String, found: String)
    case layer(file: String, tensor: String, layers: Int)
    case override(String)
    case expression(String)
    case slowExpression(String)
    case importanceOfOthers(file: String, model: String, count: Int)
    /// Something wrong in a list of types.
    indirect case line(file: String, number: Int, QuantizeProblem)
    case metadata(String)
    case reservedKey(String)
    case type(found: String, known: [String])
    case fileType(found: String, known: [String])
    case notDecodable(file: String, tensor: String, type: TensorType)
    case notEncodable(tensor: String, type: TensorType)
    case rowLength(tensor: String, length: Int, type: TensorType)
    case noFallback(tensor: String, length: Int, type: TensorType)
    case alreadyQuantized(file: String, tensor: String, type: TensorType)
    case notFinite(file: String, tensor: String, index: Int, value: Float)
    case overflow(file: String, tensor: String, index: Int, value: Float, type: TensorType)
    case needsImportance(tensor: String, type: TensorType, hasMatrix: Bool)
    case importanceSize(file: String, tensor: String, found: Int, expected: Int)
    case importanceFile(file: String, found: String, expected: String)
    case importanceName(file: String, part: String, example: String)
    case importanceValue(file: String, tensor: String, index: Int, value: Float)
    case sameFile(String)
    case noCandidate(file: String, tensor: String, length: Int)
}

extension QuantizeProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .missingKey(let file, let key):
            "\(file): the key '\(key)' is missing or of a wrong type; the mix of formats depends on it. Is this a whole model?"
        case .architecture(let file, let found):
            "\(file): architecture '\(found)' has mixes of its own, which are not known here; use llama.cpp's llama-quantize"
        case .layer(let file, let tensor, let layers):
            "\(file): tensor '\(tensor)' is in none of the layers 0 to \(layers - 1) that the metadata speaks of"
        case .override(let text):
            "--tensor-type '\(text)': expected REGEX=TYPE, such as attn_v=Q6_K"
        case .expression(let pattern):
            "--tensor-type: '\(pattern)' is no regular expression"
        case .slowExpression(let pattern):
            "--tensor-type: '\(pattern)' may take for ever: expected at most \(BoundedExpression.mostRepetitions) of * + ? "
                + "and {}, and none of a group that has one, or a |, inside"
        case .line(let file, let number, let problem):
            "\(file), line \(number): \(problem)"
        case .metadata(let text):
            "--override-kv '\(text)': expected KEY=int:N with N from 0 to \(UInt32.max), KEY=float:X, KEY=bool:true, "
                + "KEY=bool:false or KEY=str:TEXT"
        case .reservedKey(let key):
            "--override-kv: '\(key)' says how the file is laid out, and cannot be chosen"
        case .type(let found, let known):
            "'\(found)' is no type that tensors can be written in; known are \(known.joined(separator: ", "))"
        case .fileType(let found, let known):
            "'\(found)' is no file type that can be written; known are \(known.joined(separator: ", "))"
        default: valueDescription
        }
    }

    /// Of problems with the weights and what is known of them.
    private var valueDescription: String {
        switch self {
        case .notDecodable(let file, let tensor, let type):
            "\(file): tensor '\(tensor)' is \(type), which cannot be decoded; start from a file in F16, BF16 or F32"
        case .notEncodable(let tensor, let type):
            "tensor '\(tensor)' would become \(type), which cannot be written; name another type with --tensor-type"
        case .rowLength(let tensor, let length, let type):
            "tensor '\(tensor)' has rows of \(length) values, no multiple of the \(type.blockElements) of a block of \(type); "
                + "name a type with smaller blocks"
        case .noFallback(let tensor, let length, let type):
            "tensor '\(tensor)' has rows of \(length) values, no multiple of the \(type.blockElements) of a block of \(type), "
                + "and there is no type to fall back to; name another with --tensor-type"
        case .alreadyQuantized(let file, let tensor, let type):
            "\(file): tensor '\(tensor)' is \(type) already, and quantising twice loses more than once; "
                + "start from a file in F16, BF16 or F32, or give --allow-requantize"
        case .notFinite(let file, let tensor, let index, let value):
            "\(file): tensor '\(tensor)' holds \(value) at element \(index); no format can stand for it. The file is damaged."
        case .overflow(let file, let tensor, let index, let value, let type):
            "\(file): tensor '\(tensor)' holds \(value) at element \(index), too large for \(type); "
                + "give it a wider type, such as BF16, with --tensor-type"
        case .needsImportance(let tensor, let type, let hasMatrix):
            "tensor '\(tensor)' would become \(type), which needs an importance matrix to be of any use"
                + (hasMatrix ? "; the one given has no entry for it" : "; give one with --imatrix")
        case .importanceSize(let file, let tensor, let found, let expected):
            "\(file): \(found) importances for tensor '\(tensor)', expected \(expected); is it of another model?"
        case .importanceOfOthers(let file, let model, let count):
            "\(file): " + (count == 1 ? "its one tensor is not" : "none of its \(count) tensors is")
                + " in \(model), so it would do nothing; is it of another model?"
        case .importanceFile(let file, let found, let expected):
            "\(file): found \(found), expected \(expected); llama.cpp's llama-imatrix writes such files"
        case .importanceName(let file, let part, let example):
            "\(file): no tensor in it has '\(part)' in its name; a name looks like '\(example)'"
        case .importanceValue(let file, let tensor, let index, let value):
            "\(file): the importance of column \(index) of tensor '\(tensor)' is \(value), no finite number"
        case .sameFile(let path):
            "\(path): this is a file to be read as well; write to another name"
        case .noCandidate(let file, let tensor, let length):
            "\(file): tensor '\(tensor)' has rows of \(length) values, which the blocks of none of the types divide, or they "
                + "need an importance matrix that has it; name types with smaller blocks, such as Q4_0 and Q8_0"
        default: preconditionFailure("worded above")
        }
    }
}

extension TensorType {
    /// A type that weights can be written in, by its name in any case.
    public static func writable(named name: String) throws(QuantizeProblem) -> TensorType {
        let known = BlockFormats.weights.filter { $0 is any EncodableFormat }.map(\.type)
        guard let type = known.first(where: { $0.name == name.uppercased() }) else {
            throw .type(found: name, known: known.map(\.name))
        }
        return type
    }

    /// Whether values share blocks, rather than being floats of their own.
    var isQuantized: Bool { blockElements > 1 }
}
