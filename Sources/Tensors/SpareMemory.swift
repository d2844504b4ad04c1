import Synchronization

/// Memory of buffers that are gone, kept for the next ones: an evaluation makes and drops thousands of small ones a
/// second, and the system's allocator takes long over memory that has to be aligned.
///
/// Unsafe part: what is taken is the taker's alone until given back, with the size it was taken for.
enum SpareMemory {
    /// Sizes are rounded up to powers of two, from this to the largest kept.
    private static let smallest = 256
    private static let largest = 64 << 10
    /// Bytes kept of each size.
    private static let limit = 2 << 20

    /// By size, from the smallest.
    private static let kept = Mutex(
        [[Block]](repeating: [], count: largest.trailingZeroBitCount - smallest.trailingZeroBitCount + 1))

    private struct Block: @unchecked Sendable {
        let start: UnsafeMutableRawPointer
    }

    static func take(_ byteCount: Int) -> UnsafeMutableRawPointer {
        if byteCount > largest { return LargeMemory.take(byteCount) }
        let sizeClass = sizeClass(of: byteCount)
        return kept.withLock { $0[sizeClass].popLast() }?.start
            ?? .allocate(byteCount: smallest << sizeClass, alignment: Buffer.alignment)
    }

    static func giveBack(_ start: UnsafeMutableRawPointer, _ byteCount: Int) {
        if byteCount > largest { return LargeMemory.giveBack(start, byteCount) }
        let sizeClass = sizeClass(of: byteCount)
        let isKept = kept.withLock { kept in
            guard kept[sizeClass].count < limit / (smallest << sizeClass) else { return false }
            kept[sizeClass].append(Block(start: start))
            return true
        }
        if !isKept { start.deallocate() }
    }

    private static func sizeClass(of byteCount: Int) -> Int {
        byteCount <= smallest
            ? 0 : Int.bitWidth - (byteCount - 1).leadingZeroBitCount - smallest.trailingZeroBitCount
    }
}
