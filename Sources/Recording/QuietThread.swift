import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Runs `body` on a thread of its own that gives way to those that compute.
///
/// What is recorded can wait. A product cannot: if one of its threads has to share its core, all others wait for that one.
func onQuietThread(_ body: @escaping @Sendable () -> Void) {
    let thread = Thread {
        // On Linux a priority is a thread's own, and 0 is the thread that asks. 10 is a tenth of the usual share.
        #if canImport(Glibc)
            setpriority(Int32(PRIO_PROCESS.rawValue), 0, 10)
        #elseif canImport(Musl)
            setpriority(PRIO_PROCESS, 0, 10)
        #endif
        body()
    }
    thread.qualityOfService = .utility
    thread.start()
}
