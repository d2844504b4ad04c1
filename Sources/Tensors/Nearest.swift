/// The names nearest to a mistyped one, by edit distance; none if all are far.
public func nearest(to name: String, in names: [String], limit: Int = 3) -> [String] {
    func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                (diagonal, row[j + 1]) = (row[j + 1], min(row[j + 1] + 1, row[j] + 1, diagonal + (x == y ? 0 : 1)))
            }
        }
        return row[b.count]
    }
    let wanted = Array(name.lowercased().utf8)
    var seen: Set<String> = []
    return names.filter { seen.insert($0).inserted }
        .map { ($0, distance(wanted, Array($0.lowercased().utf8))) }
        .filter { $0.1 <= max(2, wanted.count / 3) }
        .sorted { $0.1 < $1.1 }.prefix(limit).map(\.0)
}
