import GGUF
import Tensors

/// A trace that cannot be written or read.
public enum TraceError: InputProblem, Sendable, Equatable {
    case exists(path: String)
    case leftover(path: String)
    case missing(path: String)
    case notATrace(path: String, found: String)
    case model(path: String)
    case newerSchema(path: String, found: Int, supported: Int)
    case tooLarge(estimate: Int, limit: Int)
    case database(path: String, message: String)
    case corrupt(path: String)
    case noRun(path: String)
    case noSuchRun(path: String, asked: Int, runs: [Int])
    case noPass(path: String, step: Int, steps: Int)
    case noOperation(name: String, suggestions: [String])
    case noOccurrence(name: String, asked: Int, count: Int)
    case noRole(path: String, role: String, layer: Int?)
    case notCaptured(name: String, capture: String)
    case noMatch(pattern: String, suggestions: [String])
    case noValues(pattern: String, matching: [String], capture: String)
    case wholeOnly(address: String)
    case unsafeName(path: String, step: Int, seq: Int)
    case emptyCache(name: String)
    case damaged(TraceDamage)
    case badAddress(text: String, reason: String)
    case outside(address: String, dimension: Int, shape: Shape)
    case severalElements(address: String, shape: Shape)
    case unwritable(path: String, reason: String)
    case sameTrace(path: String)
    case unrecoveredLog(path: String)
    case foreignJournal(path: String)
    case notReading(path: String)
    case severalStatements(path: String)
}

extension TraceError: CustomStringConvertible {
    public var description: String { words.onOneLine }

    private var words: String {
        switch self {
        case .exists(let path):
            "\(path) exists already. Give another --output, --append to add a run to it, or --force to replace it."
        case .leftover(let path):
            "\(path) exists already, without a table in it, as a run leaves it that was killed as it began. "
                + "Give --force to replace it, or --append to go on with it."
        case .missing(let path):
            "\(path): there is no such trace. Write one with `quipu trace MODEL --prompt \"…\" --output \(path)`."
        case .notATrace(let path, let found):
            "\(path): found \(found), expected an SQLite file written by `quipu trace`. Nothing was changed."
        case .model(let path):
            "\(path): found a GGUF model, expected a trace of one. Record it with `quipu trace \(path) --prompt \"…\"`. "
                + "Nothing was changed."
        case .newerSchema(let path, let found, let supported):
            "\(path): schema version \(found), this quipu reads up to \(supported). Use a newer quipu."
        case .tooLarge(let estimate, let limit):
            "the trace would take about \(ByteSize(estimate)), more than --max-size \(ByteSize(limit)). "
                + "Raise the limit, or capture less (--capture last, --capture stats, --only NAME)."
        case .database(let path, let message):
            "\(path): \(message)"
        case .corrupt(let path):
            "\(path): the file was cut off or damaged after it was written; SQLite cannot read it as a database. "
                + "Copy it again, or trace again."
        case .noRun(let path):
            "\(path): the trace holds no run."
        case .noSuchRun(let path, let asked, let runs):
            "\(path): there is no run \(asked); the trace has \(runs.count == 1 ? "run" : "runs") "
                + runs.map(String.init).joined(separator: ", ") + "."
        case .noPass(let path, let step, let steps):
            "\(path): there is no step \(step); the run has "
                + (steps == 0 ? "none yet." : steps == 1 ? "step 0 only." : "steps 0 to \(steps - 1).")
        case .noOperation(let name, let suggestions):
            "there is no operation '\(name)' in this trace."
                + (suggestions.isEmpty ? "" : " Did you mean \(suggestions.joined(separator: ", "))?")
                + " `quipu ops` lists them."
        case .noOccurrence(let name, let asked, let count):
            count == 1
                ? "'\(name)' occurs once in a pass, as #0; there is no #\(asked)."
                : "'\(name)' occurs \(count) times in a pass, as #0 to #\(count - 1); there is no #\(asked)."
        case .noRole(let path, let role, let layer):
            "\(path): the run has no operation that is the \(role)"
                + (layer.map { " of layer \($0)" } ?? "")
                + ". `quipu sql 'SELECT DISTINCT role FROM op'` lists what it has."
        case .notCaptured(let name, let capture):
            "the values of '\(name)' were not captured (--capture \(capture)). "
                + "Trace again with --capture all, or with an --only that names it."
        case .noMatch(let pattern, let suggestions):
            "--only '\(pattern)' names no operation, so nothing would be kept for it."
                + (suggestions.isEmpty ? "" : " Did you mean \(suggestions.joined(separator: ", "))?")
                + " `quipu graph` lists the names; * stands for anything, as in 'ffn_out-*'."
        case .damaged(let damage): damage.description
        case .noValues(let pattern, let matching, let capture):
            matching.isEmpty
                ? "'\(pattern)' fits no operation of this trace. `quipu ops` lists them."
                : "'\(pattern)' fits \(matching.prefix(3).joined(separator: ", "))\(matching.count > 3 ? ", …" : ""), of which "
                    + "the trace holds no values of their own (--capture \(capture)). Trace again with more, or name a view exactly."
        case .wholeOnly(let address):
            "'\(address)': whole tensors are exported; leave the brackets out, and index the array."
        case .unsafeName(let path, let step, let seq):
            "\(path): operation \(seq) of step \(step) has a name that no file inside an archive may have. Name the others."
        case .emptyCache(let name):
            "'\(name)' has no values at this step: it is the cache before anything was written to it. "
                + "A later --step has some."
        case .outside(let address, let dimension, let shape):
            "'\(address)' lies outside the tensor of shape \(shape): dimension \(dimension) has indices 0 to "
                + "\(shape[dimension] - 1). A range a:b stops before b."
        case .severalElements(let address, let shape):
            "'\(address)' names more than one element of the tensor of shape \(shape). "
                + "Give an index for each dimension, as in '[0\(String(repeating: ",0", count: shape.significant.count - 1))]'."
        case .sameTrace(let path):
            "\(path) is the output itself; name the traces to add to it."
        case .unwritable(let path, let reason):
            "\(path) cannot be written: \(reason). Give another --output."
        case .unrecoveredLog(let path):
            "\(path): the run was cut off, and its last writes are in \(path)-wal or \(path)-journal, which SQLite can only "
                + "read where it may write. Copy the files to a folder that you can write to."
        case .foreignJournal(let path):
            "\(path)-journal: found the journal of several databases at once, expected one of this trace alone. Quipu makes no "
                + "such journal; remove it if you do not know where it is from."
        case .notReading(let path):
            "\(path): the statement would change the trace; this command only reads (SELECT, WITH, EXPLAIN). "
                + "Nothing was changed. To change a trace, use sqlite3."
        case .severalStatements(let path):
            "\(path): more than one statement was given; give one at a time. Nothing was run."
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
