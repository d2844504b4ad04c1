/// A piece of a word while it is being merged.
struct Symbol: Sendable {
    /// Its number in the table of texts; `unknown` if no such text exists.
    var id: Int32
    /// The bytes of the word it stands for; empty once it has been merged into its left neighbour.
    var start: Int32
    var end: Int32

    static let unknown: Int32 = -1
    var range: Range<Int> { Int(start)..<Int(end) }

    /// Characters by what their first byte claims, cut off at the end.
    static func characters(of word: [UInt8], in texts: ByteStringTable) -> [Symbol] {
        var symbols: [Symbol] = []
        var start = 0
        while start < word.count {
            let end = min(start + LenientText.length(startingWith: word[start]), word.count)
            let id = texts.id(of: word.span.extracting(start..<end)).map { Int32($0) } ?? unknown
            symbols.append(Symbol(id: id, start: Int32(start), end: Int32(end)))
            start = end
        }
        return symbols
    }
}

/// What may be merged: the one thing in which SentencePiece and byte-pair encoding differ.
protocol MergeRule {
    /// What becomes of two neighbours.
    ///
    /// - Parameter word: the bytes that the ranges of the symbols refer to.
    /// - Returns: the text they merge to and its cost (the cheapest merge goes first); `nil` if they never merge.
    func merge(_ left: Symbol, _ right: Symbol, in word: [UInt8]) -> (id: Int32, cost: Double)?
}

/// Merges neighbours, cheapest pair first and of equals the leftmost, until no pair is left that may merge.
///
/// A heap of candidates and a chain of symbols: n symbols take O(n log n) steps. Candidates whose symbols have changed
/// since are not removed from the heap but skipped when they come up.
struct MergeLoop {
    /// The symbols of the current word; merged ones are empty.
    private(set) var symbols: [Symbol] = []
    private var previous: [Int32] = []
    private var next: [Int32] = []
    private var heap = Heap()

    /// The symbols that are left.
    var remaining: [Symbol] { symbols.filter { $0.start < $0.end } }

    /// - Parameters:
    ///   - initial: the word's symbols from left to right.
    ///   - onMerge: called after every merge with left and right part, the result and the cost.
    mutating func run(
        _ initial: [Symbol], of word: [UInt8], by rule: some MergeRule,
        onMerge: ((_ left: Symbol, _ right: Symbol, _ result: Symbol, _ cost: Double) -> Void)? = nil
    ) {
        symbols = initial
        let count = Int32(initial.count)
        previous = (0..<count).map { $0 - 1 }
        next = (0..<count).map { $0 + 1 < count ? $0 + 1 : -1 }
        heap.removeAll()
        for right in stride(from: 1, to: count, by: 1) { consider(right - 1, right, word, rule) }

        while let candidate = heap.removeFirst() {
            let left = symbols[Int(candidate.left)]
            let right = symbols[Int(candidate.right)]
            // A symbol only ever grows to the right, or becomes empty: with equal ends nothing has changed.
            guard left.start < left.end, left.end == right.start, right.end == candidate.end else { continue }

            let result = Symbol(id: candidate.id, start: left.start, end: right.end)
            symbols[Int(candidate.left)] = result
            symbols[Int(candidate.right)].end = right.start
            let following = next[Int(candidate.right)]
            next[Int(candidate.left)] = following
            if following >= 0 { previous[Int(following)] = candidate.left }
            onMerge?(left, right, result, candidate.cost)

            consider(previous[Int(candidate.left)], candidate.left, word, rule)
            consider(candidate.left, following, word, rule)
        }
    }

    private mutating func consider(_ left: Int32, _ right: Int32, _ word: [UInt8], _ rule: some MergeRule) {
        guard left >= 0, right >= 0 else { return }
        guard let merge = rule.merge(symbols[Int(left)], symbols[Int(right)], in: word) else { return }
        heap.insert(
            Candidate(cost: merge.cost, left: left, right: right, end: symbols[Int(right)].end, id: merge.id))
    }
}

/// Two neighbours that may merge.
private struct Candidate {
    let cost: Double
    /// Indices of the symbols.
    let left: Int32
    let right: Int32
    /// Where the right one ended when this was found.
    let end: Int32
    /// What they merge to.
    let id: Int32

    func comes(before other: Candidate) -> Bool {
        cost < other.cost || (cost == other.cost && left < other.left)
    }
}

/// A binary heap with the first candidate at the root.
private struct Heap {
    private var items: [Candidate] = []

    mutating func removeAll() { items.removeAll(keepingCapacity: true) }

    mutating func insert(_ candidate: Candidate) {
        items.append(candidate)
        var child = items.count - 1
        while child > 0, items[child].comes(before: items[(child - 1) / 2]) {
            items.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func removeFirst() -> Candidate? {
        guard let last = items.popLast() else { return nil }
        guard let first = items.first else { return last }
        items[0] = last
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < items.count else { break }
            if child + 1 < items.count, items[child + 1].comes(before: items[child]) { child += 1 }
            guard items[child].comes(before: items[parent]) else { break }
            items.swapAt(child, parent)
            parent = child
        }
        return first
    }
}
