import Tensors

/// A place in the order of evaluation from which on all follows from a few values made before it.
public struct Cut: Sendable, Hashable {
    /// The first node after it.
    public let start: Int
    /// The nodes before it that are read after it.
    public let values: [Int]
}

extension Graph {
    /// The cuts after each result of a part; after the layers' outputs, say, where no more than the stream goes on.
    ///
    /// A cache is no value: there is no cut where what was written before is read after.
    public func cuts(after part: NodeRole.Part) -> [Cut] {
        let caches = cacheSpans
        return nodes.compactMap { node in
            guard node.role.result == part, node.index + 1 < nodes.count else { return nil }
            let start = node.index + 1
            let values = values(readFrom: start)
            guard values.allSatisfy({ origin(of: $0) != nil }), !caches.contains(where: { $0.contains(start) }) else {
                return nil
            }
            return Cut(start: start, values: values)
        }
    }

    /// As many of these cuts as take no more than so many bytes for their values, evenly spread.
    public func cuts(after part: NodeRole.Part, bytes: Int) -> [Cut] {
        let all = cuts(after: part)
        let size = Set(all.flatMap(\.values)).reduce(0) { $0 + nodes[$1].layout.byteCount }
        guard bytes > 0 else { return [] }
        let every = max(1, (size + bytes - 1) / bytes)
        return all.enumerated().filter { ($0.offset + 1) % every == 0 }.map(\.element)
    }

    /// Of each cache, the nodes that may not be parted: from the one after the first that reads or writes it to the last.
    private var cacheSpans: [Range<Int>] {
        leaves.indices.filter { leaves[$0].role == .cache }.compactMap { leaf in
            guard let first = readers.ofLeaves[leaf].first, let last = readers.ofLeaves[leaf].last else { return nil }
            return first + 1..<last + 1
        }
    }
}
