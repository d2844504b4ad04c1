/// What a trace keeps of each operation.
public struct Capture: Sendable, Hashable {
    public enum Policy: String, Sendable, CaseIterable {
        /// Tokens and logits only.
        case none
        /// And a row with shape, time and statistics for each operation.
        case stats
        /// And the values of the last token's column.
        case last
        /// And all values.
        case all
    }

    public var policy: Policy
    /// Patterns with `*` and `?` against an operation's whole name; values of others are not kept. Empty: all names.
    public var names: [String]

    public init(_ policy: Policy, names: [String] = []) {
        self.policy = policy
        self.names = names
    }

    /// Whether values of an operation of this name are kept.
    public func keepsValues(of name: String) -> Bool {
        (policy == .last || policy == .all)
            && (names.isEmpty || names.contains { Capture.matches(Array(name.utf8), Array($0.utf8)) })
    }

    /// A pattern of many `*` costs no more than name times pattern: only what the last `*` stands for is tried again.
    private static func matches(_ text: [UInt8], _ pattern: [UInt8]) -> Bool {
        var (i, j) = (0, 0)
        var star: (pattern: Int, text: Int)?
        while i < text.count {
            if j < pattern.count, pattern[j] == UInt8(ascii: "*") {
                star = (j, i)
                j += 1
            } else if j < pattern.count, pattern[j] == text[i] || pattern[j] == UInt8(ascii: "?") {
                (i, j) = (i + 1, j + 1)
            } else if let last = star {
                star = (last.pattern, last.text + 1)
                (i, j) = (last.text + 1, last.pattern + 1)
            } else {
                return false
            }
        }
        return pattern[j...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}

extension Capture: CustomStringConvertible {
    /// As recorded in `run.capture`: `all`, or `all kq-*,ffn_out-3`.
    public var description: String {
        ([policy.rawValue] + (names.isEmpty ? [] : [names.joined(separator: ",")])).joined(separator: " ")
    }
}
