import Recording
import Tensors
import Tracing

/// What a command led to.
public enum StepperAnswer: Sendable {
    /// The location may be another one now.
    case location(StepperNote?)
    case note(StepperNote)
    case inputs([StepInput])
    case users([StepUser])
    case values(RecordedValues, [Range<Int>], of: RecordedOperation)
    case heat
    case why(ElementProvenance, in: Provenance)
    case sql(String)
    case stops([StepperCommand.StopCondition])
    case help(String?)
    case quit
}

/// Where an input of an operation comes from.
public struct StepInput: Sendable {
    public enum Origin: Sendable {
        case operation(RecordedOperation)
        case weight(RecordedWeight)
        /// An input of the run, or the memory of the cache.
        case leaf
    }

    public let slot: Int
    public let name: String
    public let shape: Shape
    public let origin: Origin
}

/// An operation that reads this one's output.
public struct StepUser: Sendable {
    public let slot: Int
    public let operation: RecordedOperation
}

/// What a command has to say in a line.
public enum StepperNote: Sendable, Hashable {
    case atStart, atEnd
    case resumed
    case stopped(StepperCommand.StopCondition)
    case noStopMet(StepDirection, stops: Int)
    /// A reading of the expression here and where it was last known, if it has one.
    case became(WatchExpression, now: String?, before: String?, at: String?)
    case neverBefore(WatchExpression)
    case set(number: Int, StepperCommand.StopCondition, matches: Int?)
    case deleted(Int)
    case found(String, fromStart: Bool)
    case onlyPass
    case noPlanes
    case nothingBack
}

extension StepperNote: CustomStringConvertible {
    public var description: String {
        switch self {
        case .atStart: "This is the first operation of the run; nothing comes before it."
        case .atEnd: "This is the last operation of the run; nothing comes after it."
        case .resumed: "Where you left it. g goes to the first operation."
        case .stopped(let stop): "Stopped: \(stop)"
        case .noStopMet(let direction, let stops):
            "The \(direction == .forward ? "end" : "start"): "
                + (stops == 0 ? "no stop is set (break, watch). " : "no stop was met. ") + "`back` returns."
        case .became(let expression, let now, let before, let location):
            "\(expression.text) came true here" + (now.map { ": \($0)" } ?? "")
                + (before.map { ", after \($0)" + (location.map { " at \($0)" } ?? "") } ?? "")
                + ". `rwatch` again looks further back."
        case .neverBefore(let expression): "\(expression.text) did not come true before this operation. Nothing moved."
        case .set(let number, let stop, let matches):
            "Stop \(number): \(stop)" + (matches.map { " (\($0) in this pass)" } ?? "")
                + ". c goes on to it, rc back to it."
        case .deleted(let count): count == 1 ? "1 stop deleted." : "\(count) stops deleted."
        case .found(let text, let fromStart):
            "Found '\(text)'" + (fromStart ? ", going round past the end" : "") + ". `find` alone looks for the next."
        case .onlyPass: "There is no other pass in that direction."
        case .noPlanes: "This tensor has one plane only."
        case .nothingBack: "There is nowhere to go back to yet."
        }
    }
}
