import ComputeGraph
import Synchronization
import Tensors

/// How fast all threads together read memory: what a product of one token with all weights cannot exceed.
///
/// Every 64-bit word of a buffer larger than the caches is read and added up, a cache line at a time in four
/// independent sums. The sum is checked, so that no load can be optimised away. Only reading is measured, because
/// weights are only read.
public struct MemoryBandwidth {
    private typealias Line = SIMD8<UInt64>

    /// Bytes that are read in one go.
    private static let piece = 1 << 20

    private let buffer: Buffer
    private let workers: Workers

    /// - Parameter megabytes: the buffer's size; the default is several times a large last-level cache.
    public init(megabytes: Int = 256, workers: Workers) {
        precondition(megabytes > 0, "a buffer of \(megabytes) MiB")
        buffer = Buffer(byteCount: megabytes * Self.piece)
        self.workers = workers
        buffer.withMutableElements(of: UInt64.self, in: 0..<buffer.byteCount) { words in
            for index in 0..<words.count { words[index] = UInt64(index) }
        }
    }

    /// Reads the buffer `passes` times.
    ///
    /// - Returns: bytes per second of each pass.
    public func measure(passes: Int = 5) -> [Double] {
        let words = UInt64(buffer.byteCount / 8)
        return (0..<passes).map { _ in
            let start = ContinuousClock.now
            let sum = sum()
            let elapsed = ContinuousClock.now - start
            precondition(sum == words * (words - 1) / 2, "the buffer adds up to \(sum)")
            return Double(buffer.byteCount) / (elapsed / .seconds(1))
        }
    }

    private func sum() -> UInt64 {
        let total = Mutex<UInt64>(0)
        let buffer = buffer
        workers.run(items: buffer.byteCount / Self.piece) { pieces in
            let bytes = pieces.lowerBound * Self.piece..<pieces.upperBound * Self.piece
            let sum = buffer.withBytes(in: bytes) { $0.withElements(of: Line.self, Self.sum) }
            total.withLock { $0 &+= sum }
        }
        return total.withLock { $0 }
    }

    private static func sum(_ lines: Span<Line>) -> UInt64 {
        var (a, b, c, d) = (Line(), Line(), Line(), Line())
        for index in stride(from: 0, to: lines.count, by: 4) {
            a &+= lines[index]
            b &+= lines[index + 1]
            c &+= lines[index + 2]
            d &+= lines[index + 3]
        }
        return (a &+ b &+ c &+ d).wrappedSum()
    }
}
