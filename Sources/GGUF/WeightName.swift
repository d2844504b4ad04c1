/// What the name of a weight says: `blk.3.attn_q.weight` is layer 3, role `attn_q`; `token_embd.weight` has no layer.
public struct WeightName: Sendable, Equatable {
    /// `nil` outside the blocks.
    public let layer: Int?
    /// `attn_q`, `ffn_down`, …; biases end in `.bias`.
    public let role: String

    /// Whether the tensor holds a matrix for each expert, one behind the other.
    public var holdsExperts: Bool { role.hasSuffix("_exps") }

    /// Takes a tensor's name apart; any text is a name.
    public init(_ name: String) {
        var parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        var layer: Int?
        if parts.count > 2, parts[0] == "blk", let number = Int(parts[1]) {
            layer = number
            parts.removeFirst(2)
        }
        if parts.count > 1, parts.last == "weight" { parts.removeLast() }
        self.layer = layer
        role = parts.joined(separator: ".")
    }
}
