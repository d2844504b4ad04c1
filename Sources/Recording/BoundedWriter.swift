import Foundation

/// A queue of writes on a thread of its own, bounded by the bytes that wait.
///
/// The computing thread hands over and goes on; it waits only when more than `limit` bytes are under way.
final class BoundedWriter: @unchecked Sendable {
    private let queue = DispatchQueue(label: "quipu.recording")
    /// Guards the two below; also signals that bytes were written.
    private let condition = NSCondition()
    private var waiting = 0
    private var failure: (any Error)?
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    /// - Throws: the error of an earlier write; nothing is written after one.
    func enqueue(bytes: Int, _ work: @escaping @Sendable () throws -> Void) throws {
        condition.lock()
        while waiting > 0, waiting + bytes > limit, failure == nil { condition.wait() }
        waiting += bytes
        let failure = failure
        condition.unlock()
        if let failure { throw failure }

        queue.async { [self] in
            condition.lock()
            let isBroken = self.failure != nil
            condition.unlock()
            var error: (any Error)?
            if !isBroken { do { try work() } catch let caught { error = caught } }
            condition.lock()
            if let error { self.failure = error }
            waiting -= bytes
            condition.broadcast()
            condition.unlock()
        }
    }

    /// Waits until all is written.
    func drain() throws {
        queue.sync {}
        condition.lock()
        defer { condition.unlock() }
        if let failure { throw failure }
    }
}
