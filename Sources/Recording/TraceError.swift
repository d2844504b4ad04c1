/// A trace that cannot be written or read.
public enum TraceError: Error, Sendable, Equatable {
    case exists(path: String)
    case missing(path: String)
    case notATrace(path: String, found: String)
    case newerSchema(path: String, found: Int, supported: Int)
    case tooLarge(estimate: Int, limit: Int)
    case database(path: String, message: String)
    case noRun(path: String)
    case noPass(path: String, step: Int, steps: Int)
    case noOperation(name: String, suggestions: [String])
    case noOccurrence(name: String, asked: Int, count: Int)
    case notCaptured(name: String, capture: String)
    case badAddress(text: String, reason: String)
}

extension TraceError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .exists(let path):
            "\(path) exists already. Give another --output, --append to add a run to it, or --force to replace it."
        case .missing(let path):
            "\(path): there is no such trace. Write one with `quipu trace MODEL --prompt \"…\" --output \(path)`."
        case .notATrace(let path, let found):
            "\(path): \(found), expected an SQLite file written by `quipu trace`."
        case .newerSchema(let path, let found, let supported):
            "\(path): schema version \(found), this quipu reads up to \(supported). Use a newer quipu."
        case .tooLarge(let estimate, let limit):
            "the trace would take about \(ByteSize(estimate)), more than --max-size \(ByteSize(limit)). "
                + "Raise the limit, or capture less (--capture last, --capture stats, --only NAME)."
        case .database(let path, let message):
            "\(path): \(message)"
        case .noRun(let path):
            "\(path): the trace holds no run."
        case .noPass(let path, let step, let steps):
            "\(path): there is no step \(step); the run has steps 0 to \(steps - 1)."
        case .noOperation(let name, let suggestions):
            "there is no operation '\(name)' in this trace."
                + (suggestions.isEmpty ? "" : " Did you mean \(suggestions.joined(separator: ", "))?")
                + " `quipu ops` lists them."
        case .noOccurrence(let name, let asked, let count):
            "'\(name)' occurs \(count) times in a pass, as #0 to #\(count - 1); there is no #\(asked)."
        case .notCaptured(let name, let capture):
            "the values of '\(name)' were not captured (--capture \(capture)). "
                + "Trace again with --capture all, or with an --only that names it."
        case .badAddress(let text, let reason):
            "'\(text)' is no tensor address: \(reason). Write NAME, NAME[i0,i1,…] or NAME#k[a:b,:], as in 'Qcur-3[0:8,4]'."
        }
    }
}

/// A number of bytes in words, such as `52.3 MiB`.
public struct ByteSize: CustomStringConvertible, Sendable {
    public let bytes: Int

    public init(_ bytes: Int) { self.bytes = bytes }

    public var description: String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        var value = Double(bytes)
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        if unit == 0 { return "\(bytes) B" }
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }
}
