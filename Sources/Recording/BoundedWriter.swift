import Foundation
import GRDB

/// Writes to a database on a quiet thread of its own, in order, bounded by the bytes that wait.
///
/// The computing thread hands over and goes on; it waits only when more than `limit` bytes are under way. Writes are
/// committed together, some times a second and after `transactionBytes`: a commit costs as much as hundreds of rows.
final class BoundedWriter: Sendable {
    private let queue: WritingQueue

    /// - Parameter database: one that allows transactions to stay open, and that nothing else writes to meanwhile.
    init(_ database: DatabaseQueue, limit: Int) {
        let queue = WritingQueue(limit: limit)
        self.queue = queue
        let writing = Writing(database)
        onQuietThread { writing.run(queue) }
    }

    /// The thread writes what it was given, and ends.
    deinit { queue.close() }

    /// - Throws: the error of an earlier write; nothing is written after one.
    func enqueue(bytes: Int, _ write: @escaping @Sendable (Database) throws -> Void) throws {
        try queue.append(.write(bytes: bytes, write))
    }

    /// Waits until all is written and committed.
    func drain() throws {
        let done = DispatchSemaphore(value: 0)
        try queue.append(.commit { done.signal() })
        done.wait()
        try queue.check()
    }
}

/// What is to be written, between the thread that computes and the one that writes.
private final class WritingQueue: @unchecked Sendable {
    enum Item {
        case write(bytes: Int, @Sendable (Database) throws -> Void)
        /// Commit, and say so.
        case commit(@Sendable () -> Void)
        case close

        var bytes: Int { if case .write(let bytes, _) = self { bytes } else { 0 } }
    }

    private let limit: Int
    /// Guards all below, and signals every change.
    private let condition = NSCondition()
    private var items: [Item] = []
    private var waiting = 0
    private var failure: (any Error)?

    init(limit: Int) { self.limit = limit }

    func append(_ item: Item) throws {
        condition.lock()
        defer { condition.unlock() }
        while waiting > 0, waiting + item.bytes > limit, failure == nil { condition.wait() }
        if let failure { throw failure }
        waiting += item.bytes
        items.append(item)
        condition.broadcast()
    }

    /// Unlike the others, at once.
    func close() {
        condition.lock()
        items.append(.close)
        condition.broadcast()
        condition.unlock()
    }

    /// The oldest, once there is one; `nil` if none comes before the deadline.
    func next(before deadline: Date?) -> Item? {
        condition.lock()
        defer { condition.unlock() }
        while items.isEmpty {
            guard let deadline else {
                condition.wait()
                continue
            }
            if !condition.wait(until: deadline) { break }
        }
        return items.isEmpty ? nil : items.removeFirst()
    }

    func didWrite(_ bytes: Int) {
        condition.lock()
        waiting -= bytes
        condition.broadcast()
        condition.unlock()
    }

    func fail(_ error: any Error) {
        condition.lock()
        failure = failure ?? error
        condition.broadcast()
        condition.unlock()
    }

    var hasFailed: Bool {
        condition.lock()
        defer { condition.unlock() }
        return failure != nil
    }

    func check() throws {
        condition.lock()
        defer { condition.unlock() }
        if let failure { throw failure }
    }
}

/// What the writing thread does.
private final class Writing: @unchecked Sendable {
    // Used on the writing thread only.
    private let database: DatabaseQueue
    /// Bytes since the last commit, and when the next one is due; `nil` outside a transaction.
    private var transaction: (bytes: Int, due: Date)?

    /// What SQLite's cache of pages holds, so that none is written before its time.
    private static let transactionBytes = 2 << 20
    /// Seconds from the start of a transaction to its commit.
    private static let commitInterval = 0.1

    init(_ database: DatabaseQueue) { self.database = database }

    func run(_ queue: WritingQueue) {
        while true {
            switch queue.next(before: transaction?.due) {
            case .write(let bytes, let write):
                attempt(queue) { try self.write(bytes, write, $0) }
                queue.didWrite(bytes)
                if let due = transaction?.due, due <= Date() { attempt(queue, commit) }
            case .commit(let done):
                attempt(queue, commit)
                done()
            case .close: return attempt(queue, commit)
            case nil: attempt(queue, commit)
            }
        }
    }

    private func attempt(_ queue: WritingQueue, _ body: (Database) throws -> Void) {
        guard !queue.hasFailed else { return }
        do { try database.writeWithoutTransaction(body) } catch { queue.fail(error) }
    }

    private func write(_ bytes: Int, _ write: (Database) throws -> Void, _ db: Database) throws {
        if transaction == nil {
            try db.beginTransaction(.immediate)
            transaction = (0, Date(timeIntervalSinceNow: Self.commitInterval))
        }
        try write(db)
        transaction!.bytes += bytes
        if transaction!.bytes >= Self.transactionBytes { try commit(db) }
    }

    private func commit(_ db: Database) throws {
        guard transaction != nil else { return }
        transaction = nil
        try db.commit()
    }
}
