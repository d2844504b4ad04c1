/// Where to look in a grid for codes that are not a point of it: the points at the smallest distances.
struct GridNeighbours: Sendable {
    let grid: Grid
    /// Codes of a point: eight of 2 bits or four of 3.
    let length: Int
    /// The codes of each point, one a lane.
    private let points: [SIMD8<Int8>]
    /// The odd numbers that the codes of each point stand for; 0 where points have four.
    let odd: [SIMD8<Float>]
    /// By packed codes: the index of a point, or for codes that are no point the complement of an offset into `lists`.
    private let entries: [Int32]
    /// Lists of indices, the nearest first, then in order; before each its length.
    private let lists: [UInt16]

    static let iq2xxs = GridNeighbours(.iq2xxs, length: 8, distances: 2)
    static let iq2xs = GridNeighbours(.iq2xs, length: 8, distances: 2)
    static let iq2s = GridNeighbours(.iq2s, length: 8, distances: 1)
    static let iq3xxs = GridNeighbours(.iq3xxs, length: 4, distances: 2)
    static let iq3s = GridNeighbours(.iq3s, length: 4, distances: 3)
    static let iq1 = GridNeighbours(.iq1, length: 8, distances: 3)

    /// - Parameter distances: how many different distances count as near. Source: ggml `iq2xs_init_impl`,
    ///   `iq3xs_init_impl` (`nwant`).
    private init(_ grid: Grid, length: Int, distances: Int) {
        self.grid = grid
        self.length = length
        let (bits, top): (Int, Int8) = length == 8 ? (2, 2) : (3, 7)
        func unpacked(_ packed: Int) -> SIMD8<Int8> {
            var codes = SIMD8<Int8>()
            for i in 0..<length { codes[i] = Int8(packed >> (bits * i) & (1 << bits - 1)) }
            return codes
        }
        let points = grid.codes.map { unpacked(Int($0)) }
        odd = points.map { point in
            var values = SIMD8<Float>()
            for i in 0..<length { values[i] = Float(2 * Int32(point[i]) + 1) }
            return values
        }
        var entries = [Int32](repeating: 0, count: 1 << (bits * length))
        for (index, packed) in grid.codes.enumerated() { entries[Int(packed)] = Int32(index) + 1 }
        var lists: [UInt16] = []
        for packed in entries.indices {
            guard entries[packed] == 0 else {
                entries[packed] -= 1
                continue
            }
            let codes = unpacked(packed)
            guard (0..<length).allSatisfy({ codes[$0] <= top }) else { continue }
            entries[packed] = ~Int32(lists.count)
            let near = Self.nearest(codes, points, distances: distances)
            lists.append(UInt16(near.count))
            lists += near
        }
        (self.points, self.entries, self.lists) = (points, entries, lists)
    }

    private static func nearest(_ codes: SIMD8<Int8>, _ points: [SIMD8<Int8>], distances: Int) -> [UInt16] {
        // At most eight times 2^2 or four times 7^2.
        var found = [[UInt16]](repeating: [], count: 197)
        for index in points.indices {
            let difference = points[index] &- codes
            let squares = difference &* difference
            var distance = 0
            for i in 0..<8 { distance += Int(squares[i]) }
            found[distance].append(UInt16(index))
        }
        return found.filter { !$0.isEmpty }.prefix(distances).flatMap { $0 }
    }

    /// The index of the point with these codes, if there is one.
    @inline(__always)
    func index(_ packed: UInt16) -> Int? {
        let entry = entries[Int(packed)]
        return entry < 0 ? nil : Int(entry)
    }

    /// The indices to consider instead of codes that are no point.
    @inline(__always)
    func near(_ packed: UInt16) -> ArraySlice<UInt16> {
        let start = Int(~entries[Int(packed)])
        return lists[start + 1..<start + 1 + Int(lists[start])]
    }

    /// The point near to these codes whose values, times `scale`, have the least weighted square distance from `x`.
    /// Source: ggml `iq2_find_best_neighbour`, `iq3_find_best_neighbour`.
    func nearest(_ packed: UInt16, _ x: SIMD8<Float>, weights: SIMD8<Float>, scale: Float) -> Int {
        let start = Int(~entries[Int(packed)])
        var (best, found) = (Float.greatestFiniteMagnitude, Int(lists[start + 1]))
        for offset in start + 1..<start + 1 + Int(lists[start]) {
            let candidate = Int(lists[offset])
            let difference = scale * odd[candidate] - x
            let terms = weights * difference * difference
            // In order.
            let firstHalf = ((terms[0] + terms[1]) + terms[2]) + terms[3]
            let error = (((firstHalf + terms[4]) + terms[5]) + terms[6]) + terms[7]
            if error < best { (best, found) = (error, candidate) }
        }
        return found
    }

    /// The codes of a point, one a lane.
    @inline(__always)
    func codes(_ index: Int) -> SIMD8<Int8> { points[index] }

    /// Code i of a point.
    @inline(__always)
    func code(_ index: Int, _ i: Int) -> Int8 { points[index][i] }
}
