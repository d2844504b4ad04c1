import LlamaModel
import Tensors

/// A change to which keys and values the query heads of a model read.
public enum HeadChange: Sendable, Equatable {
    /// Neighbouring KV heads become one, the mean of them, until so many are left. What GQA-trained models start from:
    /// Ainslie et al., "GQA" (2023), section 2.1.
    case pool(to: Int)
    /// Each KV head is copied until there are so many; nothing that is computed changes.
    case expand(to: Int)
    /// Two KV heads take each other's place.
    case swap([Pair])
    /// A query head reads another KV head: `(query head, KV head)`.
    case remap([Pair])
    /// Heads of a layer give nothing.
    case drop([Dropped])

    /// Two numbers of heads, as in `--swap 0:1`.
    public struct Pair: Sendable, Equatable {
        public let first: Int
        public let second: Int

        public init(_ first: Int, _ second: Int) { (self.first, self.second) = (first, second) }
    }

    public struct Dropped: Sendable, Equatable {
        public enum Heads: Sendable, Equatable {
            case query(Int)
            /// With it, the query heads that read it.
            case kv(Int)
            case all
        }

        public let layer: Int
        public let heads: Heads

        public init(layer: Int, heads: Heads) { (self.layer, self.heads) = (layer, heads) }
    }
}

extension HeadChange {
    /// What the change needs of a network: that heads are rows of a matrix, whatever is done to them next; and for a mean of
    /// heads, that this is linear.
    public var analysis: Analysis {
        let heads = [Analysis.Need.result(.pattern), .headByHead(.key), .headByHead(.value)]
        return switch self {
        case .pool: Analysis("gqa what-if --pool", needs: heads + [.linear(.key), .linear(.value)])
        case .expand, .swap, .remap, .drop: Analysis("gqa what-if", needs: heads)
        }
    }
}

extension HeadChange: CustomStringConvertible {
    public var description: String {
        switch self {
        case .pool(let count): "pool to \(count) KV head\(count == 1 ? "" : "s")"
        case .expand(let count): "expand to \(count) KV heads"
        case .swap(let pairs):
            "swap KV heads " + pairs.map { "\($0.first) and \($0.second)" }.joined(separator: ", ")
        case .remap(let pairs):
            pairs.map { "query head \($0.first) reads KV head \($0.second)" }.joined(separator: ", ")
        case .drop(let dropped): "drop " + dropped.map(\.description).joined(separator: ", ")
        }
    }
}

extension HeadChange.Dropped: CustomStringConvertible {
    public var description: String {
        switch heads {
        case .query(let head): "query head \(head) of layer \(layer)"
        case .kv(let head): "KV head \(head) of layer \(layer)"
        case .all: "all heads of layer \(layer)"
        }
    }
}

/// A change of heads that a model cannot have.
public enum HeadProblem: InputProblem, Sendable, Equatable {
    case count(file: String, change: HeadChange, kvHeads: Int, possible: [Int])
    case noHead(file: String, change: HeadChange, kind: String, found: Int, count: Int)
    case noLayer(file: String, change: HeadChange, found: Int, count: Int)
    case same(change: HeadChange)
}

extension HeadProblem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .count(let file, let change, let kvHeads, let possible):
            "\(file): cannot \(change): the model has \(kvHeads), "
                + (possible.isEmpty
                    ? "and there is no such number for it."
                    : "which can become \(possible.map(\.description).joined(separator: ", ")).")
        case .noHead(let file, let change, let kind, let found, let count):
            "\(file): cannot \(change): there is no \(kind) head \(found); the model has \(kind) heads 0 to \(count - 1)."
        case .noLayer(let file, let change, let found, let count):
            "\(file): cannot \(change): there is no layer \(found); the model has layers 0 to \(count - 1)."
        case .same(let change):
            "cannot \(change): that is one head. Name two."
        }
    }
}
