import Foundation

/// What a request asks with: the address's query, and for long values the names and texts of a JSON body.
struct LiveParameters {
    private var values: [String: String] = [:]
    let isPosted: Bool

    /// - Throws: `LiveProblem.badRequest`.
    init(of request: HTTPRequest) throws(LiveProblem) {
        isPosted = request.method == "POST"
        for item in request.query.split(separator: "&") {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decoded(parts[0]), let value = Self.decoded(parts.count > 1 ? parts[1] : "") else {
                throw .badRequest("an address that is not percent-encoded UTF-8")
            }
            // The first of a name counts.
            if values[name] == nil { values[name] = value }
        }
        guard isPosted else { return }
        guard let body = try? JSONDecoder().decode([String: String].self, from: Data(request.body)) else {
            throw .badRequest("a body that is no JSON object of texts")
        }
        values.merge(body) { $1 }
    }

    /// As forms are written, where a space is a plus.
    private static func decoded(_ text: Substring) -> String? {
        text.replacing("+", with: " ").removingPercentEncoding
    }

    func text(_ name: String) throws(LiveProblem) -> String {
        guard let value = values[name], !value.isEmpty else { throw .badRequest("no '\(name)'") }
        guard !value.utf8.contains(0) else { throw .badRequest("a zero byte in '\(name)'") }
        return value
    }

    /// - Returns: `nil` if it is not there.
    func number(_ name: String) throws(LiveProblem) -> Int? {
        guard let text = values[name] else { return nil }
        guard let number = Int(text), number >= 0 else { throw .badRequest("'\(name)' of '\(text.prefix(20))'") }
        return number
    }
}
