/// The pages that rows take in an SQLite file, by the rules of its file format.
///
/// Rows of a table keyed by number are appended: a page is filled until the next row does not fit. What does not fit a
/// page at all goes to overflow pages of its own. Source: sqlite.org/fileformat2.html, sections 1.5 and 1.6.
struct PageCount {
    /// Bytes of a page, as `TraceStore` creates files.
    static let pageBytes = 16384

    /// Bytes of a leaf page after its header.
    private static let leafBytes = pageBytes - 8
    /// The length of a row and its key, and the row's entry in the page's directory.
    private static let cellOverhead = 7
    /// A row up to this size stays in the leaf; of a larger one at least `leastLocal` bytes do.
    private static let mostLocal = pageBytes - 35
    private static let leastLocal = (pageBytes - 12) * 32 / 255 - 23
    /// Bytes of a row on one overflow page, which starts with the number of the next.
    private static let overflowBytes = pageBytes - 4

    private var whole = 0
    private var used = 0
    private var overflow = 0

    /// Pages so far, the last one by its filled part.
    var pages: Double { Double(whole + overflow) + Double(used) / Double(Self.leafBytes) }

    /// Adds a row of so many bytes.
    mutating func append(_ bytes: Int) {
        var local = bytes
        if bytes > Self.mostLocal {
            let rest = Self.leastLocal + (bytes - Self.leastLocal) % Self.overflowBytes
            local = rest <= Self.mostLocal ? rest : Self.leastLocal
            overflow += (bytes - local + Self.overflowBytes - 1) / Self.overflowBytes
        }
        let cell = local + Self.cellOverhead
        if used + cell > Self.leafBytes {
            whole += 1
            used = 0
        }
        used += cell
    }

    /// Pages of an index over `count` keys of so many bytes each. Its pages are split as they fill up; measured, they are
    /// 84 % full.
    static func index(_ count: Int, keyBytes: Int) -> Double {
        Double(count * (keyBytes + 3)) / (0.84 * Double(pageBytes))
    }

    /// Pages of a table of `count` rows of so many bytes each.
    static func table(_ count: Int, rowBytes: Int) -> Double {
        var rows = PageCount()
        for _ in 0..<count { rows.append(rowBytes) }
        return rows.pages
    }
}
