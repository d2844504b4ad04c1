import Foundation

/// What the page asks to be run: a prompt, or a trace again with changes.
struct LiveRun: Decodable, Sendable {
    var prompt: String?
    var generate: Int?
    var temperature: Double?
    var topK: Int?
    var topP: Double?
    var seed: UInt64?
    /// The trace that is repeated.
    var from: Int?
    var changes: [LiveChange]?
}

/// A change as `trace` takes it.
struct LiveChange: Decodable, Sendable {
    let kind: String
    let target: String
    /// A number; of a patch, the number of the trace that it is from; of a weight, nothing.
    let spec: String

    /// As a person would type it.
    var shown: String { "--\(kind) '\(target)\(kind == "weight" ? "" : "=\(spec)")'" }

    /// One word, so that no text of the page can be taken for another option.
    ///
    /// - Parameter path: of a trace, by its number.
    func word(_ path: (Int) throws(LiveProblem) -> String) throws(LiveProblem) -> String {
        guard !target.utf8.contains(0), !spec.utf8.contains(0) else { throw .badRequest("a zero byte in a change") }
        switch kind {
        case "set", "scale": return "--\(kind)=\(target)=\(spec)"
        case "weight": return "--weight=\(target)"
        case "patch":
            guard let id = Int(spec) else { throw .badRequest("a patch from '\(spec.prefix(20))'") }
            return "--patch=\(target)=\(try path(id))"
        default: throw .badRequest("a change of kind '\(kind.prefix(20))'")
        }
    }
}

/// Why the page gets no answer.
enum LiveProblem: Error, CustomStringConvertible {
    case noTrace(Int)
    case noModel
    case badRequest(String)
    case busy
    case failed(String)

    var description: String {
        switch self {
        case .noTrace(let id): "there is no trace \(id) here"
        case .noModel: "the model of this trace is not where it was, so nothing can be run"
        case .badRequest(let found): "found \(found), which this page does not ask for"
        case .busy: "two runs are under way already; wait for one, or stop it"
        case .failed(let reason): reason
        }
    }

    var status: Int {
        switch self {
        case .noTrace: 404
        case .noModel, .failed: 422
        case .badRequest: 400
        case .busy: 429
        }
    }
}

extension OwnProgram.Outcome {
    /// What the program said when it failed, without its name.
    var complaint: String {
        let line = errors.split(separator: "\n").last { $0.hasPrefix("quipu: ") || $0.hasPrefix("Error: ") }
        guard let line else { return "the program ended with status \(status)" }
        return String(line.drop { $0 != ":" }.dropFirst(2))
    }
}
