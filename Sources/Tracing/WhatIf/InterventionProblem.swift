import Recording
import Tensors

/// A change to a run that cannot be made.
public enum InterventionProblem: InputProblem, Sendable, Equatable {
    case syntax(text: String, expected: String)
    case noOperation(name: String, suggestions: [String])
    case noOccurrence(name: String, asked: Int, count: Int)
    case noValues(name: String)
    case integers(name: String)
    case noStep(target: String, step: Int, steps: Int)
    case patchShape(target: String, step: Int, trace: String, found: Shape, expected: Shape)
    case patchExtents(target: String, step: Int, source: String, found: Int, expected: Shape)
    case patchIncomplete(target: String, step: Int, trace: String, capture: String)
    case patchCount(target: String, step: Int, found: Int, expected: Int)
    case vectorLength(target: String, source: String, found: Int, expected: Int)
    case noLayer(name: String, source: String)
    /// `tensor`: of a GGUF file; `nil` for a file that is one vector.
    case notAVector(file: String, tensor: String?, found: String)
    case noVector(file: String, found: String)
    case noTensor(file: String, name: String, suggestions: [String])
    case notEditable(file: String, tensor: String, type: TensorType, part: String, reason: String)
    case outside(file: String, tensor: String, part: String, found: Int, range: ClosedRange<Int>)
    case notFinite(file: String, tensor: String, type: TensorType, value: Float)
}

extension InterventionProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .syntax(let text, let expected):
            "'\(text)' is no change to a run: expected \(expected)."
        case .noOperation(let name, let suggestions):
            "the graph has no operation '\(name)'." + Self.hint(suggestions) + " `quipu graph` lists them."
        case .noOccurrence(let name, let asked, let count):
            "'\(name)' is the name of \(count) operation\(count == 1 ? "" : "s"), #0 to #\(count - 1); there is no #\(asked)."
        case .noValues(let name):
            "'\(name)' shows the memory of the cache, an input or a weight, not what was computed. Change what is written "
                + "there (Kcur-L, Vcur-L), or a weight with --weight."
        case .integers(let name):
            "'\(name)' holds numbers of experts, which are chosen, not computed. Change what they are chosen by "
                + "(ffn_moe_logits-L, ffn_moe_probs-L), how much they count (ffn_moe_weights-L), or ask "
                + "`quipu experts what-if`."
        case .noStep(let target, let step, let steps):
            "'\(target)' is for step \(step), but the run has "
                + (steps == 1 ? "step 0 only" : "steps 0 to \(steps - 1)") + ". --generate N makes N - 1 more."
        case .patchShape(let target, let step, let trace, let found, let expected):
            "'\(target)' has shape \(found) in step \(step) of \(trace), and \(expected) in this run. A patch needs prompts of "
                + "as many tokens, or elements on both sides, as in l_out-3[:,4]=other.db[:,7]; @N after the name limits it "
                + "to step N."
        case .patchExtents(let target, let step, let source, let found, let expected):
            "'\(target)' names elements of shape \(expected) in step \(step), and \(source) \(found) elements of other "
                + "extents. Name as many along each dimension on both sides."
        case .patchIncomplete(let target, let step, let trace, let capture):
            "the values of '\(target)' in step \(step) of \(trace) were not captured in full (--capture \(capture)). "
                + "Trace it again with --capture all."
        case .patchCount(let target, let step, let found, let expected):
            "'\(target)' names \(expected) elements in step \(step), but the trace has \(found) values for them. "
                + "The trace is damaged; make the run again."
        case .vectorLength(let target, let source, let found, let expected):
            "'\(target)' has rows of \(expected) values, and \(source) is a vector of \(found). It needs one of as many "
                + "values, or a single number."
        case .noLayer(let name, let source):
            "\(source) is to be added to '\(name)', and the model has no such layer. It is for another model; or say with "
                + "--control-vector-layers which layers get it."
        case .notAVector(let file, let tensor, let found):
            "\(file): \(tensor.map { "tensor '\($0)' is " } ?? "found ")\(found), expected a vector in F32 of finite numbers."
        case .noVector(let file, let found):
            "\(file): found \(found), expected a control vector: tensors direction.1, direction.2, … in F32. "
                + "`quipu vector make` writes one; a vector in a .npy file is added with --add."
        case .noTensor(let file, let name, let suggestions):
            "\(file): there is no tensor '\(name)'." + Self.hint(suggestions) + " `quipu inspect --tensors` lists them."
        case .notEditable(let file, let tensor, let type, let part, let reason):
            "\(file): tensor '\(tensor)' is \(type); \(part) of its blocks cannot be changed: \(reason)."
        case .outside(let file, let tensor, let part, let found, let range):
            "\(file): tensor '\(tensor)': \(part) \(found) is outside \(range.lowerBound) to \(range.upperBound)."
        case .notFinite(let file, let tensor, let type, let value):
            "\(file): tensor '\(tensor)': \(value) does not fit the \(type == .bf16 ? "BF16" : "F16") it would be stored as."
        }
    }

    private static func hint(_ suggestions: [String]) -> String {
        suggestions.isEmpty ? "" : " Did you mean \(suggestions.joined(separator: ", "))?"
    }
}
