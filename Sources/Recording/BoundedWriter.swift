import Foundation
import GRDB

/// Writes to a database on a thread of its own, in order, bounded by the bytes that wait.
///
/// The computing thread hands over and goes on; it waits only when more than `limit` bytes are under way. Writes are
/// committed together, some times a second and after `transactionBytes`: a commit costs as much as hundreds of rows.
final class BoundedWriter: @unchecked Sendable {
    private let database: DatabaseQueue
    private let queue = DispatchQueue(label: "quipu.recording")
    private let limit: Int
    /// Guards the two below; also signals that bytes were written.
    private let condition = NSCondition()
    private var waiting = 0
    private var failure: (any Error)?
    /// Bytes since the last commit; `nil` outside a transaction. Used on the writing thread only.
    private var uncommitted: Int?

    private static let transactionBytes = 4 << 20
    private static let commitInterval = DispatchTimeInterval.milliseconds(100)

    /// - Parameter database: one that allows transactions to stay open, and that nothing else writes to meanwhile.
    init(_ database: DatabaseQueue, limit: Int) {
        self.database = database
        self.limit = limit
    }

    /// - Throws: the error of an earlier write; nothing is written after one.
    func enqueue(bytes: Int, _ write: @escaping @Sendable (Database) throws -> Void) throws {
        condition.lock()
        while waiting > 0, waiting + bytes > limit, failure == nil { condition.wait() }
        waiting += bytes
        let failure = failure
        condition.unlock()
        if let failure { throw failure }

        queue.async { [self] in
            attempt { db in
                try begin(db)
                try write(db)
                uncommitted! += bytes
                if uncommitted! >= Self.transactionBytes { try commit(db) }
            }
            condition.lock()
            waiting -= bytes
            condition.broadcast()
            condition.unlock()
        }
    }

    /// Waits until all is written and committed.
    func drain() throws {
        queue.sync { attempt(commit) }
        condition.lock()
        defer { condition.unlock() }
        if let failure { throw failure }
    }

    // MARK: on the writing thread

    private func attempt(_ body: (Database) throws -> Void) {
        condition.lock()
        let isBroken = failure != nil
        condition.unlock()
        guard !isBroken else { return }
        do {
            try database.writeWithoutTransaction(body)
        } catch {
            condition.lock()
            failure = error
            condition.unlock()
        }
    }

    private func begin(_ db: Database) throws {
        guard uncommitted == nil else { return }
        try db.beginTransaction(.immediate)
        uncommitted = 0
        queue.asyncAfter(deadline: .now() + Self.commitInterval) { [self] in attempt(commit) }
    }

    private func commit(_ db: Database) throws {
        guard uncommitted != nil else { return }
        uncommitted = nil
        try db.commit()
    }
}
