import Recording
import Tensors

/// What one can ask of the stepper.
public enum StepperCommand: Hashable, Sendable {
    case move(StepDirection, Int)
    case layer(StepDirection)
    case pass(StepDirection)
    case end(StepDirection)
    case goTo(String)
    /// `nil`: the text looked for last.
    case find(String?)
    case stop(StopCondition)
    case listStops
    /// `nil`: all.
    case delete(Int?)
    case run(StepDirection)
    /// `nil`: the expression asked for last.
    case reverseWatch(WatchExpression?)
    /// A number goes to that input.
    case inputs(Int?)
    case users(Int?)
    case back
    case show
    /// Empty: all of this operation.
    case print(String)
    /// A number picks the plane of a tensor of three dimensions.
    case heat(Int?)
    case plane(StepDirection)
    /// Empty: the largest element in sight.
    case why(String)
    case sql(String)
    case help(String?)
    case quit

    /// Where `c` and `rc` stop.
    public enum StopCondition: Hashable, Sendable {
        case name(String)
        case layer(Int)
        case kind(String)
        case watch(WatchExpression)
    }
}

extension StepperCommand {
    /// The words that begin a command, and what they stand for.
    static let words = [
        "next": "n", "prev": "p", "previous": "p", "continue": "c", "reverse-continue": "rc", "list": "show",
        "where": "show",
        "in": "inputs", "out": "users", "exit": "quit", "?": "help", "first": "g", "last": "G", "op": "show",
        "q": "quit",
        "i": "inputs", "u": "users", "h": "heat", "w": "why", "b": "back", "x": "print",
    ]

    static let names = [
        "n", "p", "N", "P", "[", "]", "g", "G", "goto", "find", "break", "delete", "c", "rc", "watch", "rwatch",
        "inputs",
        "users", "back", "show", "print", "heat", "why", "sql", "help", "quit", "<", ">",
    ]

    /// Reads a line as a user types it.
    ///
    /// - Returns: `nil` for an empty line or a comment.
    /// - Throws: `StepProblem` that says what was expected.
    public init?(_ line: String) throws(StepProblem) {
        let parts = line.split(maxSplits: 1, whereSeparator: \.isWhitespace)
        guard let first = parts.first, !first.hasPrefix("#") else { return nil }
        let word = Self.words[String(first)] ?? String(first)
        let rest = parts.count > 1 ? parts[1].trimmingSpaces : ""
        switch word {
        case "n": self = .move(.forward, try Self.count(rest, word))
        case "p": self = .move(.backward, try Self.count(rest, word))
        case "N", "P", "]", "[", "g", "G", "c", "rc", "back", "show", "quit", "<", ">":
            guard rest.isEmpty else { throw .badArgument(command: word, found: rest, expected: "nothing after it") }
            self = Self.plain(word)
        case "goto":
            guard !rest.isEmpty else {
                throw .badArgument(
                    command: word, found: "", expected: "a name, as in kq-3, or a number of an operation")
            }
            self = .goTo(rest)
        case "find": self = .find(rest.isEmpty ? nil : rest)
        case "break": self = rest.isEmpty ? .listStops : .stop(try Self.stop(rest))
        case "delete": self = .delete(rest == "all" ? nil : try Self.number(rest, word, "a stop's number, or all")!)
        case "watch": self = rest.isEmpty ? .listStops : .stop(.watch(try WatchExpression(rest)))
        case "rwatch": self = .reverseWatch(rest.isEmpty ? nil : try WatchExpression(rest))
        case "inputs": self = .inputs(rest.isEmpty ? nil : try Self.number(rest, word, "an input's number"))
        case "users": self = .users(rest.isEmpty ? nil : try Self.number(rest, word, "a user's number"))
        case "print": self = .print(rest)
        case "heat": self = .heat(rest.isEmpty ? nil : try Self.number(rest, word, "a plane's number"))
        case "why": self = .why(rest)
        case "sql":
            guard !rest.isEmpty else {
                throw .badArgument(command: word, found: "", expected: "a statement, as in sql SELECT * FROM run")
            }
            self = .sql(rest)
        case "help": self = .help(rest.isEmpty ? nil : rest)
        default:
            throw .unknownCommand(word, suggestions: word.count < 4 ? [] : nearest(to: word, in: Self.names))
        }
    }

    /// Commands of one word.
    private static func plain(_ word: String) -> StepperCommand {
        switch word {
        case "N": .layer(.forward)
        case "P": .layer(.backward)
        case "]": .pass(.forward)
        case "[": .pass(.backward)
        case "g": .end(.backward)
        case "G": .end(.forward)
        case "c": .run(.forward)
        case "rc": .run(.backward)
        case "back": .back
        case "<": .plane(.backward)
        case ">": .plane(.forward)
        case "show": .show
        default: .quit
        }
    }

    private static func count(_ text: String, _ command: String) throws(StepProblem) -> Int {
        guard !text.isEmpty else { return 1 }
        guard let count = Int(text), count > 0 else {
            throw .badArgument(command: command, found: text, expected: "how many operations, 1 or more")
        }
        return count
    }

    private static func number(_ text: String, _ command: String, _ expected: String) throws(StepProblem) -> Int? {
        guard let number = Int(text), number >= 0 else {
            throw .badArgument(command: command, found: text, expected: expected)
        }
        return number
    }

    private static func stop(_ text: String) throws(StepProblem) -> StopCondition {
        let parts = text.split(maxSplits: 1, whereSeparator: \.isWhitespace).map(String.init)
        switch (parts[0], parts.count) {
        case ("layer", _):
            return .layer(try number(parts.count > 1 ? parts[1] : "", "break layer", "a layer's number")!)
        case ("kind", 2): return .kind(parts[1].uppercased())
        case ("name", 2): return .name(parts[1])
        case ("kind", 1): throw .badArgument(command: "break kind", found: "", expected: "a kind, such as SOFT_MAX")
        case ("name", 1):
            throw .badArgument(command: "break name", found: "", expected: "a name, such as kq-3 or ffn_out-*")
        default: return Int(text).map { .layer($0) } ?? .name(text)
        }
    }
}

extension StepperCommand.StopCondition: CustomStringConvertible {
    public var description: String {
        switch self {
        case .name(let name): "name \(name)"
        case .layer(let layer): "layer \(layer)"
        case .kind(let kind): "kind \(kind)"
        case .watch(let expression): "watch \(expression.text)"
        }
    }

    /// The command that sets it.
    public var command: String {
        if case .watch = self { description } else { "break \(description)" }
    }
}

extension Substring {
    var trimmingSpaces: String {
        var text = self
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text.drop { $0.isWhitespace })
    }
}
