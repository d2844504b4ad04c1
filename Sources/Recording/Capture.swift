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
            && (names.isEmpty || names.contains { Capture.matches(Array(name.utf8)[...], Array($0.utf8)[...]) })
    }

    private static func matches(_ text: ArraySlice<UInt8>, _ pattern: ArraySlice<UInt8>) -> Bool {
        guard let first = pattern.first else { return text.isEmpty }
        if first == UInt8(ascii: "*") {
            return (text.startIndex...text.endIndex).contains { matches(text[$0...], pattern.dropFirst()) }
        }
        guard let next = text.first, first == next || first == UInt8(ascii: "?") else { return false }
        return matches(text.dropFirst(), pattern.dropFirst())
    }
}

extension Capture: CustomStringConvertible {
    /// As recorded in `run.capture`: `all`, or `all kq-*,ffn_out-3`.
    public var description: String {
        ([policy.rawValue] + (names.isEmpty ? [] : [names.joined(separator: ",")])).joined(separator: " ")
    }
}
