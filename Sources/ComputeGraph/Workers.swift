import Synchronization
import Tensors

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A persistent pool of threads that share the items of one job at a time.
///
/// Which thread computes an item never matters to the result: operations split their work so that each output element
/// is computed by one worker, in one order of summation.
public final class Workers: Sendable {
    /// Threads that work on a job, the caller's included.
    public let count: Int
    /// What operations that have kernels use.
    public let instructions: InstructionSet
    private let crew: Crew

    /// With fewer threads if the system refuses some: results do not depend on how many there are.
    ///
    /// - Precondition: at least one thread.
    public init(threads: Int, instructions: InstructionSet = .reference) {
        precondition(threads >= 1, "\(threads) threads")
        self.instructions = instructions
        let crew = Crew()
        self.crew = crew
        count = 1 + (1..<threads).prefix { _ in crew.startThread() }.count
    }

    deinit { crew.dismiss() }

    /// Calls `body` on ranges that together cover `0..<items`, on all threads, and returns when all are done.
    ///
    /// - Parameter grain: the least number of items worth handing to another thread.
    public func run(items: Int, grain: Int = 1, _ body: @escaping @Sendable (Range<Int>) -> Void) {
        guard items > 0 else { return }
        guard count > 1, items > grain else { return body(0..<items) }
        crew.work(on: Job(items: items, grain: grain, threads: count, body: body))
    }

    /// What `body` makes of each of `0..<items`, in their order.
    ///
    /// - Parameter grain: the least number of items worth handing to another thread.
    public func map<Value: Sendable>(
        items: Int, grain: Int = 1, _ body: @escaping @Sendable (_ item: Int) -> Value
    ) -> [Value] {
        let values = Mutex([Value?](repeating: nil, count: items))
        run(items: items, grain: grain) { range in
            let made = range.map(body)
            values.withLock { $0.replaceSubrange(range, with: made) }
        }
        return values.withLock { $0.map { $0! } }
    }
}

/// The items of one job; threads take chunks until none is left.
private final class Job: Sendable {
    private let items: Int
    private let threads: Int
    /// The least that a thread takes, but for the last.
    private let leastChunk: Int
    private let body: @Sendable (Range<Int>) -> Void
    private let next = Atomic<Int>(0)
    private let finished = Atomic<Int>(0)

    init(items: Int, grain: Int, threads: Int, body: @escaping @Sendable (Range<Int>) -> Void) {
        self.items = items
        self.threads = threads
        self.body = body
        leastChunk = max(grain, (items + threads * 8 - 1) / (threads * 8))
    }

    func takeChunks() {
        while let chunk = nextChunk() {
            body(chunk)
            finished.wrappingAdd(chunk.count, ordering: .releasing)
        }
    }

    /// Most of the thread's share of what is left: a long stream of memory, of which the processor fetches ahead more than
    /// of many short ones. Ever smaller chunks then even out threads of unequal speed.
    private func nextChunk() -> Range<Int>? {
        // Of more than four processors some are often half as fast: these must not hold up the others.
        let quarters = threads > 4 ? 2 : 3
        var start = next.load(ordering: .relaxed)
        while start < items {
            let left = items - start
            let end = start + min(left, max(leastChunk, left * quarters / (4 * threads)))
            let (isTaken, current) = next.compareExchange(expected: start, desired: end, ordering: .relaxed)
            if isTaken { return start..<end }
            start = current
        }
        return nil
    }

    var isFinished: Bool { finished.load(ordering: .acquiring) == items }
}

/// The threads and what they wait on.
///
/// Unsafe part: a pthread mutex and condition need a stable address. They are allocated here, freed when the last
/// thread has let go of the crew, and guard `job` and `isDismissed`.
private final class Crew: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let generation = Atomic<Int>(0)
    private var job: Job?
    private var isDismissed = false

    /// Polls of `generation` before a thread goes to sleep: some fifty microseconds. Between two operations that share
    /// their work come views, small operations and the recorder; waking a thread that sleeps takes as long.
    private static let spins = 30_000
    /// Polls that the pause between two operations rarely outlasts.
    private static let politeAfter = 2000

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(condition)
        mutex.deallocate()
        condition.deallocate()
    }

    /// - Returns: whether the system gave one.
    func startThread() -> Bool {
        let context = Unmanaged.passRetained(self).toOpaque()
        #if canImport(Darwin)
            var thread: pthread_t?
            let status = pthread_create(&thread, nil, { Crew.main($0) }, context)
        #else
            var thread = pthread_t()
            let status = pthread_create(&thread, nil, { Crew.main($0!) }, context)
        #endif
        guard status == 0 else {
            Unmanaged<Crew>.fromOpaque(context).release()
            return false
        }
        #if canImport(Darwin)
            pthread_detach(thread!)
        #else
            pthread_detach(thread)
        #endif
        return true
    }

    private static func main(_ context: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
        let crew = Unmanaged<Crew>.fromOpaque(context).takeRetainedValue()
        var seen = 0
        while let job = crew.nextJob(after: &seen) { job.takeChunks() }
        return nil
    }

    func work(on job: Job) {
        pthread_mutex_lock(mutex)
        self.job = job
        generation.wrappingAdd(1, ordering: .releasing)
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
        job.takeChunks()
        // What is left is the tail of one chunk per thread: shorter than going to sleep, unless a core is busy elsewhere.
        var polls = 0
        while !job.isFinished {
            polls += 1
            if polls > 1000 { sched_yield() }
        }
    }

    func dismiss() {
        pthread_mutex_lock(mutex)
        isDismissed = true
        job = nil
        generation.wrappingAdd(1, ordering: .releasing)
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }

    private func nextJob(after seen: inout Int) -> Job? {
        var polls = 0
        while generation.load(ordering: .acquiring) == seen, polls < Crew.spins {
            polls += 1
            // Lets others have the processor, such as the recorder's writing thread; at once back if there are none.
            if polls > Crew.politeAfter, polls % 200 == 0 { sched_yield() }
        }
        // The caller holds the mutex for an instant only; to wait for it asleep would take longer than most jobs.
        while pthread_mutex_trylock(mutex) != 0 {
            polls += 1
            if polls > Crew.spins {
                pthread_mutex_lock(mutex)
                break
            }
        }
        defer { pthread_mutex_unlock(mutex) }
        while generation.load(ordering: .acquiring) == seen { pthread_cond_wait(condition, mutex) }
        seen = generation.load(ordering: .acquiring)
        return isDismissed ? nil : job
    }
}
