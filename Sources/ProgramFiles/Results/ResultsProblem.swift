import Tensors

/// A file of results that cannot be written, gone on with, or united with others.
public enum ResultsProblem: InputProblem, Equatable {
    /// `isResults` is whether it could be gone on with.
    case exists(path: String, isResults: Bool)
    case notResults(path: String)
    case format(path: String, found: Int)
    case busy(path: String)
    case otherWork(path: String, what: String, found: String, wanted: String)
    case otherPart(path: String, found: String, expected: String)
    case damaged(path: String, line: Int, reason: String)
    // of merging
    case outputExists(path: String)
    case notOneWork(String, String, what: String, first: String, second: String)
    case notAPart(path: String)
    case partTwice(part: String, paths: [String])
    case partsMissing([String])
    case unfinished(path: String, part: String, rows: Int, expected: Int)
}

extension ResultsProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .exists(let path, true):
            "\(path): the file exists. --resume goes on with it, --force replaces it."
        case .exists(let path, false):
            "\(path): the file exists and is no file of results. Name another --output."
        case .notResults(let path):
            "\(path): found something else, expected a file of results: lines of JSON that begin with "
                + "{\"command\":… and hold \"quipu_results\". It was left as it is; name another file."
        case .format(let path, let found):
            "\(path): found results in format \(found), expected \(ResultsHeader.format). "
                + "They were written by another version of quipu; use that one, or begin anew with --force."
        case .busy(let path):
            "\(path): another run is writing it. Wait for its end, or name another --output."
        case .otherWork(let path, let what, let found, let wanted):
            "\(path): found rows of other work: \(what) is \(found) there, and this run has \(wanted). "
                + "Give what was given there, or name another --output."
        case .otherPart(let path, let found, let expected):
            "\(path): found \(found), expected \(expected). Give the same --part, or name another --output."
        case .damaged(let path, let line, let reason):
            "\(path): line \(line) is damaged: \(reason). Delete the line and --resume computes it again, or begin anew with --force."
        case .outputExists(let path):
            "\(path): the file exists. Name another OUT; --force replaces a file of results."
        case .notOneWork(let one, let other, let what, let first, let second):
            "\(one) and \(other) are not of one work: \(what) is \(first) in the first, and \(second) in the second."
        case .notAPart(let path):
            "\(path): found the results of a whole, expected a part of one, made with --part. There is nothing to unite it with."
        case .partTwice(let part, let paths):
            "part \(part) is there twice, in \(paths.joined(separator: " and in ")). Name one of the two."
        case .partsMissing(let parts):
            "\(parts.count == 1 ? "part" : "parts") \(parts.joined(separator: ", ")) "
                + "\(parts.count == 1 ? "is" : "are") missing. Name the files of all parts."
        case .unfinished(let path, let part, let rows, let expected):
            "\(path): found \(rows) of the \(expected) rows of part \(part). Finish it with --resume first."
        }
    }
}
