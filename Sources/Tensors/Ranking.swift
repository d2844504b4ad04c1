/// Orders of numbers that may be none: what a broken weight makes of others is NaN, which is neither more nor less.
extension BinaryFloatingPoint {
    /// Whether this goes ahead of `other` in a ranking: the larger first, NaN last.
    @inlinable public func ranksBefore(_ other: Self) -> Bool { self > other || (other.isNaN && !self.isNaN) }

    /// Whether this goes ahead of `other` in a list of what is wrong: NaN first, then the larger.
    @inlinable public func isWorse(than other: Self) -> Bool { self > other || (self.isNaN && !other.isNaN) }
}

extension Sequence {
    /// By a number of each, what is worst first; of equals, the order that they had.
    public func sortedWorstFirst<Number: BinaryFloatingPoint>(by number: (Element) -> Number) -> [Element] {
        enumerated().map { (offset: $0.offset, element: $0.element, number: number($0.element)) }.sorted { a, b in
            a.number.isWorse(than: b.number) || (!b.number.isWorse(than: a.number) && a.offset < b.offset)
        }.map(\.element)
    }
}

extension Sequence where Element: BinaryFloatingPoint {
    /// The largest of those that are numbers; `nil` if none is.
    @inlinable public func largestNumber() -> Element? { lazy.filter { !$0.isNaN }.max() }

    /// The worst of errors: NaN if one of them is, else the largest.
    @inlinable public func worst() -> Element? { self.max { $1.isWorse(than: $0) } }
}
