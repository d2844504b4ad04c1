import ComputeGraph
import Foundation
import Synchronization
import Tensors
import TestSupport
import Testing

@Suite struct WorkersTests {
    @Test(arguments: [1, 2, 3, 8], [1, 7, 64, 10_000])
    func everyItemIsGivenOutOnce(threads: Int, grain: Int) {
        let workers = Workers(threads: threads)
        #expect(workers.count == threads)
        for items in [0, 1, 2, 3, 7, 31, 64, 65, 100, 1023, 5000] {
            let times = Mutex([Int](repeating: 0, count: items))
            let ranges = Mutex<[Range<Int>]>([])
            workers.run(items: items, grain: grain) { range in
                times.withLock { for item in range { $0[item] += 1 } }
                ranges.withLock { $0.append(range) }
            }
            #expect(times.withLock { $0 }.allSatisfy { $0 == 1 }, "\(items) items")
            let parts = ranges.withLock { $0 }.sorted { $0.lowerBound < $1.lowerBound }
            // Only the last range may be shorter than the grain.
            #expect(parts.dropLast().allSatisfy { $0.count >= grain }, "\(items) items in \(parts)")
            if items > 0, items <= grain { #expect(parts == [0..<items]) }
            if threads == 1 { #expect(parts.count == min(items, 1)) }
        }
    }

    @Test(arguments: [1, 2, 5]) func resultsAreInTheItemsOrder(threads: Int) {
        let workers = Workers(threads: threads)
        for items in [0, 1, 2, 999] {
            #expect(workers.map(items: items) { "\($0)" } == (0..<items).map { "\($0)" })
            #expect(workers.map(items: items, grain: 100) { $0 * $0 } == (0..<items).map { $0 * $0 })
        }
    }

    /// Each item's work is long enough for the other threads to wake up.
    @Test func allThreadsTakePart() {
        let workers = Workers(threads: 2)
        let threads = Mutex<Set<UInt>>([])
        for _ in 0..<50 where threads.withLock({ $0.count }) < 2 {
            workers.run(items: 200) { _ in
                Thread.sleep(forTimeInterval: 0.0005)
                let id = UInt(bitPattern: ObjectIdentifier(Thread.current).hashValue)
                threads.withLock { _ = $0.insert(id) }
            }
        }
        #expect(threads.withLock { $0.count } == 2)
    }

    @Test func resultsDoNotDependOnTheThreads() {
        var random = SeededGenerator(seed: 5)
        let values = random.floats(4000)
        let sums = [1, 2, 3, 5].map { threads in
            let output = Tensor.zeros(.f32, Shape(values.count))
            Workers(threads: threads).run(items: values.count) { range in
                output.buffer.withMutableElements(of: Float.self, in: range.lowerBound * 4..<range.upperBound * 4) {
                    y in
                    for i in range { y[i - range.lowerBound] = values[...i].reduce(0) { $0 * 0.5 + $1 } }
                }
            }
            return output.bits
        }
        #expect(sums.allSatisfy { $0 == sums[0] } && Set(sums[0]).count > 3000)
    }

    /// Jobs shorter than it takes to wake a thread: late wakers must neither work on a finished job nor miss the next.
    @Test func manyQuickJobsInARow() {
        let workers = Workers(threads: 3)
        let total = Atomic<Int>(0)
        for _ in 0..<20_000 {
            workers.run(items: 5) { total.wrappingAdd($0.count, ordering: .relaxed) }
        }
        #expect(total.load(ordering: .relaxed) == 100_000)
    }

    #if os(Linux)
        /// 200 pools of 4 threads: without dismissal, 600 threads would stay.
        @Test func threadsEndWithTheirPool() async throws {
            func threads() throws -> Int {
                try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count
            }
            let before = try threads()
            for number in 0..<200 {
                let workers = Workers(threads: 4)
                // Some pools go without ever having worked.
                if number % 2 == 0 { workers.run(items: 16) { _ in } }
            }
            // Other tests come and go meanwhile, with a few threads each.
            for _ in 0..<500 where try threads() > before + 60 { try await Task.sleep(for: .milliseconds(10)) }
            #expect(try threads() <= before + 60)
        }
    #endif

    /// A body holds tensors; when the pool is gone, so are they.
    @Test func aPoolLetsGoOfItsLastJob() async throws {
        final class Token: Sendable {}
        weak var held: Token?
        do {
            let token = Token()
            held = token
            Workers(threads: 2).run(items: 8) { _ in _ = token }
        }
        for _ in 0..<500 where held != nil { try await Task.sleep(for: .milliseconds(10)) }
        #expect(held == nil)
    }
}
