import Foundation

/// What the system must give the program, asked for before anything is begun: the libraries that it stands on wait for ever
/// for a thread, and end in a signal without memory or file descriptors.
enum SystemLimits {
    /// Threads beside the first: those of Swift's tasks, the recorder's, the digest's.
    private static let threads = 6
    /// Trace, log and its index, model, output, a folder being listed.
    private static let descriptors = 12
    /// Bytes of address space for the program's own memory; models and caches come on top.
    private static let addressSpace = 512 << 20

    /// - Throws: `InputError` that names the limit.
    static func check() throws {
        let memory = mmap(nil, addressSpace, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let memory, memory != MAP_FAILED else {
            throw refusal(of: "address space", "\(addressSpace >> 20) MiB", limit: "ulimit -v")
        }
        munmap(memory, addressSpace)

        var opened: [Int32] = []
        defer { for descriptor in opened { close(descriptor) } }
        for _ in 0..<descriptors {
            let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else {
                throw refusal(of: "open files", "\(descriptors)", limit: "ulimit -n")
            }
            opened.append(descriptor)
        }
        guard canStart(threads) else { throw refusal(of: "threads", "\(threads)", limit: "ulimit -u") }
    }

    private static func refusal(of what: String, _ count: String, limit: String) -> InputError {
        InputError(
            "the system gives the program too little: found no room for \(count) more \(what), which it needs to begin. "
                + "Raise the limit (\(limit)), or end other programs.")
    }

    /// Whether so many threads can be there at once.
    private static func canStart(_ count: Int) -> Bool {
        // All wait for a lock that is held until the last has begun.
        let gate = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        pthread_mutex_init(gate, nil)
        pthread_mutex_lock(gate)
        var started: [pthread_t] = []
        for _ in 0..<count {
            #if canImport(Darwin)
                var thread: pthread_t?
                let status = pthread_create(&thread, nil, { SystemLimits.pass($0) }, gate)
                if status == 0, let thread { started.append(thread) }
            #else
                var thread = pthread_t()
                let status = pthread_create(&thread, nil, { SystemLimits.pass($0!) }, gate)
                if status == 0 { started.append(thread) }
            #endif
        }
        pthread_mutex_unlock(gate)
        for thread in started { pthread_join(thread, nil) }
        pthread_mutex_destroy(gate)
        gate.deallocate()
        return started.count == count
    }

    private static func pass(_ gate: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
        let gate = gate.assumingMemoryBound(to: pthread_mutex_t.self)
        pthread_mutex_lock(gate)
        pthread_mutex_unlock(gate)
        return nil
    }
}
