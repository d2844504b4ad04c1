/// The names nearest to a mistyped one; none if all are far. A letter too many, too few or wrong is an error, and so are two
/// neighbours in the wrong order.
public func nearest(to name: String, in names: [String], limit: Int = 3) -> [String] {
    let wanted = Array(name.lowercased().utf8)
    var seen: Set<String> = []
    return names.filter { seen.insert($0).inserted }
        .map { ($0, errors(in: wanted, for: Array($0.lowercased().utf8))) }
        .filter { $0.1 <= max(2, wanted.count / 3) }
        .sorted { $0.1 < $1.1 }.prefix(limit).map(\.0)
}

/// The least errors that turn one word into the other: optimal string alignment.
private func errors(in a: [UInt8], for b: [UInt8]) -> Int {
    var (beforeLast, last) = ([Int](), Array(0...b.count))
    for i in a.indices {
        var row = [i + 1]
        for j in b.indices {
            var least = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { least = min(least, beforeLast[j - 1] + 1) }
            row.append(least)
        }
        (beforeLast, last) = (last, row)
    }
    return last[b.count]
}
