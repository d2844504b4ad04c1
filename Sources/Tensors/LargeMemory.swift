import Synchronization

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Memory of large buffers, from the system itself, and of those that are gone for the next ones of their size.
///
/// The C library would put large buffers side by side with the small things that outlive them, and could give
/// back little of a long prompt. The system clears what it gives, which takes as long as many an operation: so what is
/// given back is kept for a while.
///
/// Unsafe part: what is taken is the taker's alone until given back, with the size it was taken for.
enum LargeMemory {
    private static let blocks = Mutex(KeptBlocks())

    static func take(_ byteCount: Int) -> UnsafeMutableRawPointer {
        let size = size(for: byteCount)
        if let block = changed({ $0.take(size) }) { return block.start }
        #if canImport(Darwin)
            let flags = MAP_PRIVATE | MAP_ANON
        #else
            let flags = MAP_PRIVATE | MAP_ANONYMOUS
        #endif
        let start = mmap(nil, size, PROT_READ | PROT_WRITE, flags, -1, 0)
        guard let start, start != MAP_FAILED else { fatalError("the system refused \(size) bytes of memory") }
        return start
    }

    static func giveBack(_ start: UnsafeMutableRawPointer, _ byteCount: Int) {
        let block = KeptBlocks.Block(start: start, size: size(for: byteCount))
        changed { $0.giveBack(block) }
    }

    /// An evaluation begins: each of a model's layers needs the same memory.
    static func begin() { changed { $0.begin() } }

    /// An evaluation has ended.
    static func end() { changed { $0.end() } }

    private static func changed<Result: Sendable>(_ change: @Sendable (inout KeptBlocks) -> Result) -> Result {
        let (result, surplus) = blocks.withLock { blocks in (change(&blocks), blocks.surplus()) }
        for block in surplus { munmap(block.start, block.size) }
        return result
    }

    /// Rounded up to one of eight sizes between powers of two, so that buffers of about one size share their memory.
    private static func size(for byteCount: Int) -> Int {
        let step = 1 << (Int.bitWidth - byteCount.leadingZeroBitCount - 4)
        return (byteCount + step - 1) / step * step
    }
}

/// Which blocks of memory are kept when they are given back.
package struct KeptBlocks {
    package struct Block: @unchecked Sendable {
        let start: UnsafeMutableRawPointer
        package let size: Int

        package init(start: UnsafeMutableRawPointer, size: Int) { (self.start, self.size) = (start, size) }
    }

    /// Bytes that may be kept at any time.
    package static let slack = 64 << 20

    /// The longest kept first.
    private var kept: [Block] = []
    private var keptBytes = 0
    private var usedBytes = 0
    /// Since the first of the evaluations at hand began.
    private var mostUsedBytes = 0
    private var evaluations = 0

    package init() {}

    /// - Returns: a kept block of this size; `nil` if there is none, and the system must give one.
    package mutating func take(_ size: Int) -> Block? {
        usedBytes += size
        mostUsedBytes = max(mostUsedBytes, usedBytes)
        guard let index = kept.lastIndex(where: { $0.size == size }) else { return nil }
        keptBytes -= size
        return kept.remove(at: index)
    }

    package mutating func giveBack(_ block: Block) {
        usedBytes -= block.size
        keptBytes += block.size
        kept.append(block)
    }

    package mutating func begin() {
        if evaluations == 0 { mostUsedBytes = usedBytes }
        evaluations += 1
    }

    package mutating func end() { evaluations -= 1 }

    /// The blocks that are no longer kept, for the system. Meanwhile an evaluation holds what it once had in use, and a
    /// little more.
    package mutating func surplus() -> [Block] {
        let limit = Self.slack + (evaluations > 0 ? mostUsedBytes - usedBytes : 0)
        var surplus: [Block] = []
        while keptBytes > limit {
            keptBytes -= kept[0].size
            surplus.append(kept.removeFirst())
        }
        return surplus
    }
}
