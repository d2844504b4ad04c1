import Tensors

/// What the stepper cannot do, with the facts.
public enum StepProblem: InputProblem, Equatable {
    case nothingRecorded(trace: String, String)
    case unknownCommand(String, suggestions: [String])
    case badArgument(command: String, found: String, expected: String)
    /// - Parameter position: where in the expression, counted in characters from 1.
    case expression(text: String, position: Int, reason: String)
    case noLayer(asked: Int, layers: Int)
    case noPass(asked: Int, passes: Int)
    case noSeq(asked: Int, operations: Int)
    case nothingFits(String, suggestions: [String])
    case noInput(asked: Int, count: Int)
    case noUser(asked: Int, count: Int)
    case noMark(asked: Int)
    case noElement(String, dimension: Int, shape: Shape)
    case notMeasured(String)
    case needsModel(String)
    case cancelled
}

extension StepProblem {
    public var description: String {
        switch self {
        case .nothingRecorded(let trace, let capture):
            "\(trace): the run recorded no operations to step through (--capture \(capture)). "
                + "Trace again with --capture all."
        case .unknownCommand(let text, let suggestions):
            "'\(text)' is no command."
                + (suggestions.isEmpty ? "" : " Did you mean \(suggestions.joined(separator: ", "))?")
                + " `help` lists them."
        case .badArgument(let command, let found, let expected):
            found.isEmpty ? "\(command): give \(expected)." : "\(command): found '\(found)', expected \(expected)."
        case .expression(let text, let position, let reason):
            "'\(text)', character \(position): \(reason). `help watch` has the grammar."
        case .noLayer(let asked, let layers):
            "there is no layer \(asked); the model has layers 0 to \(layers - 1)."
        case .noPass(let asked, let passes):
            "there is no pass \(asked); the run has " + (passes == 1 ? "pass 0 only." : "passes 0 to \(passes - 1).")
        case .noSeq(let asked, let operations):
            "there is no operation \(asked) in this pass; it has 0 to \(operations - 1)."
        case .nothingFits(let text, let suggestions):
            "no operation is called '\(text)'."
                + (suggestions.isEmpty
                    ? " `find` looks inside names." : " Did you mean \(suggestions.joined(separator: ", "))?")
        case .noInput(let asked, let count):
            count == 0
                ? "no operation made the inputs here." : "there is no input \(asked); inputs are 0 to \(count - 1)."
        case .noUser(let asked, let count):
            count == 0
                ? "no later operation reads this output." : "there is no user \(asked); users are 0 to \(count - 1)."
        case .noMark(let asked): "there is no stop \(asked); `break` lists them."
        case .noElement(let text, let dimension, let shape):
            "'\(text)' lies outside the residual stream, which has shape \(shape) here: dimension \(dimension) has "
                + "indices 0 to \(shape[dimension] - 1)."
        case .notMeasured(let text): "'\(text)' is measured at no operation of this run, so it can never be true."
        case .needsModel(let reason): "this needs the model: \(reason)"
        case .cancelled: "stopped; nothing moved."
        }
    }
}
