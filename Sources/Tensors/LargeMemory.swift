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
/// The C library would put buffers of some megabytes side by side with the small things that outlive them, and could give
/// back little of a long prompt. The system clears what it gives, which takes as long as many an operation: so what is
/// given back is kept for a while.
///
/// Unsafe part: what is taken is the taker's alone until given back, with the size it was taken for.
enum LargeMemory {
    /// Bytes of the smallest buffer that counts as large.
    static let smallest = 1 << 20
    /// Bytes kept, all together.
    private static let limit = 64 << 20

    private struct Block: @unchecked Sendable {
        let start: UnsafeMutableRawPointer
        let size: Int
    }

    /// The longest kept first.
    private static let kept = Mutex<[Block]>([])

    static func take(_ byteCount: Int) -> UnsafeMutableRawPointer {
        let size = size(for: byteCount)
        let block = kept.withLock { kept in
            kept.lastIndex { $0.size == size }.map { kept.remove(at: $0) }
        }
        if let block { return block.start }
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
        let block = Block(start: start, size: size(for: byteCount))
        let released = kept.withLock { kept in
            kept.append(block)
            var (released, total) = ([Block](), kept.reduce(0) { $0 + $1.size })
            while total > limit {
                total -= kept[0].size
                released.append(kept.removeFirst())
            }
            return released
        }
        for block in released { munmap(block.start, block.size) }
    }

    /// Rounded up to one of eight sizes between powers of two, so that buffers of about one size share their memory.
    private static func size(for byteCount: Int) -> Int {
        let step = 1 << (Int.bitWidth - byteCount.leadingZeroBitCount - 4)
        return (byteCount + step - 1) / step * step
    }
}
